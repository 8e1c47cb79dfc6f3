/**
 * From an answer to the wire: `planAnswer` turns an answer and a fault into bytes, pauses and an ending. Pure;
 * the sockets are http.ts's.
 */
import type { Answer, Framing, NamedEvent, StreamBody } from './answer';
import type { Fault } from './faults';
import type { Ending, HeaderPair } from './http';

/** Makes a 429, 500 or 503 in the engine's own words. */
export type Refuse = (status: number, extra?: readonly HeaderPair[]) => Answer;

export interface Plan {
  readonly steps: readonly Step[];
  /** `stall`: nothing more happens until the client leaves. */
  readonly ending: Ending | 'stall';
  /** Whether the client gets a whole, well-framed answer (be it an error). */
  readonly whole: boolean;
}

export interface Step {
  readonly bytes: Buffer;
  /** Pause before these bytes. */
  readonly delayMs: number;
}

/** Turns an answer into bytes on the wire, spoilt by the fault. */
export function planAnswer(answer: Answer, fault: Fault | null, refuse: Refuse): Plan {
  const { ending } = answer;
  switch (fault?.kind) {
    case 'slow':
      return delayed(plain(answer), fault.delayMs);
    case 'stall-before-headers':
      return { steps: [], ending: 'stall', whole: false };
    case 'stall-before-first-token':
      return { steps: [step(head(answer))], ending: 'stall', whole: false };
    case 'stall-mid-stream':
      return { steps: cut(answer, fault.afterChunks ?? 2, 'between'), ending: 'stall', whole: false };
    case 'die-before-headers':
      return { steps: [], ending: 'reset', whole: false };
    case 'die-mid-stream':
      return { steps: cut(answer, fault.afterChunks ?? 2, 'between'), ending: 'close', whole: false };
    case 'reset-mid-stream':
      // The pause lets the client read what came before: a reset throws away what it has not read.
      return {
        steps: [...cut(answer, fault.afterChunks ?? 2, 'between'), { bytes: Buffer.alloc(0), delayMs: 25 }],
        ending: 'reset',
        whole: false,
      };
    case 'die-mid-frame':
      return { steps: cut(answer, fault.afterChunks ?? 2, 'within'), ending: 'close', whole: false };
    case 'garbage':
      return { steps: [step(GARBAGE)], ending: 'close', whole: false };
    case 'garbage-frames':
      return answer.body.type === 'stream'
        ? plain({ ...answer, body: garbled(answer.body) })
        : planAnswer(answer, { kind: 'wrong-json', form: 'not-json' }, refuse);
    case 'half-utf8':
      return halved(answer);
    case 'one-byte-chunks': {
      const steps = [...contentOf(answer, '\n')].map((byte) => step(chunk(Buffer.of(byte))));
      return { steps: [step(head(answer, 'chunked')), ...steps, step(LAST_CHUNK)], ending, whole: true };
    }
    case 'crlf-frames':
      return plain(answer, '\r\n');
    case 'status-429':
      return plain(refuse(429, [['Retry-After', String(fault.retryAfterSeconds ?? 7)]]));
    case 'status-500':
      return plain(refuse(500));
    case 'status-503':
      return plain(refuse(503));
    case 'wrong-json':
      return plain(brokenJson(answer, fault.form ?? 'truncated'));
    case 'wrong-content-length':
      return miscounted(answer, fault.by ?? 10);
    case 'never-close': {
      const { steps } = answer.body.type === 'stream' ? plain(answer) : rechunked(answer);
      return { steps: steps.slice(0, -1), ending: 'stall', whole: false };
    }
    case 'error-frame':
      return answer.body.type === 'stream'
        ? plain(withErrorFrame(answer, answer.body, fault.afterChunks ?? 0, refuse))
        : plain(refuse(500));
    case 'close-after-stream':
      return answer.body.type === 'stream' ? { ...plain(answer), ending: 'close' } : plain(answer);
    case 'bad-headers': {
      const kept = answer.headers.filter(([name]) => !/^(connection|keep-alive)$/i.test(name));
      const { steps } = plain({ ...answer, headers: [...kept, ...BAD_HEADERS] });
      const trailed = Buffer.from('0\r\nX-Checksum: not-for-you\r\n\r\n');
      const chunked = answer.body.type === 'stream' || isChunked(answer);
      const body = chunked ? [...steps.slice(0, -1), step(trailed)] : steps;
      return { steps: body, ending, whole: true };
    }
    case 'redirect': {
      const { status: _, ...refused } = refuse(500, [['Location', fault.location]]);
      return plain({ ...refused, status: '302 Found' });
    }
    case undefined:
    case 'huge-line':
    case 'usage-every-chunk':
    case 'no-usage':
    case 'no-done':
      return plain(answer);
  }
}

