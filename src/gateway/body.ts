/**
 * Reads a request body: as text where its length is known (fast), as bytes otherwise. Both refuse what is not UTF-8,
 * because what FLM would read and what the engine would read could then differ.
 */
import { FlmError } from '../lib/errors';
import type { Exchange } from './exchanges';
import { Intake, type IntakeLimits } from './intake';
import type { Units } from './scan';

export interface RequestBody {
  /** What to scan and to splice. */
  readonly text: string;
  readonly units: Units;
}

/** Up to here a body is read at once; of a longer one it is worth to know whether it moves. */
const AT_ONCE_BYTES = 65_536;

/**
 * Reads the whole body.
 * @throws PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE for a Content-Encoding, INVALID_JSON when it is not UTF-8; the
 * signal's reason when the exchange is aborted first, which a body that comes too slowly does (BODY_TOO_SLOW).
 */
export function readBody(
  request: Request,
  maxBytes: number,
  exchange: Pick<Exchange, 'signal' | 'whileReading'>,
  limits: IntakeLimits,
): Promise<RequestBody> {
  const { signal } = exchange;
  const intake = new Intake(limits);
  exchange.whileReading(intake);
  return new Promise((resolve, reject) => {
    // What is read at once cannot be given up, so a body that never ends is left behind.
    const leave = {
      handleEvent() {
        exchange.whileReading(null);
        intake.giveUp();
        reject(signal.reason);
      },
    };
    const over = () => {
      exchange.whileReading(null);
      signal.removeEventListener('abort', leave);
    };
    signal.addEventListener('abort', leave);
    read(request, maxBytes, intake).then(
      (body) => {
        over();
        resolve(body);
      },
      (error: unknown) => {
        over();
        reject(error);
      },
    );
  });
}

async function read(request: Request, maxBytes: number, intake: Intake): Promise<RequestBody> {
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    // Never expanded here: a few bytes can unpack to gigabytes.
    throw new FlmError('UNSUPPORTED_MEDIA_TYPE', {
      meta: { what: `Content-Encoding "${encoding.slice(0, 40)}"` },
    });
  }
  const announced = request.headers.get('content-length');
  if (announced === null) {
    const bytes = withoutMark(await readPieces(request, maxBytes, intake));
    decoded(bytes);
    return { text: bytes.toString('latin1'), units: 'latin1' };
  }
  const length = Number(announced);
  if (length > maxBytes) throw tooLarge(maxBytes);
  if (length > AT_ONCE_BYTES)
    return { text: decoded(await readPieces(request, maxBytes, intake)), units: 'utf16' };
  intake.expect(length);
  const text = await request.text();
  // Bun turns invalid UTF-8 into U+FFFD, which is longer than what it stands for in all cases but one: a character of
  // four bytes whose last is missing. That one is passed on as U+FFFD; it changes no structure.
  if (text.includes('\uFFFD') && Buffer.byteLength(text) !== length) throw notUtf8();
  return { text, units: 'utf16' };
}

/** Reads piece by piece: so a body cannot grow past the limit first, and one that does not move is noticed. */
async function readPieces(request: Request, maxBytes: number, intake: Intake): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  if (reader === undefined) return Buffer.alloc(0);
  intake.follow(reader);
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    size += next.value.length;
    intake.came(next.value.length);
    if (size > maxBytes) {
      intake.giveUp(); // The answer is decided; what the client still sends does not matter.
      throw tooLarge(maxBytes);
    }
    chunks.push(next.value);
  }
  return Buffer.concat(chunks);
}

/** `text()` takes a byte order mark off, which RFC 8259 §8.1 allows; so does this. */
function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** The body as it is sent on. */
export function wireBody({ text, units }: RequestBody): string | Uint8Array<ArrayBuffer> {
  return units === 'latin1' ? Buffer.from(text, 'latin1') : text;
}

/** @throws INVALID_JSON */
function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw notUtf8();
  }
}

function notUtf8(): FlmError {
  return new FlmError('INVALID_JSON', { meta: { reason: 'it is not UTF-8' } });
}

function tooLarge(limit: number): FlmError {
  return new FlmError('PAYLOAD_TOO_LARGE', { meta: { limit } });
}
