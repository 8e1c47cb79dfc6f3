/**
 * A response while it comes in: a head that somebody awaits, then a body that is taken whole, piece by piece, or as it
 * comes. Tells its connection to pause when pieces pile up, so that a slow reader slows the engine instead of filling
 * the memory.
 */
import { MAX_WHOLE_BYTES } from '../body';
import { EgressError, tooLarge } from '../errors';
import type { BodyFlow, BodySink, ChunkReader, EgressBody, EgressResponse } from '../transport';
import type { ResponseHead } from './parser';

/** What an incoming response needs of its connection. */
export interface Flow {
  pause(): void;
  resume(): void;
  /** Nobody wants the rest: the connection is closed. */
  abandon(): void;
}

/** Bytes that may wait for a reader before the connection is paused; it goes on when half of them are gone. */
const HIGH_WATER_BYTES = 262_144;
/** What a piece costs besides its bytes. Counted too: an engine may cut its answer into single bytes. */
const PIECE_BYTES = 96;

export class IncomingResponse implements EgressBody, ChunkReader, BodyFlow {
  /** Resolves with the response when its head is there. */
  readonly response: Promise<EgressResponse>;
  readonly #flow: Flow;
  readonly #resolveHead: (response: EgressResponse) => void;
  readonly #rejectHead: (reason: unknown) => void;
  #pieces: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Whether the connection is paused, for the reader's sake or because a sink asked for it. */
  #paused = false;
  /** Whether the whole body is wanted at once; then nothing is gained by pausing. */
  #whole = false;
  #sink: BodySink | null = null;
  #ended = false;
  #failure: { readonly reason: unknown } | null = null;
  #wake: (() => void) | null = null;

  constructor(flow: Flow) {
    this.#flow = flow;
    const { promise, resolve, reject } = Promise.withResolvers<EgressResponse>();
    this.response = promise;
    this.#resolveHead = resolve;
    this.#rejectHead = reject;
  }

  onHead({ status, headers }: ResponseHead): void {
    this.#resolveHead({ status, headers, body: this });
  }

  onData(bytes: Uint8Array): void {
    if (this.#sink !== null) {
      this.#sink.onData(bytes);
      return;
    }
    this.#pieces.push(bytes);
    this.#waitingBytes += bytes.length + PIECE_BYTES;
    if (this.#whole) {
      if (this.#waitingBytes > MAX_WHOLE_BYTES) this.#refuse();
      return;
    }
    if (this.#waitingBytes > HIGH_WATER_BYTES) this.pause();
    this.#notify();
  }

  end(): void {
    // Its connection may carry another request, which must be read however slow the reader of this one was.
    this.resume();
    this.#ended = true;
    if (this.#sink === null) this.#notify();
    else this.#sink.onEnd();
  }

  /** It breaks off: whoever waits for the head or the body is told why. */
  fail(reason: unknown): void {
    if (this.#ended || this.#failure !== null) return;
    this.#failure = { reason };
    this.#rejectHead(reason);
    if (this.#sink === null) this.#notify();
    else this.#sink.onError(reason);
  }

  async bytes(): Promise<Uint8Array> {
    this.#whole = true;
    this.resume();
    while (!this.#ended && this.#failure === null) await this.#next();
    if (this.#failure !== null) throw this.#failure.reason;
    const [only] = this.#pieces;
    return this.#pieces.length === 1 && only !== undefined ? only : Buffer.concat(this.#pieces);
  }

  reader(): ChunkReader {
    return this;
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#waitingBytes -= piece.length + PIECE_BYTES;
        if (this.#waitingBytes < HIGH_WATER_BYTES / 2) this.resume();
        return piece;
      }
      if (this.#failure !== null) throw this.#failure.reason;
      if (this.#ended) return null;
      await this.#next();
    }
  }

  pipe(sink: BodySink): BodyFlow {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#sink = sink;
    this.resume();
    for (const piece of pieces) sink.onData(piece);
    if (this.#failure !== null) sink.onError(this.#failure.reason);
    else if (this.#ended) sink.onEnd();
    return this;
  }

  pause(): void {
    if (this.#paused || this.#ended) return;
    this.#paused = true;
    this.#flow.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#ended) this.#flow.resume();
  }

  cancel(): void {
    this.#sink = SILENT;
    if (this.#ended || this.#failure !== null) return;
    this.#failure = { reason: new EgressError('closed', 'nobody reads it any more') };
    this.#notify();
    this.#flow.abandon();
  }

  #refuse(): void {
    this.#pieces = [];
    this.fail(tooLarge());
    this.#flow.abandon();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** Takes the place of a sink that wants no more. */
const SILENT: BodySink = { onData() {}, onEnd() {}, onError() {} };