const LAST_CHUNK = Buffer.from('0\r\n\r\n');
/** The start of a TLS alert: what a client hears that speaks HTTP to an HTTPS port. */
const GARBAGE = Buffer.from('\x15\x03\x01\x00\x02\x02\x28 this is not HTTP \xff\xfe\r\n\r\n', 'latin1');
const NOT_JSON = '<!doctype html><title>502 Bad Gateway</title>';
const BAD_HEADERS: readonly HeaderPair[] = [
  ['Connection', 'x-foo'],
  ['X-Foo', 'only for the next hop'],
  ['Keep-Alive', 'timeout=1, max=1'],
  ['Proxy-Authenticate', 'Basic realm="engine"'],
  ['Trailer', 'X-Checksum'],
  ['Upgrade', 'h2c'],
  ['Set-Cookie', 'a=1; Path=/'],
  ['Set-Cookie', 'b=2; Path=/'],
];

function plain(answer: Answer, eol = '\n'): Plan {
  const first = step(head(answer));
  if (answer.body.type === 'whole') {
    const { bytes, delayMs } = answer.body;
    const content = isChunked(answer) ? [step(chunk(bytes)), step(LAST_CHUNK)] : [step(bytes)];
    return { steps: [{ ...first, delayMs }, ...content], ending: answer.ending, whole: true };
  }
  const { framing } = answer.body;
  const chunks = answer.body.chunks.map((each) => ({
    bytes: chunk(frames(each.events, eol, framing)),
    delayMs: each.delayMs,
  }));
  return { steps: [first, ...chunks, step(LAST_CHUNK)], ending: answer.ending, whole: true };
}

function delayed(plan: Plan, delayMs: number): Plan {
  const [first, ...rest] = plan.steps;
  if (!first) return plan;
  return { ...plan, steps: [{ ...first, delayMs: first.delayMs + delayMs }, ...rest] };
}

/** The first chunks and then, `within`, half of the next one; or half of a whole body. */
function cut(answer: Answer, afterChunks: number, where: 'between' | 'within'): Step[] {
  const { steps } = plain(answer);
  if (answer.body.type === 'whole') {
    const content = steps[1]?.bytes ?? LAST_CHUNK;
    return [...steps.slice(0, 1), step(content.subarray(0, Math.floor(content.length / 2)))];
  }
  const kept = steps.slice(0, 1 + afterChunks);
  const next = steps[1 + afterChunks];
  if (where === 'between' || !next) return kept;
  return [...kept, { ...next, bytes: next.bytes.subarray(0, Math.floor(next.bytes.length / 2)) }];
}

function garbled(body: StreamBody): StreamBody {
  const junk = ['{"choices":[{"delta":', 'NaN', NOT_JSON, '\u0000\u0001', "{'a': 1}"];
  const chunks = body.chunks.map((each, index) => ({
    ...each,
    events: each.events.map((event) => (event === '[DONE]' ? event : (junk[index % junk.length] ?? ''))),
  }));
  return { ...body, chunks };
}

/** Cuts the body within every multi-byte character: as chunks of a stream, as packets of a whole body. */
function halved(answer: Answer): Plan {
  const content = contentOf(answer, '\n');
  const cuts: number[] = [];
  for (const [index, byte] of content.entries()) {
    // After the first byte of each sequence.
    if (byte >= 0xc0) cuts.push(index + 1);
  }
  const pieces = [0, ...cuts].map((start, index) => content.subarray(start, cuts[index] ?? content.length));
  const streamed = answer.body.type === 'stream' || isChunked(answer);
  const steps = pieces.map((piece) => ({ bytes: streamed ? chunk(piece) : piece, delayMs: 1 }));
  const last = streamed ? [step(LAST_CHUNK)] : [];
  return { steps: [step(head(answer)), ...steps, ...last], ending: answer.ending, whole: true };
}

