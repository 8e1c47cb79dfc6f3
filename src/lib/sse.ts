/**
 * Server-sent events as bytes (WHATWG HTML §9.2.6): finding where whole events end in a stream that arrives in
 * arbitrary pieces, taking one event's data apart, and writing events of our own.
 */

/** Cuts a byte stream after whole events, without looking inside them. */
export interface SseSplitter {
  /**
   * Takes the next bytes and returns everything up to the end of the last whole event, or null while none ends.
   * @throws RangeError when one event is larger than the limit.
   */
  push(chunk: Uint8Array): Uint8Array | null;
  /** The bytes after the last whole event; empty when the stream ended where it should. */
  rest(): Uint8Array;
}

const LF = 10;
const CR = 13;
/** An event ends with an empty line; the line before it may end in LF, CRLF or CR. */
const ENDINGS = [Buffer.from('\n\n'), Buffer.from('\n\r\n'), Buffer.from('\r\r')] as const;
const LONGEST_ENDING = 3;

export function createSseSplitter(maxEventBytes: number): SseSplitter {
  let held: Uint8Array[] = [];
  let heldBytes = 0;

  function hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    heldBytes += bytes.length;
    if (heldBytes > maxEventBytes) throw new RangeError(`one event is larger than ${maxEventBytes} bytes`);
    held.push(bytes);
  }

  return {
    push(chunk) {
      // The usual case: whole events, nothing held back.
      if (heldBytes === 0 && endsEvent(chunk)) return chunk;
      const tail = lastBytes(held, LONGEST_ENDING - 1);
      const window = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
      const end = lastEventEnd(window) - tail.length;
      if (end <= 0) {
        hold(chunk);
        return null;
      }
      const whole =
        heldBytes === 0 ? chunk.subarray(0, end) : Buffer.concat([...held, chunk.subarray(0, end)]);
      held = [];
      heldBytes = 0;
      hold(chunk.subarray(end));
      return whole;
    },
    rest: () => Buffer.concat(held),
  };
}

function endsEvent(chunk: Uint8Array): boolean {
  const last = chunk.length - 1;
  return chunk[last] === LF && (chunk[last - 1] === LF || (chunk[last - 1] === CR && chunk[last - 2] === LF));
}

/** The offset after the last empty line, or -1. */
function lastEventEnd(bytes: Uint8Array): number {
  let end = -1;
  for (const ending of ENDINGS) {
    const at = Buffer.prototype.lastIndexOf.call(bytes, ending);
    if (at !== -1) end = Math.max(end, at + ending.length);
  }
  return end;
}

function lastBytes(pieces: readonly Uint8Array[], count: number): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let i = pieces.length - 1; i >= 0 && bytes.length < count; i--) {
    const piece = pieces[i];
    if (piece !== undefined)
      bytes = Buffer.concat([piece.subarray(Math.max(0, piece.length - count)), bytes]);
  }
  return bytes.subarray(Math.max(0, bytes.length - count));
}

/** The whole events in `region`, each with the empty line that ends it. */
export function* eventsIn(region: Uint8Array): Generator<Uint8Array> {
  let start = 0;
  for (let i = 0; i < region.length; i++) {
    if (!isEventEnd(region, i, start)) continue;
    yield region.subarray(start, i + 1);
    start = i + 1;
  }
  if (start < region.length) yield region.subarray(start);
}

/** Whether the byte at `i` is the last one of an empty line of the event that began at `start`. */
function isEventEnd(bytes: Uint8Array, i: number, start: number): boolean {
  const byte = bytes[i];
  const before = i - 1 >= start ? bytes[i - 1] : undefined;
  if (byte === LF && before === LF) return true;
  if (byte === LF && before === CR) return i - 2 >= start && bytes[i - 2] === LF;
  return byte === CR && before === CR;
}

/** The payload of an event: its `data:` lines joined by line feeds, or null when it has none (a comment, a ping). */
export function dataOf(event: Uint8Array): string | null {
  const lines: string[] = [];
  for (const line of Buffer.from(event.buffer, event.byteOffset, event.length)
    .toString('utf8')
    .split(/\r\n|\r|\n/)) {
    if (line.startsWith('data:')) lines.push(line.slice(line[5] === ' ' ? 6 : 5));
  }
  return lines.length === 0 ? null : lines.join('\n');
}

/** An event that carries `data` (without line breaks, as JSON is). */
export function eventOf(data: string): Uint8Array {
  return Buffer.from(`data: ${data}\n\n`);
}

/** A comment: clients skip it, connections stay open. */
export const PING: Uint8Array = Buffer.from(': ping\n\n');
