/**
 * From a Ticket to an answer: candidate after candidate gets a Lease and the request as its engine wants it, until one has
 * something for the client. Only what was sent to the client binds FLM to an engine: up to there a failure, or an answer
 * that another engine may better, leads to the next candidate.
 */
import type {
  Cancel,
  Candidate,
  EngineRef,
  InferenceRoute,
  Lease,
  LeaseOutcome,
  Seen,
  Ticket,
} from '../contract';
import { EgressError, type EgressFailure, type EgressResponse } from '../egress';
import { type ErrorCode, FlmError } from '../lib/errors';
import { type RequestBody, wireBody } from './body';
import { Turns } from './candidates';
import type { Dialect } from './dialects';
import type { Exchange } from './exchanges';
import { engineHeaders } from './headers';
import type { Rewrite } from './rewrite';
import type { Scan } from './scan';
import { spliceBody } from './splice';
import { type Tracing, traceHeaders } from './tracing';

/** What is sent to an engine. */
export interface EngineCall {
  readonly route: InferenceRoute;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** The part of the engines room that the gateway uses. */
export interface EngineAccess {
  /** Whether streams of the engine tell their token counts only when asked to. */
  mustAskForUsage(engine: EngineRef, route: InferenceRoute): boolean;
  open(lease: Lease, call: EngineCall, signal: Cancel): Promise<EgressResponse>;
}

export interface Inference {
  readonly route: InferenceRoute;
  readonly dialect: Dialect;
  readonly request: Request;
  readonly body: RequestBody;
  readonly scan: Scan;
  /** Whether the answer is asked for as a stream. */
  readonly streams: boolean;
  /** Whether another engine may do what one has perhaps done already. */
  readonly repeatable: boolean;
  readonly ticket: Ticket;
  readonly exchange: Exchange;
  /** Null where FLM keeps no traces. */
  readonly tracing: Tracing | null;
}

/** An engine's answer whose headers are there. Ended once: as the client's answer, or by making room for another. */
export interface Attempt {
  readonly engine: EngineRef;
  readonly dialect: Dialect;
  readonly exchange: Exchange;
  readonly response: EgressResponse;
  /** What has to be undone in the answer. */
  readonly rewrite: Rewrite;
  /** Ends this engine's work: the exchange was aborted, or its engine is gone. */
  readonly signal: Cancel;
  /** Monotonic time at which the request left for the engine. */
  readonly sentMs: number;
  /** Whether somebody else is there to be asked. */
  othersRemain(): boolean;
  /**
   * Closes Lease, Ticket and exchange. The first call counts: a stream can end in several ways at once. `sent` is the Ticket's.
   */
  end(outcome: LeaseOutcome, seen: Omit<Seen, 'status'>, sent?: number): void;
  /** Closes the Lease alone: the next candidate is asked. `answer` is the client's when all others only refuse. */
  giveWay(outcome: LeaseOutcome, answer: Response): void;
}

/** What an attempt that gave way left, should nobody take over. */
interface LastWords {
  readonly answer: Response;
  readonly outcome: LeaseOutcome;
}

/**
 * Asks the candidates in their order until `read` makes something of one's answer that can be sent. It ends the attempt
 * then; what it throws is closed here; null says that it let the attempt give way. When all that are asked after that
 * refuse, nobody has taken over: what the attempt left is the answer.
 * @throws what the last that did not refuse failed with, or the last refusal; after closing Lease, Ticket and exchange.
 */
export async function askInTurn<Answer>(
  inference: Inference,
  engines: EngineAccess,
  read: (attempt: Attempt) => Promise<Answer | null>,
): Promise<Answer | Response> {
  const { ticket, exchange, repeatable } = inference;
  const turns = new Turns(ticket.plan.candidates);
  let failure: unknown = null;
  let wasAsked = false;
  let lastWords: LastWords | null = null;
  for (let candidate = turns.take(); candidate !== null; candidate = turns.take()) {
    let lease: Lease | null = null;
    try {
      lease = await ticket.lease(candidate, exchange.signal);
      wasAsked = true;
      exchange.record.asked(candidate, lease.waitedMs);
      const attempt = await open(inference, lease, engines, turns);
      const answer = await read(attempt);
      if (answer !== null) {
        lease.answered();
        return answer;
      }
      lastWords = attempt.lastWords;
    } catch (error) {
      lease?.close(outcomeOf(error), null);
      exchange.workingOn(null, false);
      const refused = lease === null && isRefusal(error);
      if (!refused || exchange.signal.aborted) lastWords = null;
      if (!refused || !wasAsked) failure = error;
      if (exchange.signal.aborted || !saysNothingOfRequest(error)) break;
      if (!repeatable && lease !== null && !isUndone(error)) break;
      turns.dismiss(candidate.engine);
    }
  }
  const outcome = lastWords?.outcome ?? (!wasAsked && isRefusal(failure) ? 'refused' : endOf(failure));
  if (lastWords === null) exchange.record.failed(failure);
  exchange.record.ended(outcome, null, null);
  ticket.close(outcome, null);
  exchange.close();
  if (lastWords !== null) return lastWords.answer;
  throw failure;
}

async function open(
  inference: Inference,
  lease: Lease,
  engines: EngineAccess,
  turns: Turns,
): Promise<OpenAttempt> {
  const { exchange, repeatable } = inference;
  const { candidate } = lease;
  const { signal } = exchange;
  const { call, rewrite } = prepare(inference, candidate, engines);
  const sentMs = exchange.workingOn(candidate.engine, repeatable && turns.remain());
  turns.asked();
  const response = await engines.open(lease, call, signal).catch((error: unknown) => {
    if (isUnreached(error)) turns.unreached();
    throw error;
  });
  refuseUnusable(response, candidate.engine);
  if (!repeatable && !NOT_TAKEN_ON.has(response.status)) turns.end();
  exchange.heard();
  return new OpenAttempt(inference, lease, turns, { response, rewrite, signal, sentMs });
}

/** A class, because there is one for every request and methods on a prototype cost nothing to make. */
class OpenAttempt implements Attempt {
  readonly engine: EngineRef;
  readonly dialect: Dialect;
  readonly exchange: Exchange;
  readonly response: EgressResponse;
  readonly rewrite: Rewrite;
  readonly signal: Cancel;
  readonly sentMs: number;
  readonly #ticket: Ticket;
  readonly #lease: Lease;
  readonly #turns: Turns;
  #ended = false;
  /** Null until it gave way. */
  lastWords: LastWords | null = null;

