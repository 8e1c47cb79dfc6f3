/** Reading bodies with a bound: what comes in is as large as the other side likes. */
import type { ChunkReader } from './transport';

/** The most that is read whole: no answer is a reason to run out of memory. */
export const MAX_WHOLE_BYTES = 268_435_456;

/** All that the reader has, or null when that is more than `maxBytes`: then the reader is cancelled. */
export async function readAtMost(reader: ChunkReader, maxBytes: number): Promise<Uint8Array | null> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (let piece = await reader.read(); piece !== null; piece = await reader.read()) {
    pieces.push(piece);
    size += piece.length;
    if (size > maxBytes) {
      reader.cancel();
      return null;
    }
  }
  return Buffer.concat(pieces);
}
