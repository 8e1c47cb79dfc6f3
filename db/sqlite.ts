/** One way to open an SQLite file: owner-only, WAL, checked foreign keys, acknowledged means on disk. */
import { chmodSync, closeSync, existsSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import SqliteFile from 'better-sqlite3';
import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3';
import { FlmError, reasonOf } from '../src/lib/errors';

export type Sqlite = SqliteFile.Database;

/** A database under Drizzle, with the connection below it as `$client`. */
export type Db<Schema extends Record<string, unknown>> = BetterSQLite3Database<Schema> & { $client: Sqlite };

/** better-sqlite3-multiple-ciphers goes by the name better-sqlite3; the types of that name lack its cipher calls. */
interface CipherCalls {
  key(key: Buffer): number;
}

/** What `key()` takes: `raw:<64 hex>` or a passphrase, as UTF-8 bytes. */
export interface CipherKey {
  readonly bytes: Buffer;
  /** Where it came from, in words for an error. */
  readonly source: string;
}

export interface OpenOptions {
  /** Encrypts the file from its first byte (cipher AEGIS-256); null leaves it plain. */
  readonly key: CipherKey | null;
  readonly addon: object | null;
  /** How long a statement waits for another process, in milliseconds. */
  readonly busyTimeoutMs?: number;
}

/**
 * Opens or creates a database file with mode 0600.
 * @throws DB_KEY_WRONG when the key does not fit; DB_DAMAGED when the file is no database; DB_ERROR when it cannot be used.
 */
export function openSqlite(path: string, options: OpenOptions): Sqlite {
  const file = basename(path);
  let sqlite: Sqlite | null = null;
  try {
    sqlite = openFile(path, options.busyTimeoutMs ?? 5000, options.addon);
    if (options.key !== null) {
      sqlite.pragma("cipher = 'aegis'");
      (sqlite as Sqlite & CipherCalls).key(options.key.bytes);
    }
    sqlite.pragma('schema_version'); // The first page read: a wrong key shows here.
    sqlite.pragma('journal_mode = WAL');
    sqlite.pragma('synchronous = FULL');
    sqlite.pragma('foreign_keys = ON');
    sqlite.pragma('trusted_schema = OFF');
    sqlite.pragma('temp_store = MEMORY'); // Temporary files would not be encrypted.
    return sqlite;
  } catch (error) {
    sqlite?.close();
    throw asDbError(error, file, options.key);
  }
}

/** A connection to a file of mode 0600 that has not been read yet. Statements wait `busyTimeoutMs` for a lock. */
export function openFile(path: string, busyTimeoutMs: number, addon: object | null): Sqlite {
  // SQLite gives -wal and -shm the mode of the main file, so that one has to be right from the start.
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600);
  // The types know only the path of an addon; a loaded one is what the package passes around itself.
  const nativeBinding = addon as unknown as string | null;
  return new SqliteFile(path, {
    timeout: busyTimeoutMs,
    ...(nativeBinding === null ? {} : { nativeBinding }),
  });
}

/**
 * Triggers and views of a file, each as `trigger "name"`. FLM makes none: a trigger in a plain file could swallow the rows
 * that are to be evidence.
 */
export function foreignObjects(sqlite: Sqlite): string[] {
  return sqlite
    .prepare<[], { type: string; name: string }>(
      // By what a row makes and not only by what it calls itself: SQLite goes by the former.
      `SELECT type, name FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR NOT (sql IS NULL
       OR sql GLOB 'CREATE TABLE *' OR sql GLOB 'CREATE INDEX *' OR sql GLOB 'CREATE UNIQUE INDEX *') ORDER BY name`,
    )
    .all()
    .map(({ type, name }) => `${type} ${JSON.stringify(name.slice(0, 60))}`);
}

/** @throws DB_DAMAGED when a file holds what FLM never makes. To be called before anything is written to it. */
export function refuseForeignObjects(sqlite: Sqlite, file: string): void {
  let found: string[];
  try {
    found = foreignObjects(sqlite);
  } catch (error) {
    throw asDbError(error, file, null);
  }
  if (found.length > 0) throw new FlmError('DB_DAMAGED', { meta: { file, reason: foreignReason(found) } });
}

/** In words, what such objects mean. */
export function foreignReason(found: readonly string[]): string {
  return `somebody else has written to it and made ${found.slice(0, 5).join(', ')}, which FLM never does: remove it`;
}

/** Puts Drizzle on an open connection. */
export function withSchema<Schema extends Record<string, unknown>>(
  sqlite: Sqlite,
  schema: Schema,
): Db<Schema> {
  return drizzle(sqlite, { schema });
}

function asDbError(error: unknown, file: string, key: CipherKey | null): FlmError {
  if (error instanceof FlmError) return error;
  if (sqliteCode(error) === 'SQLITE_NOTADB' && key !== null) {
    return new FlmError('DB_KEY_WRONG', { meta: { source: key.source }, cause: error });
  }
  return new FlmError(isDamage(error) ? 'DB_DAMAGED' : 'DB_ERROR', {
    meta: { file, reason: reasonOf(error) },
    cause: error,
  });
}

/** Whether SQLite says that the bytes of the file are not what was written. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(sqliteCode(error) ?? '');
}

/** SQLite's result code (`SQLITE_BUSY`, …) of an error, or null when it is not one of SQLite's. */
export function sqliteCode(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  return typeof error.code === 'string' && error.code.startsWith('SQLITE_') ? error.code : null;
}