  constructor(
    { dialect, exchange, ticket }: Inference,
    lease: Lease,
    turns: Turns,
    { response, rewrite, signal, sentMs }: Pick<Attempt, 'response' | 'rewrite' | 'signal' | 'sentMs'>,
  ) {
    this.engine = lease.candidate.engine;
    this.dialect = dialect;
    this.exchange = exchange;
    this.response = response;
    this.rewrite = rewrite;
    this.signal = signal;
    this.sentMs = sentMs;
    this.#ticket = ticket;
    this.#lease = lease;
    this.#turns = turns;
  }

  othersRemain(): boolean {
    return this.#turns.remain();
  }

  end(outcome: LeaseOutcome, seen: Omit<Seen, 'status'>, sent = 0): void {
    if (this.#ended) return;
    this.#ended = true;
    const { firstTokenMs, usage } = seen;
    this.#lease.close(outcome, { firstTokenMs, usage, status: this.response.status });
    this.exchange.record.ended(outcome, usage, firstTokenMs);
    this.#ticket.close(outcome, usage, sent);
    this.exchange.close();
  }

  giveWay(outcome: LeaseOutcome, answer: Response): void {
    this.#ended = true;
    this.lastWords = { answer, outcome };
    this.#lease.close(outcome, { firstTokenMs: null, usage: null, status: this.response.status });
    this.exchange.workingOn(null, false);
  }
}

function prepare(
  { route, dialect, request, body, scan, streams, exchange, tracing }: Inference,
  { engine, model }: Candidate,
  engines: EngineAccess,
): { call: EngineCall; rewrite: Rewrite } {
  const renamed = model !== scan.model;
  const canAsk = streams && dialect.takesStreamOptions && scan.omitsUsage;
  const askUsage = canAsk && engines.mustAskForUsage(engine, route);
  const text =
    renamed || askUsage
      ? spliceBody(body.text, scan, body.units, { model: renamed ? model : null, askUsage })
      : body.text;
  const { requestId, trace, attempts } = exchange.record;
  const came = {
    traceparent: request.headers.get('traceparent'),
    tracestate: request.headers.get('tracestate'),
  };
  const headers = {
    ...engineHeaders(request, dialect.headers),
    ...traceHeaders(came, trace, requestId, attempts, tracing),
  };
  return {
    call: { route, headers, body: wireBody({ ...body, text }) },
    rewrite: { model: renamed ? scan.model : null, envelope: dialect.envelope, dropUsage: askUsage },
  };
}

/** Statuses that say something about FLM's conversation with the engine and nothing about the client's request. */
function refuseUnusable(response: EgressResponse, engine: EngineRef): void {
  if (response.status === 401) {
    response.body.reader().cancel();
    throw new FlmError('ENGINE_NEEDS_KEY', { meta: { engine: engine.id } });
  }
  if (response.status >= 300 && response.status < 400) {
    response.body.reader().cancel();
    const reason = `it answers with a redirect (${response.status})`;
    throw new FlmError('ENGINE_API_ERROR', { meta: { engine: engine.id, reason } });
  }
}

/** What an answer's status says about its engine. One that does not do what it was asked for (501) is well. */
export function outcomeOfStatus(status: number): 'done' | 'failed' {
  return status >= 500 && status !== 501 ? 'failed' : 'done';
}

/** What an end says about the engine: nothing when it was the client, the owner or FLM that ended the request. */
export function outcomeOf(reason: unknown): 'aborted' | 'failed' {
  return reason instanceof FlmError && NOT_THE_ENGINE.has(reason.code) ? 'aborted' : 'failed';
}

/** What it says about the request: whose tunnel is down has failed it, though no engine did. */
function endOf(reason: unknown): 'aborted' | 'failed' {
  return reason instanceof FlmError && reason.code === 'EGRESS_TUNNEL_DOWN' ? 'failed' : outcomeOf(reason);
}

const NOT_THE_ENGINE: ReadonlySet<ErrorCode> = new Set([
  'CLIENT_CLOSED_REQUEST',
  'INVALID_API_KEY',
  'SHUTTING_DOWN',
  // How much time there is, FLM says; whether an engine that is silent still lives, it asks by itself.
  'REQUEST_TIMEOUT',
  'STREAMING_TIMEOUT',
  // It was not asked.
  'EGRESS_TUNNEL_DOWN',
]);

/** Whether the engine has nothing of the request. */
function isUnreached(error: unknown): boolean {
  if (!(error instanceof FlmError)) return false;
  if (error.code === 'ENGINE_NOT_FOUND') return true;
  return error.cause instanceof EgressError && UNREACHED.has(error.cause.kind);
}

/** Whether it is certain that the engine has done nothing of the request. */
function isUndone(error: unknown): boolean {
  return isUnreached(error) || (error instanceof FlmError && error.code === 'ENGINE_NEEDS_KEY');
}

/** Statuses with which an engine has not even begun. */
const NOT_TAKEN_ON: ReadonlySet<number> = new Set([429, 503]);

const UNREACHED: ReadonlySet<EgressFailure> = new Set(['refused', 'unreachable', 'tls', 'tunnel']);

/** Whether FLM answers in place of an engine when it fails with this. */
function isRefusal(error: unknown): boolean {
  return error instanceof FlmError && (error.code === 'QUEUE_FULL' || error.code === 'ENGINE_UNAVAILABLE');
}

/** Failures of one engine, whatever it is asked: another one is worth a try. */
function saysNothingOfRequest(error: unknown): boolean {
  return error instanceof FlmError && OF_THE_ENGINE.has(error.code);
}

const OF_THE_ENGINE: ReadonlySet<ErrorCode> = new Set([
  'EGRESS_TUNNEL_DOWN',
  'ENGINE_NETWORK_ERROR',
  'ENGINE_API_ERROR',
  'ENGINE_NEEDS_KEY',
  'ENGINE_NOT_FOUND',
  'ENGINE_UNAVAILABLE',
  'QUEUE_FULL',
]);
