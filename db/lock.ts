/**
 * One process per data directory. The lock is an open exclusive transaction on lock.db: the kernel frees it when
 * the process ends, however it ends, so there is never a stale one.
 */
import { truncateSync } from 'node:fs';
import { FlmError, reasonOf } from '../src/lib/errors';
import { isDamage, openFile, sqliteCode } from './sqlite';

export interface Lock {
  /** Frees the directory for the next process. Doing it twice does nothing. */
  release(): void;
}

/**
 * Takes the lock, waiting at most `waitMs` for whoever has it.
 * @throws DB_LOCKED when it stays taken; DB_ERROR when lock.db cannot be used.
 */
export function acquireLock(path: string, dir: string, waitMs: number, addon: object | null): Lock {
  try {
    try {
      return lock(path, waitMs, addon);
    } catch (error) {
      if (!isDamage(error)) throw error;
      // It could be read, so nobody holds it, and it has nothing to lose. Emptied and not replaced: two that do this
      // at once still lock the same file.
      truncateSync(path, 0);
      return lock(path, waitMs, addon);
    }
  } catch (error) {
    if (sqliteCode(error)?.startsWith('SQLITE_BUSY'))
      throw new FlmError('DB_LOCKED', { meta: { dir }, cause: error });
    throw new FlmError('DB_ERROR', {
      meta: { file: 'lock.db', reason: reasonOf(error) },
      cause: error,
      hint: `It holds no data: while no FLM runs it can be removed (${path}).`,
    });
  }
}

function lock(path: string, waitMs: number, addon: object | null): Lock {
  const sqlite = openFile(path, waitMs, addon);
  try {
    sqlite.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    sqlite.close();
    throw error;
  }
  return { release: () => sqlite.close() };
}
