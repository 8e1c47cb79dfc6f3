/** Messages to addresses that somebody gave for them: webhooks. Checked each time they are sent, since names move. */
import type { Purpose } from './guard';
import { pinned, type SendChecked } from './pinned';
import type { ChunkReader } from './transport';

export interface Delivery {
  readonly url: string;
  /** Whether it may lead to this machine or a private network. Never to the metadata services of clouds. */
  readonly allowPrivate: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For all of it: the name, the connection, the answer. */
  readonly timeoutMs: number;
  /** How much of the answer is wanted. */
  readonly maxAnswerBytes: number;
  readonly signal: AbortSignal;
}

export interface Delivered {
  readonly status: number;
  readonly retryAfter: string | null;
  /** The beginning of the answer. */
  readonly text: string;
}

/** @throws EGRESS_REFUSED, EgressError; the abort reason */
export async function deliver(
  { url: text, allowPrivate, headers, body, timeoutMs, maxAnswerBytes, signal: ending }: Delivery,
  sendChecked: SendChecked,
): Promise<Delivered> {
  const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ending]);
  const purpose: Purpose = allowPrivate ? 'engine' : 'public';
  const { response } = await sendChecked(text, purpose, signal, (target) => {
    const request = pinned(target, 'alert', signal);
    return { ...request, method: 'POST', headers: { ...headers, ...request.headers }, body };
  });
  const answer = await beginningOf(response.body.reader(), maxAnswerBytes);
  return { status: response.status, retryAfter: response.headers.get('retry-after'), text: answer };
}

/** What can be had of it: the status is known, and nothing else decides. */
async function beginningOf(reader: ChunkReader, maxBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for (let piece = await reader.read(); piece !== null; piece = await reader.read()) {
      pieces.push(piece);
      size += piece.length;
      if (size >= maxBytes) break;
    }
  } catch {
    // It broke off, or took too long.
  }
  reader.cancel();
  return new TextDecoder().decode(Buffer.concat(pieces).subarray(0, maxBytes));
}
