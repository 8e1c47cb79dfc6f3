/** Brings a database to this version: embedded migrations, each in its own transaction, checksums verified. */
import type { Clock } from '../src/contract';
import { FlmError, reasonOf } from '../src/lib/errors';
import type { Migration } from './embed';
import { isDamage, type Sqlite, sqliteCode } from './sqlite';

/** What SQLite says of the machine and not of the database. */
const UNUSABLE = /^SQLITE_(BUSY|CANTOPEN|FULL|IOERR|LOCKED|NOMEM|READONLY)/;

interface AppliedRow {
  readonly tag: string;
  readonly hash: string;
}

/**
 * Applies what is missing and returns the tags it applied.
 * @throws MIGRATION_FAILED when one fails (its transaction is rolled back), when an applied migration is not the
 * one this version carries, or when a newer FLM wrote the file.
 */
export function migrate(
  sqlite: Sqlite,
  file: string,
  migrations: readonly Migration[],
  clock: Clock,
): string[] {
  const failed = (reason: string, cause?: unknown) =>
    new FlmError('MIGRATION_FAILED', { meta: { file, reason }, cause });

  try {
    sqlite.exec(
      'CREATE TABLE IF NOT EXISTS schema_migrations (tag TEXT PRIMARY KEY NOT NULL, hash TEXT NOT NULL, applied_at_ms INTEGER NOT NULL) STRICT',
    );
    const applied = sqlite
      .prepare<[], AppliedRow>('SELECT tag, hash FROM schema_migrations ORDER BY tag')
      .all();
    applied.forEach((row, index) => {
      const known = migrations[index];
      if (known === undefined) throw failed(`a newer FLM wrote it (${row.tag})`);
      if (known.tag !== row.tag || known.hash !== row.hash) {
        throw failed(`its migration ${row.tag} is not the one this FLM carries`);
      }
    });
    const missing = migrations.slice(applied.length);
    for (const migration of missing) apply(sqlite, migration, clock);
    return missing.map((migration) => migration.tag);
  } catch (error) {
    if (error instanceof FlmError) throw error;
    if (isDamage(error))
      throw new FlmError('DB_DAMAGED', { meta: { file, reason: reasonOf(error) }, cause: error });
    // Another version of FLM would get no further on a full or locked disk than this one.
    if (UNUSABLE.test(sqliteCode(error) ?? ''))
      throw new FlmError('DB_ERROR', { meta: { file, reason: reasonOf(error) }, cause: error });
    throw failed(reasonOf(error), error);
  }
}

function apply(sqlite: Sqlite, migration: Migration, clock: Clock): void {
  // Rebuilding a table drops the old one, and with foreign keys on that deletes the children of its rows.
  // The pragma does nothing inside a transaction, so it is switched outside.
  sqlite.pragma('foreign_keys = OFF');
  try {
    sqlite
      .transaction(() => {
        for (const statement of migration.statements) sqlite.exec(statement);
        const broken = sqlite.pragma('foreign_key_check');
        if (Array.isArray(broken) && broken.length > 0) {
          throw new Error(`${migration.tag} leaves ${broken.length} rows without their parent`);
        }
        sqlite
          .prepare('INSERT INTO schema_migrations (tag, hash, applied_at_ms) VALUES (?, ?, ?)')
          .run(migration.tag, migration.hash, clock.nowMs());
      })
      .immediate();
  } finally {
    sqlite.pragma('foreign_keys = ON');
  }
}
