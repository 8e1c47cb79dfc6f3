/**
 * HTTP/1.1 messages read from a raw socket, for the mock engine (requests) and the load generator (responses).
 * Only what the benchmark meets: keep-alive, Content-Length, chunked, bodies that end with the connection.
 */

/** What a reader finds, in order. `bytes` is only valid during the call: the socket reuses its buffer. */
export interface WireEvents {
  head(text: string): void;
  body(bytes: Buffer): void;
  end(): void;
}

/** Which side sends the messages; only a response without a length has a body, and it ends with the connection. */
export type Sender = 'client' | 'server';

type State = 'head' | 'length' | 'until-close' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer';

const HEAD_END = '\r\n\r\n';
const NOTHING = Buffer.alloc(0);

/** The value of a header, or null; `name` is lower-case and the head keeps its `\r\n` line ends. */
export function findHeader(head: string, name: string): string | null {
  const lower = head.toLowerCase();
  const at = lower.indexOf(`\r\n${name}:`);
  if (at < 0) return null;
  const from = at + name.length + 3;
  const to = lower.indexOf('\r\n', from);
  return lower.slice(from, to < 0 ? undefined : to).trim();
}

/** The status code of a response head. */
export function statusOf(head: string): number {
  return Number(head.slice(9, 12));
}

/** Cuts the bytes of one connection into messages; `push` what arrives, `close` when the peer has gone. */
export class WireReader {
  readonly #sender: Sender;
  readonly #events: WireEvents;
  #state: State = 'head';
  #left = 0;
  #held: Buffer = NOTHING;

  constructor(sender: Sender, events: WireEvents) {
    this.#sender = sender;
    this.#events = events;
  }

  push(arrived: Buffer): void {
    const bytes = this.#held.length === 0 ? arrived : Buffer.concat([this.#held, arrived]);
    this.#held = NOTHING;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#step(bytes, at);
      if (next < 0) {
        this.#held = Buffer.from(bytes.subarray(at));
        return;
      }
      at = next;
    }
  }

  close(): void {
    if (this.#state === 'until-close') this.#finish();
  }

  /** Consumes one element from `at`; returns where the next one starts, or -1 when more bytes are needed. */
  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes, at);
      case 'length':
      case 'chunk-data':
        return this.#readCounted(bytes, at);
      case 'until-close':
        this.#events.body(bytes.subarray(at));
        return bytes.length;
      case 'chunk-size':
        return this.#readChunkSize(bytes, at);
      case 'chunk-end':
        if (bytes.length - at < 2) return -1;
        this.#state = 'chunk-size';
        return at + 2;
      case 'trailer':
        return this.#readTrailer(bytes, at);
    }
  }

  #readHead(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(HEAD_END, at, 'latin1');
    if (end < 0) return -1;
    const head = bytes.toString('latin1', at, end);
    this.#events.head(head);
    const length = findHeader(head, 'content-length');
    if (length !== null) {
      this.#left = Number(length);
      this.#state = 'length';
      if (this.#left === 0) this.#finish();
    } else if (findHeader(head, 'transfer-encoding') === 'chunked') this.#state = 'chunk-size';
    else if (this.#sender === 'server') this.#state = 'until-close';
    else this.#finish();
    return end + HEAD_END.length;
  }

  #readCounted(bytes: Buffer, at: number): number {
    const to = Math.min(bytes.length, at + this.#left);
    this.#left -= to - at;
    this.#events.body(at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to));
    if (this.#left === 0) {
      if (this.#state === 'length') this.#finish();
      else this.#state = 'chunk-end';
    }
    return to;
  }

  #readChunkSize(bytes: Buffer, at: number): number {
    const end = bytes.indexOf('\r\n', at, 'latin1');
    if (end < 0) return -1;
    this.#left = Number.parseInt(bytes.toString('latin1', at, end), 16);
    this.#state = this.#left === 0 ? 'trailer' : 'chunk-data';
    return end + 2;
  }

  #readTrailer(bytes: Buffer, at: number): number {
    const end = bytes.indexOf('\r\n', at, 'latin1');
    if (end < 0) return -1;
    if (end === at) this.#finish();
    return end + 2;
  }

  #finish(): void {
    this.#state = 'head';
    this.#events.end();
  }
}
