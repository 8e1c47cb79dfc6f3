/**
 * One process per data directory. The lock is an open exclusive transaction on lock.db: the kernel frees it when
 * the process ends, however it ends, so there is never a stale one.
 */
import { FlmError, reasonOf } from '../src/lib/errors';
import { openFile, sqliteCode } from './sqlite';

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
    const sqlite = openFile(path, waitMs, addon);
    try {
      sqlite.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      sqlite.close();
      throw error;
    }
    return { release: () => sqlite.close() };
  } catch (error) {
    if (sqliteCode(error)?.startsWith('SQLITE_BUSY'))
      throw new FlmError('DB_LOCKED', { meta: { dir }, cause: error });
    throw new FlmError('DB_ERROR', { meta: { file: 'lock.db', reason: reasonOf(error) }, cause: error });
  }
}
