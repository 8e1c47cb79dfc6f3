/**
 * The native part of SQLite. From source the package finds its own prebuilt file; the executable carries one
 * and loads it from the data directory, because /tmp may be mounted noexec (ADR 0001).
 */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlmError, reasonOf } from '../src/lib/errors';
import { sweep } from '../src/lib/files';

/**
 * The addon for better-sqlite3's `nativeBinding`, or null when the package may look for itself.
 * @throws IO_ERROR when the directory cannot hold or run it.
 */
export async function loadAddon(libDir: string): Promise<object | null> {
  if (!Bun.isStandaloneExecutable) return null;
  const embedded = await import('flm:sqlite-addon');
  const bytes = readFileSync(embedded.default);
  const name = `sqlite-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}.node`;
  const path = join(libDir, name);
  try {
    sweep(libDir, unpackedBy);
    if (!hasBytes(path, bytes)) {
      mkdirSync(libDir, { recursive: true, mode: 0o700 });
      unpack(path, bytes);
    }
    const module = { exports: {} };
    process.dlopen(module, path);
    return module.exports;
  } catch (error) {
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}

/** Another process may do the same at this moment: each writes its own file, rename is atomic. */
function unpack(path: string, bytes: Buffer): void {
  const own = `${path}.${process.pid}`;
  try {
    writeFileSync(own, bytes, { mode: 0o700 });
    chmodSync(own, 0o700);
    renameSync(own, path);
  } catch (error) {
    // On a full disk half of it would keep the room that is missing.
    rmSync(own, { force: true });
    throw error;
  }
}

/** Who began to write such a file and did not end: `sqlite-0123456789abcdef.node.4711` */
function unpackedBy(name: string): number | null {
  const pid = /^sqlite-[0-9a-f]{16}\.node\.(\d{1,10})$/.exec(name)?.[1];
  return pid === undefined ? null : Number(pid);
}

function hasBytes(path: string, bytes: Buffer): boolean {
  try {
    return readFileSync(path).equals(bytes);
  } catch {
    return false; // Not there yet, or not readable: it is written again.
  }
}
