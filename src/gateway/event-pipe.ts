/**
 * Carries the events of one engine's stream to a client's outlet: whole, counted, with FLM's own changes undone, and
 * with a verdict at the end whether the answer was complete. What any engine would have said first is kept back until
 * something of an answer follows: up to there another engine can still take over.
 */
import type { LeaseOutcome } from '../contract';
import type { BodyFlow, BodySink } from '../egress';
import { FlmError } from '../lib/errors';
import { countEvents, SseSplitter } from '../lib/sse';
import { type Attempt, outcomeOf } from './attempt';
import { EventReader, kindOf } from './event-reader';
import { relayedHeaders } from './headers';
import type { Outlet } from './outlet';
import { brokenAnswer } from './relay';
import { createEventRewriter, type EventRewriter } from './rewrite';

/** One event is a few hundred bytes; some servers put a whole answer or an image into one. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
/** More than this is no mere opening. */
const MAX_HELD_BYTES = 65_536;
const EMPTY = new Uint8Array(0);
/** Sweeps without a byte after which nothing more is expected behind the end of an answer, or behind a finishing chunk. */
const QUIET_SWEEPS = 2;

/** `gave-way`: the engine reported an error before anything was sent, and another one is asked. */
export type PipeOutcome = 'begun' | 'gave-way';

export class EventPipe implements BodySink {
  /**
   * Resolves when something has been sent, from where on the pipe ends its attempt itself, or when it gave way. Rejects
   * when the stream failed before, with the attempt still open: the answer can still have a status.
   */
  readonly outcome: Promise<PipeOutcome>;
  readonly attempt: Attempt;
  readonly #outlet: Outlet;
  readonly #splitter = new SseSplitter(MAX_EVENT_BYTES);
  readonly #reader: EventReader;
  readonly #rewriter: EventRewriter;
  readonly #resolve: (outcome: PipeOutcome) => void;
  readonly #reject: (reason: unknown) => void;
  #source: BodyFlow | null = null;
  /** What is kept back, ready to be sent; null once it was sent. */
  #held: Uint8Array[] | null = [];
  #heldBytes = 0;
  /** Whether something has come that is worth sending. */
  #isWorthIt = false;
  #firstTokenMs: number | null = null;
  /** Events from the first token on. */
  #sent = 0;
  #over = false;
  /** The end has passed: the answer is complete, whatever becomes of the connection. */
  #complete = false;
  #quietSweeps = 0;
  #beforeLast: Uint8Array = EMPTY;
  #last: Uint8Array = EMPTY;

