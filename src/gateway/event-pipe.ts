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
import { createEventRewriter, type EventRewriter } from './rewrite';
import { createUsageMeter, isError } from './usage';

/** One event is a few hundred bytes; some servers put a whole answer or an image into one. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
const EMPTY = new Uint8Array(0);
/** Sweeps without a byte after which nothing more is expected behind `[DONE]`, or behind a finishing chunk. */
const QUIET_SWEEPS = 2;

export class EventPipe implements BodySink {
  /** Resolves with the first event; rejects when there will be none, while the answer can still have a status. */
  readonly begun: Promise<void>;
  readonly attempt: Attempt;
  readonly #exchange: Exchange;
  readonly #outlet: Outlet;
  readonly #splitter = createSseSplitter(MAX_EVENT_BYTES);
  readonly #meter = createUsageMeter();
  readonly #rewriter: EventRewriter;
  readonly #begin: () => void;
  readonly #refuse: (reason: unknown) => void;
  #hasBegun = false;
  #over = false;
  /** `[DONE]` has passed: the answer is complete, whatever becomes of the connection. */
  #complete = false;
  #quietSweeps = 0;
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
    this.#rewriter = createEventRewriter(attempt.rewrite);
    exchange.signal.addEventListener('abort', this);
    const source = attempt.response.body.pipe(this);
    outlet.source = source;
    // The first pieces came before there was anything to cancel.
    if (this.#over) source.cancel();
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return;
    this.#exchange.heard();
    this.#quietSweeps = 0;
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
    this.#meter.seeEvents(rest);
    const ended = this.#meter.sawError() || [this.#last, this.#beforeLast, rest].some(endsAnswer);
    if (!ended) {
      const reason = 'its stream ended before the answer was complete';
      this.onError(new FlmError('ENGINE_API_ERROR', { meta: { engine: this.attempt.engine.id, reason } }));
      return;
    }
    if (rest.length > 0) this.#send(this.#rewriter.push(rest));
    this.#close(this.#meter.sawError() ? 'failed' : 'done');
  }

  onError(error: unknown): void {
    if (this.#over) return;
    this.#outlet.source?.cancel();
    if (this.#complete) {
      this.#close('done');
      return;
    }
    const failure = brokenAnswer(error, this.attempt, this.#exchange);
    const outcome = outcomeOf(failure);
    // Else nobody may be left to write to.
    if (outcome === 'failed') this.#send(this.#rewriter.release());
    this.#end(outcome);
    if (this.#hasBegun) this.#outlet.fail(failure);
    else this.#refuse(failure);
  }

  /** Called a few times a second: gives up waiting for what an engine may never send behind the end of its answer. */
  sweep(): void {
    if (this.#over || ++this.#quietSweeps < QUIET_SWEEPS) return;
    this.#send(this.#rewriter.release());
    if (!this.#complete) return;
    this.#outlet.source?.cancel();
    this.#close('done');
  }

  /** The exchange was aborted, whether or not anything comes at that moment. */
  handleEvent(): void {
    this.onError(this.#exchange.signal.reason);
  }

  #pass(region: Uint8Array): void {
    this.#meter.seeEvents(region);
    if (this.#meter.sawError()) {
      // vLLM says [DONE] after an error: a broken answer must not look complete.
      this.#outlet.source?.cancel();
      this.#send(this.#rewriter.push(upToError(region)));
      this.#close('failed');
      return;
    }
    this.#beforeLast = this.#last;
    this.#last = region;
    this.#complete ||= endsWithDone(region);
    this.#send(this.#rewriter.push(region));
  }

  #send(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#outlet.write(bytes);
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#begin();
  }

  /** Nothing more comes: what was held back goes out, and the stream ends after it. */
  #close(outcome: 'done' | 'failed'): void {
    this.#send(this.#rewriter.release());
    this.#end(outcome);
    this.#outlet.close();
  }

  #end(outcome: 'done' | 'aborted' | 'failed'): void {
    this.#over = true;
    this.#exchange.signal.removeEventListener('abort', this);
    this.attempt.end(outcome, this.#meter.usage());
    // A stream without a single event is still an answer.
    if (outcome === 'done') this.#begin();
  }
}

/** Whether the last of whole events is `[DONE]`. Looks at the last bytes first: this is asked of every piece. */
function endsWithDone(region: Uint8Array): boolean {
  const from = Math.max(0, region.length - DONE.length - LONGEST_END);
  if (Buffer.prototype.indexOf.call(region, DONE, from) === -1) return false;
  const last = [...eventsIn(region)].at(-1);
  return last !== undefined && dataOf(last)?.trim() === '[DONE]';
}

const DONE = Buffer.from('[DONE]');
/** Two line ends of two bytes. */
const LONGEST_END = 4;

/** Whole events up to and with the one that is an error. */
function upToError(region: Uint8Array): Uint8Array {
  let end = 0;
  for (const event of eventsIn(region)) {
    end += event.length;
    if (isError(parseJson(dataOf(event) ?? ''))) break;
  }
  return region.subarray(0, end);
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
