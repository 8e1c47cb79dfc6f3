/**
 * From a Ticket to an engine's answer: a Lease, the request as that engine wants it, the next candidate when one cannot
 * be reached. Only before anything has been sent to the client; whoever gets the attempt ends it, once.
 */
import type { Cancel, Candidate, EngineRef, Lease, LeaseOutcome, Ticket, Usage } from '../contract';
import type { EgressResponse } from '../egress';
import { type ErrorCode, FlmError } from '../lib/errors';
import { type RequestBody, wireBody } from './body';
import type { Exchange } from './exchanges';
import { engineHeaders } from './headers';
import type { Rewrite } from './rewrite';
import type { Scan } from './scan';
import { spliceBody } from './splice';

export type InferenceRoute = '/v1/chat/completions' | '/v1/completions' | '/v1/embeddings';

/** What is sent to an engine. */
export interface EngineCall {
  readonly route: InferenceRoute;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** The part of the engines room that the gateway uses. */
export interface EngineAccess {
  usageOf(engine: EngineRef): 'always' | 'ask';
  open(lease: Lease, call: EngineCall, signal: Cancel): Promise<EgressResponse>;
}

export interface Inference {
  readonly route: InferenceRoute;
  readonly request: Request;
  readonly body: RequestBody;
  readonly scan: Scan;
  readonly ticket: Ticket;
  readonly exchange: Exchange;
}

export interface Attempt {
  readonly engine: EngineRef;
  readonly response: EgressResponse;
  /** What has to be undone in the answer. */
  readonly rewrite: Rewrite;
  /** Closes Lease, Ticket and exchange. The first call counts: a stream can end in several ways at once. */
  end(outcome: LeaseOutcome, usage: Usage | null): void;
}

/**
 * Asks the candidates in their order until one answers with anything at all.
 * @throws what the last of them failed with, after closing Lease, Ticket and exchange.
 */
export async function attempt(inference: Inference, engines: EngineAccess): Promise<Attempt> {
  const { ticket, exchange } = inference;
  let failure: unknown = null;
  for (const candidate of ticket.plan.candidates) {
    let lease: Lease | null = null;
    try {
      lease = await ticket.lease(candidate, exchange.signal);
      exchange.workingOn(candidate.engine);
      const { call, rewrite } = prepare(inference, candidate, engines);
      const response = await engines.open(lease, call, exchange.signal);
      refuseUnusable(response, candidate.engine);
      exchange.heard();
      return { engine: candidate.engine, response, rewrite, end: onlyOnce(inference, lease) };
    } catch (error) {
      failure = error;
      lease?.close(outcomeOf(error), null);
      if (exchange.signal.aborted || !isUnreachable(error)) break;
    }
  }
  ticket.close(isRefusal(failure) ? 'refused' : outcomeOf(failure), null);
  exchange.close();
  throw failure;
}

function prepare(
  { route, request, body, scan }: Inference,
  { engine, model }: Candidate,
  engines: EngineAccess,
): { call: EngineCall; rewrite: Rewrite } {
  const renamed = model !== scan.model;
  const streams = scan.stream && route !== '/v1/embeddings';
  const askUsage = streams && scan.omitsUsage && engines.usageOf(engine) === 'ask';
  const text =
    renamed || askUsage
      ? spliceBody(body.text, scan, body.units, { model: renamed ? model : null, askUsage })
      : body.text;
  return {
    call: { route, headers: engineHeaders(request), body: wireBody({ ...body, text }) },
    rewrite: { model: renamed ? scan.model : null, dropUsage: askUsage },
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

function onlyOnce({ ticket, exchange }: Inference, lease: Lease): Attempt['end'] {
  let ended = false;
  return (outcome, usage) => {
    if (ended) return;
    ended = true;
    lease.close(outcome, { firstTokenMs: null, usage });
    ticket.close(outcome, usage);
    exchange.close();
  };
}

/** What an end says about the engine: nothing when it was the client, the owner or FLM that ended the request. */
export function outcomeOf(reason: unknown): 'aborted' | 'failed' {
  return reason instanceof FlmError && NOT_THE_ENGINE.has(reason.code) ? 'aborted' : 'failed';
}

const NOT_THE_ENGINE: ReadonlySet<ErrorCode> = new Set([
  'CLIENT_CLOSED_REQUEST',
  'INVALID_API_KEY',
  'SHUTTING_DOWN',
]);

function isRefusal(error: unknown): boolean {
  return error instanceof FlmError && error.code === 'QUEUE_FULL';
}

function isUnreachable(error: unknown): boolean {
  return (
    error instanceof FlmError &&
    (error.code === 'ENGINE_NETWORK_ERROR' ||
      error.code === 'ENGINE_API_ERROR' ||
      error.code === 'ENGINE_NEEDS_KEY')
  );
}
