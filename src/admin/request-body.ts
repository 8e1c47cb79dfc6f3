/** Reads the body of an admin request: whole, small, and soon. */
import { FlmError } from '../lib/errors';

/** Before the runtime cuts the connection without a word. */
const LIMIT_MS = 8_000;

/**
 * The body as text, `''` where there is none.
 * @throws PAYLOAD_TOO_LARGE above `maxBytes`, BODY_TIMEOUT when it takes longer than `limitMs`, INVALID_JSON when it is not
 * UTF-8, CLIENT_CLOSED_REQUEST when it breaks off
 */
export async function readBody(request: Request, maxBytes: number, limitMs = LIMIT_MS): Promise<string> {
  if (request.body === null) return '';
  const announced = Number(request.headers.get('content-length') ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const reader = request.body.getReader();
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new FlmError('BODY_TIMEOUT', { meta: { limitMs } })), limitMs);
  try {
    const chunks: Uint8Array[] = [];
    for (let bytes = 0; ; ) {
      const { done, value } = await Promise.race([reader.read(), tooLate]);
      if (done) return decode(chunks);
      bytes += value.byteLength;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      chunks.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    // What the stream itself throws is that nobody sends any more.
    throw error instanceof FlmError ? error : new FlmError('CLIENT_CLOSED_REQUEST', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** More than any body of the admin API has; what checks it takes a second for ten thousand. */
const MAX_DEPTH = 32;

/** @throws INVALID_JSON for JSON that is nested deeper than anybody needs */
export function requireShallow(json: string): void {
  let depth = 0;
  for (const token of json.matchAll(/"(?:[^"\\]|\\.)*"?|[[\]{}]/gs)) {
    const [sign] = token;
    if (sign === '[' || sign === '{') depth++;
    else if (sign === ']' || sign === '}') depth--;
    if (depth > MAX_DEPTH)
      throw new FlmError('INVALID_JSON', { meta: { reason: 'it is nested too deeply' } });
  }
}

function decode(chunks: readonly Uint8Array[]): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw new FlmError('INVALID_JSON', { meta: { reason: 'it is not UTF-8' }, cause: error });
  }
}

function tooLarge(limit: number): FlmError {
  return new FlmError('PAYLOAD_TOO_LARGE', {
    meta: { limit },
    hint: 'Nothing in the admin API needs as much.',
  });
}