function brokenJson(answer: Answer, form: 'truncated' | 'not-json'): Answer {
  const bytes =
    form === 'truncated' ? Buffer.from('{"id":"chatcmpl-1","choices":[{"ind') : Buffer.from(NOT_JSON);
  const headers = frameHeaders(answer.headers, bytes.length).map(([name, value]): HeaderPair => {
    return name.toLowerCase() === 'content-type' ? [name, 'application/json'] : [name, value];
  });
  return { ...answer, headers, body: { type: 'whole', bytes, delayMs: 0 } };
}

function miscounted(answer: Answer, by: number): Plan {
  const content = contentOf(answer, '\n');
  const headers = frameHeaders(answer.headers, content.length + by);
  const steps = [step(head({ ...answer, headers })), step(content)];
  return { steps, ending: by > 0 ? 'close' : answer.ending, whole: false };
}

function rechunked(answer: Answer): Plan {
  const steps = [step(head(answer, 'chunked')), step(chunk(contentOf(answer, '\n'))), step(LAST_CHUNK)];
  return { steps, ending: answer.ending, whole: true };
}

function withErrorFrame(answer: Answer, body: StreamBody, afterChunks: number, refuse: Refuse): Answer {
  const refused = refuse(503).body;
  // Go ends its JSON with a line feed, which would end the event.
  const outside = refused.type === 'whole' ? refused.bytes.toString().trimEnd() : '{}';
  const text = body.errorJson?.(outside) ?? outside;
  const spoken = body.chunks.slice(0, afterChunks);
  const done = body.chunks.some(({ events }) => events.includes('[DONE]')) ? ['[DONE]'] : [];
  const named = body.chunks.some(({ events }) => events.some((event) => typeof event === 'object'));
  const error = named ? { event: 'error', data: text } : text;
  const end = [error, ...done].map((event) => ({ events: [event], delayMs: 0 }));
  return { ...answer, body: { ...body, chunks: [...spoken, ...end] } };
}

/** The whole body without framing. */
function contentOf(answer: Answer, eol: string): Buffer {
  if (answer.body.type === 'whole') return answer.body.bytes;
  const { chunks, framing } = answer.body;
  return Buffer.concat(chunks.map(({ events }) => frames(events, eol, framing)));
}

/** Whether a whole body goes out in chunks all the same: what Go does with more than 2,048 bytes. */
function isChunked(answer: Answer): boolean {
  return answer.headers.some(([name, value]) => /^transfer-encoding$/i.test(name) && value === 'chunked');
}

function head(answer: Answer, framing?: 'chunked'): Buffer {
  const headers = framing ? frameHeaders(answer.headers, framing) : answer.headers;
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${answer.status}\r\n${lines.join('')}\r\n`);
}

/** Replaces the header that frames the body, in its place and its engine's spelling. */
function frameHeaders(headers: readonly HeaderPair[], framing: 'chunked' | number): HeaderPair[] {
  return headers.map(([name, value]) => {
    if (!/^(content-length|transfer-encoding)$/i.test(name)) return [name, value];
    const framed = framing === 'chunked' ? 'Transfer-Encoding' : 'Content-Length';
    return [name === name.toLowerCase() ? framed.toLowerCase() : framed, String(framing)];
  });
}

function frames(events: readonly (string | NamedEvent)[], eol: string, framing: Framing): Buffer {
  const lines = events.map((event) => {
    const { name, data } =
      typeof event === 'string'
        ? { name: '', data: event }
        : { name: `event: ${event.event}${eol}`, data: event.data };
    return framing === 'ndjson' ? `${data}${eol}` : `${name}data: ${data}${eol}${eol}`;
  });
  return Buffer.from(lines.join(''));
}

function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

function step(bytes: Buffer): Step {
  return { bytes, delayMs: 0 };
}
