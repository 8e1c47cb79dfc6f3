/**
 * Server-sent events as bytes (WHATWG HTML §9.2.6): finding where whole events end in a stream that arrives in
 * arbitrary pieces, taking one event's data apart, and writing events of our own.
 */

const LF = 10;
const CR = 13;
/** An event ends with an empty line: a line end right behind another. Each may be LF, CRLF or CR. */
const LF_CR = Buffer.from('\n\r');
const ENDINGS = [Buffer.from('\n\n'), LF_CR, Buffer.from('\r\r')] as const;
/** An ending may have begun this many bytes before a chunk. */
const LOOK_BACK = 2;

/**
 * Cuts a byte stream after whole events, without looking inside them. A class, because there is one for every stream and
 * methods on a prototype cost nothing to make.
 */
export class SseSplitter {
  readonly #maxEventBytes: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(maxEventBytes: number) {
    this.#maxEventBytes = maxEventBytes;
  }

  /**
   * Takes the next bytes and returns everything up to the end of the last whole event, or null while none ends.
   * @throws RangeError when one event is larger than the limit.
   */
  push(chunk: Uint8Array): Uint8Array | null {
    // The usual case: whole events, nothing held back.
    if (this.#heldBytes === 0 && endsEvent(chunk)) return chunk;
    const held = this.#held;
    const tail = lastBytes(held, LOOK_BACK);
    const window = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
    const found = lastEventEnd(window);
    if (found === -1) {
      this.#hold(chunk);
      return null;
    }
    const end = found - tail.length;
    const whole =
      this.#heldBytes === 0 ? chunk.subarray(0, end) : Buffer.concat([...held, chunk.subarray(0, end)]);
    this.#held = [];
    this.#heldBytes = 0;
    this.#hold(chunk.subarray(end));
    return whole;
  }

  /** The bytes after the last whole event; empty when the stream ended where it should. */
  rest(): Uint8Array {
    return Buffer.concat(this.#held);
  }

  #hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > this.#maxEventBytes)
      throw new RangeError(`one event is larger than ${this.#maxEventBytes} bytes`);
    this.#held.push(bytes);
  }
}

const DATA_LINE = Buffer.from('\ndata:');

/** How many events there are in whole ones, as engines write them: each has one line of data. */
export function countEvents(region: Uint8Array): number {
  const { indexOf } = Buffer.prototype;
  let count = indexOf.call(region.subarray(0, DATA_LINE.length - 1), DATA_LINE.subarray(1)) === 0 ? 1 : 0;
  for (let at = indexOf.call(region, DATA_LINE); at !== -1; at = indexOf.call(region, DATA_LINE, at + 1))
    count++;
  return count;
}

function endsEvent(chunk: Uint8Array): boolean {
  const last = chunk.length - 1;
  return chunk[last] === LF && (chunk[last - 1] === LF || (chunk[last - 1] === CR && chunk[last - 2] === LF));
}

/** The offset after the last empty line, or -1. A CR may be half of a CRLF: the LF behind it belongs to it. */
function lastEventEnd(bytes: Uint8Array): number {
  let end = -1;
  for (const ending of ENDINGS) {
    let at = Buffer.prototype.lastIndexOf.call(bytes, ending);
    // LF CR at the very end is most likely a CRLF that was cut: its LF is waited for.
    if (ending === LF_CR && at === bytes.length - 2)
      at = at <= 0 ? -1 : Buffer.prototype.lastIndexOf.call(bytes, ending, at - 1);
    if (at === -1) continue;
    const isHalf = bytes[at + 1] === CR && bytes[at + 2] === LF;
    end = Math.max(end, at + (isHalf ? 3 : 2));
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
  let lineStart = 0;
  for (let i = 0; i < region.length; i++) {
    const byte = region[i];
    if (byte !== LF && byte !== CR) continue;
    // An empty line that comes first ends nothing.
    const endsEvent = i === lineStart && i > start;
    if (byte === CR && region[i + 1] === LF) i++;
    lineStart = i + 1;
    if (!endsEvent) continue;
    yield region.subarray(start, lineStart);
    start = lineStart;
  }
  if (start < region.length) yield region.subarray(start);
}

/** The payload of an event: its `data:` lines joined by line feeds, or null when it has none (a comment, a ping). */
export function dataOf(event: Uint8Array): string | null {
  const lines: string[] = [];
  for (const line of textOf(event).split(/\r\n|\r|\n/)) {
    const field = DATA_FIELD.exec(line)?.[0];
    if (field !== undefined) lines.push(line.slice(field.length));
  }
  return lines.length === 0 ? null : lines.join('\n');
}

/** The event with `data` in place of its own; its other lines, and how its lines end, stay as they are. */
export function withData(event: Uint8Array, data: string): Uint8Array {
  let written = false;
  const changed = textOf(event).replace(LINE, (line, content: string, end: string) => {
    const field = DATA_FIELD.exec(content)?.[0];
    if (field === undefined) return line;
    if (written) return '';
    written = true;
    const prefix = field === 'data' ? 'data: ' : field;
    return (
      data
        .split('\n')
        .map((piece) => prefix + piece)
        .join(end) + end
    );
  });
  return Buffer.from(changed);
}

/** The field `data`, with its colon and the one space that does not belong to the value. */
const DATA_FIELD = /^data(?:: ?|$)/;
const LINE = /([^\r\n]+)(\r\n|\r|\n|$)/g;

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

/** An event that carries `data`. */
export function eventOf(data: string): Uint8Array {
  return Buffer.from(`data: ${data.replaceAll('\n', '\ndata: ')}\n\n`);
}

/** A comment: clients skip it, connections stay open. */
export const PING: Uint8Array = Buffer.from(': ping\n\n');
