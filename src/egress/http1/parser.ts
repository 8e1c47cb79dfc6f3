/**
 * Reads HTTP/1.1 responses from a byte stream (RFC 9112). Strict where two readers could disagree: both lengths at once,
 * repeated or malformed lengths, transfer codings other than chunked, and lines that do not end in CRLF are refused.
 */
import { HeaderList } from './headers';

export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderList;
}

/** Told what the parser finds, in order: one head, any number of pieces, one end. */
export interface ParserSink {
  onHead(head: ResponseHead): void;
  /** A piece of the body: a view into the bytes that were pushed. */
  onData(bytes: Uint8Array): void;
  /** The response is complete. `reusable`: the connection may carry another request. */
  onEnd(reusable: boolean): void;
}

/** What arrived is not an HTTP/1.1 response. */
export class MalformedResponse extends Error {
  override readonly name = 'MalformedResponse';
}

type State =
  | 'head'
  | 'length'
  | 'chunk-size'
  | 'chunk-data'
  | 'chunk-end'
  | 'trailers'
  | 'until-close'
  | 'done';

const MAX_HEAD_BYTES = 65_536;
/** A chunk's size line, extensions included; a trailer line. */
const MAX_LINE_BYTES = 8_192;
/** Interim answers (RFC 9110 §15.2) before the real one; 102 may come every few seconds while an engine works. */
const MAX_INTERIM = 1_000;
const CR = 13;
const LF = 10;
const HEAD_END = Buffer.from('\r\n\r\n');
/** RFC 9112 §4; statuses beyond 599 do not exist (RFC 9110 §15). */
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** RFC 9112 §7.1; what an extension says is nobody's business. */
const CHUNK_SIZE = /^([0-9a-fA-F]{1,13})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const NOTHING = new Uint8Array(0);

export class ResponseParser {
  readonly #sink: ParserSink;
  #state: State = 'head';
  /** Bytes of a head or a line that is not complete yet, with room for more: a byte at a time costs no more than that. */
  #held: Uint8Array = NOTHING;
  #heldBytes = 0;
  /** Bytes still to come of the body or the chunk; bytes the trailers may still have. */
  #remaining = 0;
  /** Interim answers so far. */
  #interim = 0;
  #keepAlive = false;

  constructor(sink: ParserSink) {
    this.#sink = sink;
  }

  /** Whether anything of a response has arrived. */
  get started(): boolean {
    return this.#state !== 'head' || this.#heldBytes > 0 || this.#interim > 0;
  }

  /** Makes it ready for the next response on the same connection. */
  reset(): void {
    this.#state = 'head';
    this.#heldBytes = 0;
    this.#interim = 0;
  }

  /** Takes the next bytes. @throws MalformedResponse */
  push(chunk: Uint8Array): void {
    let bytes = chunk;
    while (bytes.length > 0) {
      switch (this.#state) {
        case 'head':
          bytes = this.#head(bytes);
          break;
        case 'length':
        case 'chunk-data':
          bytes = this.#body(bytes);
          break;
        case 'until-close':
          this.#sink.onData(bytes);
          return;
        case 'chunk-size':
        case 'chunk-end':
        case 'trailers':
          bytes = this.#line(bytes);
          break;
        case 'done':
          throw new MalformedResponse('it sent more than its answer');
      }
    }
  }

  /** The other side closed its end properly. Returns whether that was the end of the response. */
  finish(): boolean {
    if (this.#state !== 'until-close') return false;
    this.#state = 'done';
    this.#sink.onEnd(false);
    return true;
  }

  #head(bytes: Uint8Array): Uint8Array {
    const before = this.#heldBytes;
    const all = before === 0 ? bytes : this.#hold(bytes);
    // The end may have begun in what came before.
    const end = Buffer.prototype.indexOf.call(all, HEAD_END, Math.max(0, before - 3));
    if (end === -1 || end > MAX_HEAD_BYTES) {
      if (all.length > MAX_HEAD_BYTES) throw new MalformedResponse('its headers are too long');
      if (!looksLikeHttp(all)) throw new MalformedResponse('it does not speak HTTP');
      if (before === 0) this.#hold(bytes);
      return NOTHING;
    }
    // What follows the head is a view of what was held: nothing may be written there again.
    this.#held = NOTHING;
    this.#heldBytes = 0;
    this.#readHead(Buffer.prototype.toString.call(all, 'latin1', 0, end + 2));
    return all.subarray(end + HEAD_END.length);
  }

