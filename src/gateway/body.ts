/**
 * Reads a request body: as text where its length is known (fast), as bytes otherwise. Both refuse what is not UTF-8,
 * because what FLM would read and what the engine would read could then differ.
 */
import type { Cancel } from '../contract';
import { FlmError } from '../lib/errors';
import type { Units } from './scan';

export interface RequestBody {
  /** What to scan and to splice. */
  readonly text: string;
  readonly units: Units;
}

/**
 * Reads the whole body.
 * @throws PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE for a Content-Encoding, INVALID_JSON when it is not UTF-8; the
 * signal's reason when it aborts first.
 */
export function readBody(request: Request, maxBytes: number, signal: Cancel): Promise<RequestBody> {
  return new Promise((resolve, reject) => {
    // The runtime cannot be told to stop reading, so a body that never ends is left behind.
    const leave = { handleEvent: () => reject(signal.reason) };
    signal.addEventListener('abort', leave);
    read(request, maxBytes).then(
      (body) => {
        signal.removeEventListener('abort', leave);
        resolve(body);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', leave);
        reject(error);
      },
    );
  });
}

async function read(request: Request, maxBytes: number): Promise<RequestBody> {
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    // Never expanded here: a few bytes can unpack to gigabytes.
    throw new FlmError('UNSUPPORTED_MEDIA_TYPE', {
      meta: { what: `Content-Encoding "${encoding.slice(0, 40)}"` },
    });
  }
  const announced = request.headers.get('content-length');
  if (announced === null) return readChunked(request, maxBytes);
  const length = Number(announced);
  if (length > maxBytes) throw tooLarge(maxBytes);
  const text = await request.text();
  // Bun turns invalid UTF-8 into U+FFFD, which is longer than what it stands for in all cases but one: a character of
  // four bytes whose last is missing. That one is passed on as U+FFFD; it changes no structure.
  if (text.includes('\uFFFD') && Buffer.byteLength(text) !== length) throw notUtf8();
  return { text, units: 'utf16' };
}

/** A body without a length is read piece by piece, so that it cannot grow past the limit first. */
async function readChunked(request: Request, maxBytes: number): Promise<RequestBody> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  for (let next = await reader?.read(); next !== undefined && !next.done; next = await reader?.read()) {
    size += next.value.length;
    if (size > maxBytes) {
      reader?.cancel().catch(() => {}); // The answer is decided; what the client still sends does not matter.
      throw tooLarge(maxBytes);
    }
    chunks.push(next.value);
  }
  const bytes = withoutMark(Buffer.concat(chunks));
  if (!isUtf8(bytes)) throw notUtf8();
  return { text: bytes.toString('latin1'), units: 'latin1' };
}

/** `text()` takes a byte order mark off, which RFC 8259 §8.1 allows; so does this. */
function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** The body as it is sent on. */
export function wireBody({ text, units }: RequestBody): string | Uint8Array<ArrayBuffer> {
  return units === 'latin1' ? Buffer.from(text, 'latin1') : text;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function notUtf8(): FlmError {
  return new FlmError('INVALID_JSON', { meta: { reason: 'it is not UTF-8' } });
}

function tooLarge(limit: number): FlmError {
  return new FlmError('PAYLOAD_TOO_LARGE', { meta: { limit } });
}
