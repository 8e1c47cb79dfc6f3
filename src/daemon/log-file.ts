/** The log of an FLM in the background: logs/flm.log, for its owner alone, and never more than two files of a fixed size. */
import { appendFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePrivateDir } from '../lib/files';

const MAX_BYTES = 10 * 1024 * 1024;

export function logPathIn(logsDir: string): string {
  return join(logsDir, 'flm.log');
}

/**
 * A writer of whole lines. The full file becomes `flm.log.1`, in place of the one before it. A disk that takes nothing
 * loses lines: FLM goes on.
 * @throws IO_ERROR when the folder cannot be made
 */
export function openLogFile(logsDir: string, maxBytes = MAX_BYTES): (line: string) => void {
  ensurePrivateDir(logsDir);
  const path = logPathIn(logsDir);
  return (line) => {
    try {
      // Looked at each time: the supervisor and the process that serves both write here.
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (size > 0 && size + Buffer.byteLength(line) > maxBytes) renameSync(path, `${path}.1`);
      appendFileSync(path, line, { mode: 0o600 });
    } catch {
      // Nobody is left who could be told.
    }
  };
}
