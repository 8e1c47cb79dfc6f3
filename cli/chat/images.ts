/** Images of a question: files and public URLs, both sent inside the request as data URLs (FLM-060). */
import { readFileSync, statSync } from 'node:fs';
import type { Egress } from '../../src/egress';
import { FlmError, reasonOf } from '../../src/lib/errors';

const MAX_BYTES = 10 * 1024 * 1024;
const FETCH_TIMEOUT_MS = 30_000;

/** First bytes of the formats that vision models take (FLM-061). */
const SIGNATURES: readonly (readonly [string, (bytes: Uint8Array) => boolean])[] = [
  ['image/png', (bytes) => startsWith(bytes, [0x89, 0x50, 0x4e, 0x47])],
  ['image/jpeg', (bytes) => startsWith(bytes, [0xff, 0xd8, 0xff])],
  [
    'image/webp',
    (bytes) =>
      startsWith(bytes, [0x52, 0x49, 0x46, 0x46]) && startsWith(bytes.subarray(8), [0x57, 0x45, 0x42, 0x50]),
  ],
  ['image/gif', (bytes) => startsWith(bytes, [0x47, 0x49, 0x46, 0x38])],
];

/** @throws INVALID_INPUT; IO_ERROR when the file is there and cannot be read */
export function imageFromFile(path: string): string {
  try {
    const about = statSync(path, { throwIfNoEntry: false });
    if (about === undefined) throw invalid('--image', `there is no file ${path}`);
    if (about.isDirectory()) throw invalid('--image', `${path} is a directory`);
    if (about.size > MAX_BYTES) throw invalid('--image', `${path} is larger than 10 MB`);
    return dataUrl('--image', path, readFileSync(path));
  } catch (error) {
    if (error instanceof FlmError) throw error;
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}

/** Fetched here and not by the engine, and never from a private address. @throws EGRESS_REFUSED, INVALID_INPUT */
export async function imageFromUrl(egress: Egress, url: string): Promise<string> {
  const { bytes } = await egress
    .download(url, { maxBytes: MAX_BYTES, timeoutMs: FETCH_TIMEOUT_MS })
    .catch((error: unknown) => {
      if (error instanceof FlmError) throw error;
      throw invalid('--image-url', `${url} cannot be fetched (${reasonOf(error)})`);
    });
  return dataUrl('--image-url', url, bytes);
}

function dataUrl(option: string, name: string, bytes: Uint8Array): string {
  const type = SIGNATURES.find(([, matches]) => matches(bytes))?.[0];
  if (type === undefined) throw invalid(option, `${name} is no PNG, JPEG, WebP or GIF image`);
  return `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;
}

function startsWith(bytes: Uint8Array, signature: readonly number[]): boolean {
  return signature.every((byte, index) => bytes[index] === byte);
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
