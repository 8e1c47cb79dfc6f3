/** Relays an answer that is not a stream: read whole, so that an engine that breaks off gives an error and no half answer. */
import { EgressError } from '../egress';
import { FlmError } from '../lib/errors';
import { type Attempt, outcomeOf } from './attempt';
import type { Exchange } from './exchanges';
import { relayedHeaders } from './headers';
import { rewriteAnswer } from './rewrite';
import { usageIn } from './usage';

/**
 * Reads the rest of the attempt's answer and ends the attempt.
 * @throws ENGINE_NETWORK_ERROR, ENGINE_API_ERROR when it breaks off; the exchange's abort reason.
 */
export async function relayWhole(attempt: Attempt, exchange: Exchange): Promise<Response> {
  try {
    const bytes = await attempt.response.body.bytes();
    attempt.end(attempt.response.status >= 500 ? 'failed' : 'done', usageIn(bytes));
    return new Response(rewriteAnswer(bytes, attempt.rewrite) as Uint8Array<ArrayBuffer>, {
      status: attempt.response.status,
      headers: relayedHeaders(attempt.response.headers, exchange.id, attempt.engine.id),
    });
  } catch (error) {
    const failure = brokenAnswer(error, attempt, exchange);
    attempt.end(outcomeOf(failure), null);
    throw failure;
  }
}

/** What a failure while reading means: the exchange's own end, or the engine breaking off. */
export function brokenAnswer(error: unknown, attempt: Attempt, exchange: Exchange): unknown {
  if (exchange.signal.aborted) return exchange.signal.reason;
  const engine = attempt.engine.id;
  if (error instanceof EgressError) {
    const code = error.kind === 'malformed' ? 'ENGINE_API_ERROR' : 'ENGINE_NETWORK_ERROR';
    const reason = `it broke off in the middle of its answer (${error.message})`;
    return new FlmError(code, { meta: { engine, reason }, cause: error });
  }
  if (error instanceof RangeError) {
    return new FlmError('ENGINE_API_ERROR', { meta: { engine, reason: error.message }, cause: error });
  }
  return error;
}