  /** Takes the head without its last empty line, each line with its CRLF. */
  #readHead(text: string): void {
    const firstEnd = text.indexOf('\r\n');
    const match = STATUS_LINE.exec(text.slice(0, firstEnd));
    if (match === null) throw new MalformedResponse('it does not speak HTTP');
    const status = Number(match[2]);
    const headers = HeaderList.parse(text.slice(firstEnd + 2));
    if (headers === null) throw new MalformedResponse('one of its headers is malformed');
    if (status === 101) throw new MalformedResponse('it switched to another protocol');
    if (status < 200) {
      // The real one follows.
      this.#interim++;
      if (this.#interim > MAX_INTERIM) throw new MalformedResponse('it announces an answer without end');
      return;
    }
    const isHttp11 = match[1] === '1';
    this.#keepAlive = keepsAlive(isHttp11, headers.get('connection'));
    this.#state = this.#framing(status, headers);
    // RFC 9112 §6.1: HTTP/1.0 knows no transfer codings, so whoever sends one disagrees with itself.
    if (!isHttp11 && this.#state === 'chunk-size') this.#keepAlive = false;
    this.#sink.onHead({ status, headers });
    if (this.#state === 'length' && this.#remaining === 0) this.#done();
  }

  /** How the body ends (RFC 9112 §6.3). */
  #framing(status: number, headers: HeaderList): State {
    const coding = headers.get('transfer-encoding');
    const length = headers.get('content-length');
    this.#remaining = 0;
    if (status === 204 || status === 304) return 'length';
    if (coding !== null) {
      if (length !== null) throw new MalformedResponse('it gives two lengths for its answer');
      if (coding.toLowerCase() !== 'chunked')
        throw new MalformedResponse('it uses a transfer coding other than chunked');
      return 'chunk-size';
    }
    if (length === null) {
      this.#keepAlive = false;
      return 'until-close';
    }
    if (!/^\d{1,15}$/.test(length)) throw new MalformedResponse('its Content-Length is no number');
    this.#remaining = Number(length);
    return 'length';
  }

  #body(bytes: Uint8Array): Uint8Array {
    const piece = bytes.length <= this.#remaining ? bytes : bytes.subarray(0, this.#remaining);
    this.#remaining -= piece.length;
    this.#sink.onData(piece);
    if (this.#remaining === 0) {
      if (this.#state === 'length') this.#done();
      else this.#state = 'chunk-end';
    }
    return bytes.subarray(piece.length);
  }

  #line(bytes: Uint8Array): Uint8Array {
    const newline = bytes.indexOf(LF);
    const upTo = newline === -1 ? bytes : bytes.subarray(0, newline + 1);
    if (this.#heldBytes + upTo.length > MAX_LINE_BYTES)
      throw new MalformedResponse('a line of its chunks is too long');
    const line = this.#heldBytes === 0 && newline !== -1 ? upTo : this.#hold(upTo);
    if (newline === -1) return NOTHING;
    this.#heldBytes = 0;
    if (line[line.length - 2] !== CR)
      throw new MalformedResponse('a line of its chunks does not end in CRLF');
    this.#readLine(Buffer.prototype.toString.call(line, 'latin1', 0, line.length - 2));
    return bytes.subarray(newline + 1);
  }

  #readLine(line: string): void {
    switch (this.#state) {
      case 'chunk-size': {
        const hex = CHUNK_SIZE.exec(line)?.[1];
        if (hex === undefined) throw new MalformedResponse('the size of a chunk is no number');
        this.#remaining = Number.parseInt(hex, 16);
        this.#state = this.#remaining === 0 ? 'trailers' : 'chunk-data';
        if (this.#remaining === 0) this.#remaining = MAX_HEAD_BYTES;
        return;
      }
      case 'chunk-end':
        if (line !== '') throw new MalformedResponse('a chunk is longer than it said');
        this.#state = 'chunk-size';
        return;
      default:
        // Trailers say nothing that FLM passes on.
        this.#remaining -= line.length;
        if (this.#remaining < 0) throw new MalformedResponse('its trailers are too long');
        if (line === '') this.#done();
    }
  }

  /** Keeps bytes for later. Returns all that is held. */
  #hold(bytes: Uint8Array): Uint8Array {
    const length = this.#heldBytes + bytes.length;
    if (length > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(256, 2 * length));
      larger.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = larger;
    }
    this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = length;
    return this.#held.subarray(0, length);
  }

  #done(): void {
    this.#state = 'done';
    this.#sink.onEnd(this.#keepAlive);
  }
}

function keepsAlive(isHttp11: boolean, connection: string | null): boolean {
  const options =
    connection === null
      ? []
      : connection
          .toLowerCase()
          .split(',')
          .map((option) => option.trim());
  return isHttp11 ? !options.includes('close') : options.includes('keep-alive');
}

/** Whether the first bytes can still become a status line: garbage is told at once, not after 64 kB. */
function looksLikeHttp(bytes: Uint8Array): boolean {
  const start = Buffer.prototype.toString.call(bytes, 'latin1', 0, 7);
  return 'HTTP/1.'.startsWith(start) || start === 'HTTP/1.';
}
