/**
 * The native part of SQLite. From source the package finds its own prebuilt file; the executable carries one
 * and loads it from the data directory, because /tmp may be mounted noexec (ADR 0001).
 */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlmError, reasonOf } from '../src/lib/errors';

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
    if (!hasBytes(path, bytes)) {
      mkdirSync(libDir, { recursive: true, mode: 0o700 });
      // Another process may do the same at this moment: each writes its own file, rename is atomic.
      const own = `${path}.${process.pid}`;
      writeFileSync(own, bytes, { mode: 0o700 });
      chmodSync(own, 0o700);
      renameSync(own, path);
    }
    const module = { exports: {} };
    process.dlopen(module, path);
    return module.exports;
  } catch (error) {
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}

function hasBytes(path: string, bytes: Buffer): boolean {
  try {
    return readFileSync(path).equals(bytes);
  } catch {
    return false; // Not there yet, or not readable: it is written again.
  }
}
