/** What FLM makes of a body: what it has read, and the bytes that an engine gets. */
import { createHash } from 'node:crypto';
import { readBody, wireBody } from '../../../src/gateway/body';
import { type Scan, scanBody } from '../../../src/gateway/scan';
import { spliceBody } from '../../../src/gateway/splice';
import { manualClock } from '../../../src/lib/clock';
import { FlmError } from '../../../src/lib/errors';
import { isRecord } from '../../../src/lib/json';

/** What a body means: whose answer, as a stream or not, with usage or not. `model` is null where a parser does not tell. */
export interface Meaning {
  readonly model: string | null;
  readonly stream: boolean;
  readonly usage: boolean;
}

/** A body on its way to an engine, and what FLM takes it for. */
export interface Sent {
  readonly bytes: Buffer;
  readonly meaning: Meaning;
}

/** The engine's name of a model that clients call otherwise. */
export const RENAMED = 'o/n\u00e9\ud83d\udd11"\\';
const ENDLESS = { signal: new AbortController().signal, abort() {}, whileReading() {} };
const PATIENT = { clock: manualClock(), minBodyBytesPerSecond: () => null };

/** As it is sent on, and as it is when the model has another name there and usage is asked for. Null: it is refused. */
export async function readAsFlm(
  body: string | Uint8Array,
  framing: 'length' | 'chunks',
): Promise<readonly Sent[] | null> {
  try {
    const bytes = Buffer.from(body);
    const headers: HeadersInit = framing === 'length' ? { 'content-length': String(bytes.length) } : {};
    const request = new Request('http://flm/', { method: 'POST', body: bytes, headers });
    if (framing === 'chunks') request.headers.delete('content-length');
    const read = await readBody(request, 2 ** 30, ENDLESS, PATIENT);
    const scan = scanBody(read.text, read.units);
    const stream = scan.stream;
    const changed = spliceBody(read.text, scan, read.units, {
      model: RENAMED,
      askUsage: stream && scan.omitsUsage,
    });
    const usage = asksForUsage(scan, read.text);
    return [
      { bytes: Buffer.from(wireBody(read)), meaning: { model: scan.model, stream, usage } },
      {
        bytes: Buffer.from(wireBody({ ...read, text: changed })),
        meaning: { model: RENAMED, stream, usage: usage || (stream && scan.omitsUsage) },
      },
    ];
  } catch (error) {
    if (error instanceof FlmError && error.status === 400) return null;
    throw error;
  }
}

function asksForUsage({ streamOptionsSpan: span, omitsUsage }: Scan, text: string): boolean {
  return span !== null && !omitsUsage && isRecord(JSON.parse(text.slice(span.start, span.end)));
}

/** By which a body is found among the verdicts. */
export function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