  constructor(attempt: Attempt, outlet: Outlet) {
    const { promise, resolve, reject } = Promise.withResolvers<PipeOutcome>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.attempt = attempt;
    this.#outlet = outlet;
    this.#reader = new EventReader(attempt.dialect);
    this.#rewriter = createEventRewriter(attempt.rewrite);
    attempt.signal.addEventListener('abort', this);
    const source = attempt.response.body.pipe(this);
    this.#source = source;
    // The first pieces came before there was anything to cancel.
    if (this.#over) source.cancel();
    else outlet.attach(source);
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return;
    const nowMs = this.attempt.exchange.heard();
    this.#quietSweeps = 0;
    try {
      const region = this.#splitter.push(chunk);
      if (region !== null) this.#pass(region, nowMs);
    } catch (error) {
      this.onError(error);
    }
  }

  /** The engine closed its stream properly; whether the answer had come to its end is another question. */
  onEnd(): void {
    if (this.#over) return;
    const rest = this.#splitter.rest();
    const { dialect, engine } = this.attempt;
    this.#reader.see(rest);
    if (this.#reader.fault !== null) {
      this.#failInside(rest);
      return;
    }
    const ended =
      this.#complete || [this.#last, this.#beforeLast, rest].some((region) => dialect.isFinished(region));
    if (!ended) {
      const reason = 'its stream ended before the answer was complete';
      this.onError(new FlmError('ENGINE_API_ERROR', { meta: { engine: engine.id, reason } }));
      return;
    }
    if (rest.length > 0) this.#send(this.#rewriter.push(rest));
    this.#close('done');
  }

  onError(error: unknown): void {
    if (this.#over) return;
    this.#source?.cancel();
    if (this.#complete) {
      this.#close('done');
      return;
    }
    const failure = brokenAnswer(error, this.attempt);
    if (this.#held !== null) {
      this.#stop();
      this.#reject(failure);
      return;
    }
    const outcome = outcomeOf(failure);
    // Else nobody may be left to write to.
    if (outcome === 'failed') this.#send(this.#rewriter.release());
    this.attempt.exchange.record.failed(failure);
    this.#end(outcome);
    this.#outlet.fail(failure);
  }

  /** Whether the answer has come to its end. Nothing belongs behind it, a ping neither. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** Called a few times a second: gives up waiting for what an engine may never send behind the end of its answer. */
  sweep(): void {
    if (this.#over || ++this.#quietSweeps < QUIET_SWEEPS) return;
    this.#send(this.#rewriter.release());
    if (!this.#complete) return;
    this.#source?.cancel();
    this.#close('done');
  }

  /** The attempt was ended from outside, whether or not anything comes at that moment. */
  handleEvent(): void {
    this.onError(this.attempt.signal.reason);
  }

  #pass(region: Uint8Array, nowMs: number): void {
    const { dialect, sentMs } = this.attempt;
    const faultEnd = this.#reader.see(region);
    if (this.#reader.fault !== null) {
      this.#source?.cancel();
      this.#failInside(region.subarray(0, faultEnd));
      return;
    }
    if (this.#firstTokenMs === null) {
      const kind = kindOf(region, dialect);
      if (kind !== 'opening') this.#isWorthIt = true;
      if (kind === 'content') this.#firstTokenMs = nowMs - sentMs;
    }
    if (this.#firstTokenMs !== null) this.#sent += countEvents(region);
    this.#beforeLast = this.#last;
    this.#last = region;
    this.#complete ||= dialect.isComplete(region);
    this.#send(this.#rewriter.push(region));
  }

  /** The engine reported an error in its stream; `events` end with it. */
  #failInside(events: Uint8Array): void {
    const { fault } = this.#reader;
    const outcome = fault === 'engine' ? 'failed' : 'done';
    if (this.#held !== null && fault !== 'request' && this.attempt.othersRemain()) {
      this.#stop();
      this.attempt.giveWay(outcome, this.#asAnswer([...this.#held, this.#rewriter.push(events)]));
      this.#resolve('gave-way');
      return;
    }
    if (outcome === 'failed') this.attempt.exchange.record.errorCode = 'ENGINE_API_ERROR';
    // vLLM says [DONE] after an error: a broken answer must not look complete, so nothing follows.
    this.#send(this.#rewriter.push(events));
    this.#close(outcome);
  }

  /** A stream that was over before it began. */
  #asAnswer(events: Uint8Array[]): Response {
    const { response, engine, exchange } = this.attempt;
    events.push(this.#rewriter.release());
    return new Response(Buffer.concat(events), {
      headers: relayedHeaders(response.headers, exchange.id, engine.id),
    });
  }

  #send(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#held === null) {
      this.#outlet.write(bytes);
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#isWorthIt || this.#heldBytes > MAX_HELD_BYTES) this.#begin(this.#held);
  }

  #begin(held: readonly Uint8Array[]): void {
    this.#held = null;
    for (const bytes of held) this.#outlet.write(bytes);
    this.#resolve('begun');
  }

  /** Nothing more comes: what was held back goes out, and the stream ends after it. */
  #close(outcome: 'done' | 'failed'): void {
    this.#send(this.#rewriter.release());
    // A stream without a single event is still an answer.
    if (this.#held !== null) this.#begin(this.#held);
    this.#end(outcome);
    this.#outlet.close();
  }

  #end(outcome: LeaseOutcome): void {
    this.#stop();
    // Whoever leaves before the end is not told of what it used: else leaving there would cost nothing.
    const sent = outcome === 'aborted' ? this.#sent : 0;
    this.attempt.end(outcome, { firstTokenMs: this.#firstTokenMs, usage: this.#reader.usage }, sent);
  }

  #stop(): void {
    this.#over = true;
    this.#outlet.detach();
    this.attempt.signal.removeEventListener('abort', this);
  }
}
