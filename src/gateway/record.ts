/**
 * The record of one request: filled in on its way, published once, when its answer has been given and nobody works on it
 * any more, whichever comes last.
 */
import type { Candidate, Clock, RequestFacts, RequestTrace, TicketOutcome, Usage } from '../contract';
import type { Bus } from '../lib/bus';
import { type ErrorCode, FlmError } from '../lib/errors';
import { type Tracing, traceOf } from './tracing';

const MAX_PATH = 200;

/** A class, because there is one for every request and methods on a prototype cost nothing to make. */
export class RequestRecord implements RequestFacts {
  readonly requestId: string;
  readonly atMs: number;
  readonly ip: string;
  readonly method: string;
  path: string;
  principalId: string | null = null;
  certificate: string | null = null;
  model: string | null = null;
  engineId: string | null = null;
  engineModel: string | null = null;
  attempts = 0;
  isStream = false;
  outcome: TicketOutcome = 'refused';
  status = 0;
  errorCode: ErrorCode | null = null;
  waitedMs = 0;
  firstByteMs: number | null = null;
  firstTokenMs: number | null = null;
  durationMs = 0;
  usage: Usage | null = null;
  readonly #traceparent: string | null;
  readonly #startedMs: number;
  readonly #clock: Clock;
  readonly #bus: Bus;
  readonly #tracing: Tracing | null;
  #isWorkedOn = false;
  #trace: RequestTrace | null = null;

  constructor(id: string, request: Request, ip: string, clock: Clock, bus: Bus, tracing: Tracing | null) {
    this.requestId = id;
    this.atMs = clock.nowMs();
    this.ip = ip;
    this.method = request.method;
    this.path = request.url;
    this.#traceparent = request.headers.get('traceparent');
    this.#startedMs = clock.monotonicMs();
    this.#clock = clock;
    this.#bus = bus;
    this.#tracing = tracing;
  }

  /** Made when somebody asks: most requests that are refused never need it. */
  get trace(): RequestTrace {
    this.#trace ??= traceOf(this.#traceparent, this.requestId, this.#tracing);
    return this.#trace;
  }

  /** An exchange has begun: the record waits for its end, too. */
  workBegins(principalId: string): void {
    this.principalId = principalId;
    this.#isWorkedOn = true;
  }

  /** An engine is asked, after its queue. */
  asked({ engine, model }: Candidate, waitedMs: number): void {
    this.engineId = engine.id;
    this.engineModel = model;
    this.waitedMs += waitedMs;
    this.attempts++;
  }

  /** How it ended, and what the engine counted. */
  ended(outcome: TicketOutcome, usage: Usage | null, firstTokenMs: number | null): void {
    this.outcome = outcome;
    this.usage = usage;
    this.firstTokenMs = firstTokenMs;
  }

  failed(error: unknown): void {
    this.errorCode = error instanceof FlmError ? error.code : 'INTERNAL_ERROR';
  }

  /** Nobody works on it any more. Doing it twice does nothing. */
  workEnds(): void {
    if (!this.#isWorkedOn) return;
    this.#isWorkedOn = false;
    if (this.status !== 0) this.#publish();
  }

  /** The answer, or its beginning, goes to the client. */
  answered(status: number): void {
    this.status = status;
    this.firstByteMs = this.#clock.monotonicMs() - this.#startedMs;
    // What no engine was asked for is done when it went well.
    if (this.attempts === 0 && status < 400) this.outcome = 'done';
    if (!this.#isWorkedOn) this.#publish();
  }

  /** Tells of it before its end. */
  announce(nowMs: number): void {
    this.durationMs = nowMs - this.#startedMs;
    this.#bus.publish({
      name: 'request.opened',
      request: { ...this, path: pathIn(this.path), trace: this.trace },
    });
  }

  #publish(): void {
    this.durationMs = this.#clock.monotonicMs() - this.#startedMs;
    this.path = pathIn(this.path);
    this.#bus.publish({ name: 'request.finished', request: this });
  }
}

/** The path of what the runtime says the URL is: absolute, or a bare path (edge.ts). Never the query. */
function pathIn(url: string): string {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  if (start === -1) return '/';
  const [path = '/'] = url.slice(start, start + MAX_PATH + 1).split(/[?#]/, 1);
  return path.slice(0, MAX_PATH);
}
