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
const CR = 13;
const LF = 10;
const HEAD_END = Buffer.from('\r\n\r\n');
const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: [^\r\n]*)?$/;
const NOTHING = new Uint8Array(0);

export class ResponseParser {
  readonly #sink: ParserSink;
  #state: State = 'head';
  /** Bytes of a head or a line that is not complete yet. */
  #held: Uint8Array = NOTHING;
  /** Body bytes, or chunk bytes, still to come. */
  #remaining = 0;
  #keepAlive = false;

  constructor(sink: ParserSink) {
    this.#sink = sink;
  }

  /** Whether anything of a response has arrived. */
  get started(): boolean {
    return this.#state !== 'head' || this.#held.length > 0;
  }

  /** Makes it ready for the next response on the same connection. */
  reset(): void {
    this.#state = 'head';
    this.#held = NOTHING;
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
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const end = Buffer.prototype.indexOf.call(all, HEAD_END);
    if (end === -1 || end > MAX_HEAD_BYTES) {
      if (all.length > MAX_HEAD_BYTES) throw new MalformedResponse('its headers are too long');
      if (!looksLikeHttp(all)) throw new MalformedResponse('it does not speak HTTP');
      this.#held = all;
      return NOTHING;
    }
    this.#held = NOTHING;
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
    if (status < 200) return; // An interim response; the real one follows.
    this.#keepAlive = keepsAlive(match[1] === '1', headers.get('connection'));
    this.#state = this.#framing(status, headers);
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
      if (coding.trim().toLowerCase() !== 'chunked')
        throw new MalformedResponse(`it uses the transfer coding ${coding}`);
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
    const line = this.#held.length === 0 ? upTo : Buffer.concat([this.#held, upTo]);
    if (line.length > MAX_LINE_BYTES) throw new MalformedResponse('a line of its chunks is too long');
    if (newline === -1) {
      this.#held = line;
      return NOTHING;
    }
    this.#held = NOTHING;
    if (line[line.length - 2] !== CR)
      throw new MalformedResponse('a line of its chunks does not end in CRLF');
    this.#readLine(Buffer.prototype.toString.call(line, 'latin1', 0, line.length - 2));
    return bytes.subarray(newline + 1);
  }

  #readLine(line: string): void {
    switch (this.#state) {
      case 'chunk-size': {
        const hex = /^([0-9a-fA-F]{1,13})[ \t]*(?:;.*)?$/.exec(line)?.[1];
        if (hex === undefined) throw new MalformedResponse('the size of a chunk is no number');
        this.#remaining = Number.parseInt(hex, 16);
        this.#state = this.#remaining === 0 ? 'trailers' : 'chunk-data';
        return;
      }
      case 'chunk-end':
        if (line !== '') throw new MalformedResponse('a chunk is longer than it said');
        this.#state = 'chunk-size';
        return;
      default:
        // Trailers say nothing that FLM passes on.
        if (line === '') this.#done();
    }
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
