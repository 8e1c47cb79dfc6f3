/** What somebody does to security.db who holds its key, past FLM, whether it runs or not. */
import { openSeal } from '../../db/seal';
import { openSqlite, type Sqlite } from '../../db/sqlite';
import type { TestDir } from './data-dir';

/** Runs `attack` on a connection of its own. */
export async function behindItsBack<Result>(
  { paths, env }: Pick<TestDir, 'paths' | 'env'>,
  attack: (sqlite: Sqlite) => Result | Promise<Result>,
): Promise<Result> {
  const { key } = await openSeal(paths, env, null);
  const sqlite = openSqlite(paths.securityDb, { key, addon: null });
  try {
    return await attack(sqlite);
  } finally {
    sqlite.close();
  }
}
