/**
 * Carries the events of one engine's stream to a client's outlet: whole, counted, with FLM's own changes undone, and
 * with a verdict at the end whether the answer was complete. Ends its attempt, however the stream ends.
 */
import type { BodySink } from '../egress';
import { FlmError } from '../lib/errors';
import { isRecord, parseJson } from '../lib/json';
import { createSseSplitter, dataOf, eventsIn } from '../lib/sse';
import { type Attempt, outcomeOf } from './attempt';
import type { Exchange } from './exchanges';
import type { Outlet } from './outlet';
import { brokenAnswer } from './relay';
import { rewriteEvents } from './rewrite';
import { createUsageMeter } from './usage';

/** One event is a few hundred bytes; some servers put a whole answer or an image into one. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
const EMPTY = new Uint8Array(0);

export class EventPipe implements BodySink {
  /** Resolves with the first event; rejects when there will be none, while the answer can still have a status. */
  readonly begun: Promise<void>;
  readonly attempt: Attempt;
  readonly #exchange: Exchange;
  readonly #outlet: Outlet;
  readonly #splitter = createSseSplitter(MAX_EVENT_BYTES);
  readonly #meter = createUsageMeter();
  readonly #begin: () => void;
  readonly #refuse: (reason: unknown) => void;
  #hasBegun = false;
  #over = false;
  #beforeLast: Uint8Array = EMPTY;
  #last: Uint8Array = EMPTY;

  constructor(attempt: Attempt, exchange: Exchange, outlet: Outlet) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.begun = promise;
    this.#begin = resolve;
    this.#refuse = reject;
    this.attempt = attempt;
    this.#exchange = exchange;
    this.#outlet = outlet;
    exchange.signal.addEventListener('abort', this);
    outlet.source = attempt.response.body.pipe(this);
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return;
    this.#exchange.heard();
    try {
      const region = this.#splitter.push(chunk);
      if (region !== null) this.#pass(region);
    } catch (error) {
      this.onError(error);
    }
  }

  /** The engine closed its stream properly; whether the answer had come to its end is another question. */
  onEnd(): void {
    if (this.#over) return;
    const rest = this.#splitter.rest();
    const failed = this.#meter.sawError();
    if (!failed && ![this.#last, this.#beforeLast, rest].some(endsAnswer)) {
      const reason = 'its stream ended before the answer was complete';
      this.onError(new FlmError('ENGINE_API_ERROR', { meta: { engine: this.attempt.engine.id, reason } }));
      return;
    }
    this.#end(failed ? 'failed' : 'done');
    if (rest.length > 0) this.#send(rest);
    this.#outlet.close();
  }

  onError(error: unknown): void {
    if (this.#over) return;
    const failure = brokenAnswer(error, this.attempt, this.#exchange);
    this.#outlet.source?.cancel();
    this.#end(outcomeOf(failure));
    if (this.#hasBegun) this.#outlet.fail(failure);
    else this.#refuse(failure);
  }

  /** The exchange was aborted, whether or not anything comes at that moment. */
  handleEvent(): void {
    this.onError(this.#exchange.signal.reason);
  }

  #pass(region: Uint8Array): void {
    this.#meter.seeEvents(region);
    this.#beforeLast = this.#last;
    this.#last = region;
    const out = rewriteEvents(region, this.attempt.rewrite);
    if (out.length > 0) this.#send(out);
  }

  #send(bytes: Uint8Array): void {
    this.#outlet.write(bytes);
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#begin();
  }

  #end(outcome: 'done' | 'aborted' | 'failed'): void {
    this.#over = true;
    this.#exchange.signal.removeEventListener('abort', this);
    this.attempt.end(outcome, this.#meter.usage());
    // A stream without a single event is still an answer.
    if (outcome === 'done') this.#begin();
  }
}

/** Whether events hold the end of an answer: `[DONE]`, or a choice that says why it finished. */
function endsAnswer(region: Uint8Array): boolean {
  for (const event of eventsIn(region)) {
    const data = dataOf(event)?.trim() ?? '';
    if (data === '[DONE]') return true;
    const json = parseJson(data);
    const choices: unknown[] = isRecord(json) && Array.isArray(json.choices) ? json.choices : [];
    if (choices.some((choice) => isRecord(choice) && typeof choice.finish_reason === 'string')) return true;
  }
  return false;
}
