/** Writes long results piece by piece: to stdout, or to a file that is whole or not there. */
import { existsSync } from 'node:fs';
import { FlmError } from '../src/lib/errors';
import { writePiecesAtomic } from '../src/lib/files';
import type { Cli } from './cli';
import { isReaderGone, outputFailed } from './output';

/** The next piece is made when this one has left. A reader that has enough ends it. @throws OUTPUT_FAILED */
export async function writeOut(cli: Cli, pieces: AsyncIterable<string>): Promise<void> {
  for await (const piece of pieces) {
    cli.write(piece);
    const lost = await cli.delivered();
    if (lost === null) continue;
    if (isReaderGone(lost)) return;
    throw outputFailed(lost);
  }
}

/** Resolves with the bytes of the new file, which only its owner can read. @throws INVALID_INPUT when it is there; IO_ERROR */
export async function writeNewFile(path: string, pieces: AsyncIterable<string>): Promise<number> {
  requireNew(path);
  return writePiecesAtomic(path, pieces);
}

/** @throws INVALID_INPUT: what is there is somebody's, and not to be written over */
export function requireNew(path: string): void {
  if (existsSync(path))
    throw new FlmError('INVALID_INPUT', {
      meta: { field: '--output', reason: `${path} is there already; choose another name` },
    });
}
