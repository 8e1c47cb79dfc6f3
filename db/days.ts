/**
 * The files of the request log, a database a day, with the key of security.db. Opened in a Worker, which is handed the key
 * in a message: it never stands in arguments, in the environment or in a log.
 */
import { basename } from 'node:path';
import type { Clock } from '../src/contract';
import { FlmError } from '../src/lib/errors';
import * as activitySchema from './activity/schema';
import { loadAddon } from './addon';
import { embedMigrations } from './embed' with { type: 'macro' };
import { migrate } from './migrate';
import { type CipherKey, type Db, openSqlite, refuseForeignObjects, type Sqlite, withSchema } from './sqlite';

export { isDamage, sqliteCode } from './sqlite';
export { activitySchema };
export type DayDb = Db<typeof activitySchema>;

/** What it takes to open the files of days. Survives a message to a Worker. */
export interface DaySeal {
  readonly keyBytes: Uint8Array;
  /** Where the key came from, in words for an error. */
  readonly keySource: string;
  /** Where the executable's SQLite is unpacked. */
  readonly libDir: string;
}

export interface DayOpener {
  /**
   * Opens or creates the file of a day. `read`: no statement can change it.
   * @throws DB_DAMAGED, also when the key does not fit; DB_ERROR, MIGRATION_FAILED
   */
  open(path: string, mode: 'read' | 'write'): DayDb;
}

/** How much of the journal stays on the disk once it was written into the file, in bytes. */
const JOURNAL_BYTES = 1024 * 1024;

/** @throws IO_ERROR when the executable's SQLite cannot be unpacked or loaded */
export async function createDayOpener(seal: DaySeal, clock: Clock): Promise<DayOpener> {
  const addon = await loadAddon(seal.libDir);
  const key: CipherKey = { bytes: Buffer.from(seal.keyBytes), source: seal.keySource };
  return {
    open(path, mode) {
      const sqlite = openDay(path, key, addon);
      try {
        // A crash of FLM loses nothing of it; one of the machine may lose what was written since the last anchor.
        sqlite.pragma('synchronous = NORMAL');
        sqlite.pragma(`journal_size_limit = ${JOURNAL_BYTES}`);
        sqlite.pragma('secure_delete = ON'); // What was erased must not lie in a free page.
        refuseForeignObjects(sqlite, basename(path));
        migrate(sqlite, basename(path), embedMigrations('activity'), clock);
        if (mode === 'read') sqlite.pragma('query_only = ON');
        return withSchema(sqlite, activitySchema);
      } catch (error) {
        sqlite.close();
        throw error;
      }
    },
  };
}

function openDay(path: string, key: CipherKey, addon: object | null): Sqlite {
  try {
    return openSqlite(path, { key, addon });
  } catch (error) {
    // security.db has opened with it, so it is the file that is another one.
    if (!(error instanceof FlmError) || error.code !== 'DB_KEY_WRONG') throw error;
    const reason = 'it does not open with the key of security.db';
    throw new FlmError('DB_DAMAGED', { meta: { file: basename(path), reason }, cause: error });
  }
}

/** The key as a message carries it. */
export function daySeal(key: CipherKey, libDir: string): DaySeal {
  return { keyBytes: Uint8Array.from(key.bytes), keySource: key.source, libDir };
}
