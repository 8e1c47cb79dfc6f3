/** Files that must never be half-written or readable by others. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { FlmError, reasonOf } from './errors';

/**
 * Makes a directory (and its parents) that only the owner can enter; tightens one that is there.
 * @throws IO_ERROR, also where a link or a directory of another user is in its place.
 */
export function ensurePrivateDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { mode, uid } = lstatDirectory(path);
    if (process.platform === 'win32') return;
    if (uid !== process.getuid?.()) throw new Error('it belongs to another user');
    if ((mode & 0o777) !== 0o700) chmodSync(path, 0o700);
  } catch (error) {
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}

/**
 * Writes a whole 0600 file so that a crash leaves the old one or the new one: temporary file, fsync, rename,
 * fsync of the directory.
 * @throws IO_ERROR
 */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openNew(temporary);
    try {
      // Not writeSync: on a full disk that writes what fits and is content.
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    if (process.platform !== 'win32') syncDirectory(dirname(path));
  } catch (error) {
    removeQuietly(temporary);
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}

/**
 * Writes a 0600 file of pieces that come one after the other, so that it is there as a whole or not at all. Returns its
 * bytes.
 * @throws IO_ERROR; what the pieces throw
 */
export async function writePiecesAtomic(path: string, pieces: AsyncIterable<string>): Promise<number> {
  const temporary = `${path}.${process.pid}.tmp`;
  let bytes = 0;
  try {
    const file = openNew(temporary);
    try {
      for await (const piece of pieces) {
        writeFileSync(file, piece);
        bytes += Buffer.byteLength(piece);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    if (process.platform !== 'win32') syncDirectory(dirname(path));
    return bytes;
  } catch (error) {
    removeQuietly(temporary);
    if (error instanceof FlmError) throw error;
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}

/**
 * Removes what processes that died in the middle left of their temporary files in `dir`: names that `pidOf` gives a
 * process for which is not there any more. One whose number somebody else has got meanwhile stays for a later time.
 */
export function sweep(dir: string, pidOf: (name: string) => number | null): void {
  try {
    for (const name of readdirSync(dir)) {
      const pid = pidOf(name);
      if (pid !== null && pid !== process.pid && !isAlive(pid)) removeQuietly(join(dir, name));
    }
  } catch {
    // Nothing there yet, or nothing that can be looked at: no reason not to start.
  }
}

/** The process of a temporary file that writeFileAtomic makes, or null: `security.key.4711.tmp` */
export function temporaryOf(name: string): number | null {
  const pid = /\.(\d{1,10})\.tmp$/.exec(name)?.[1];
  return pid === undefined ? null : Number(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Of another user is alive as well.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

function lstatDirectory(path: string): Stats {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) throw new Error('it is not a directory');
  return stats;
}

/**
 * What lies there already is of a process that died, or a link that somebody has laid: neither is written into. Its folder may
 * be one that others write to.
 */
function openNew(temporary: string): number {
  rmSync(temporary, { force: true });
  return openSync(temporary, 'wx', 0o600);
}

/** Half a file may hold half a key; the error that is told is the one that came first. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // A disk that cannot be written to keeps it.
  }
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
