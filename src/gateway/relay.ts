/** Relays an answer that is not a stream: read whole, so that an engine that breaks off gives an error and no half answer. */
import { EgressError } from '../egress';
import { FlmError } from '../lib/errors';
import { endOfTurn } from '../lib/turn';
import { type Attempt, outcomeOfStatus } from './attempt';
import { relayedHeaders } from './headers';
import { rewriteAnswer } from './rewrite';

/** Statuses that speak of the engine and not of the request: another one may do better. */
const OTHERS_MAY_DO_BETTER: ReadonlySet<number> = new Set([429, 500, 501, 502, 503, 504]);

/**
 * Reads the rest of the attempt's answer and ends the attempt. Null: it gave way, because another engine may do better.
 * @throws ENGINE_NETWORK_ERROR, ENGINE_API_ERROR when it breaks off; the reason of the attempt's signal. Ends nothing then.
 */
export async function relayWhole(attempt: Attempt): Promise<Response | null> {
  const { response, dialect, exchange, engine } = attempt;
  const { status } = response;
  const bytes = await response.body.bytes().catch((error: unknown) => {
    throw brokenAnswer(error, attempt);
  });
  const answer = new Response(rewriteAnswer(bytes, attempt.rewrite) as Uint8Array<ArrayBuffer>, {
    status,
    headers: relayedHeaders(response.headers, exchange.id, engine.id),
  });
  exchange.heard();
  const outcome = outcomeOfStatus(status);
  if (OTHERS_MAY_DO_BETTER.has(status) && attempt.othersRemain()) {
    attempt.giveWay(outcome, answer);
    return null;
  }
  // All tokens come at once: when the first was made, nobody can see.
  attempt.end(outcome, { firstTokenMs: null, usage: dialect.usageOfAnswer(bytes) });
  await endOfTurn();
  return answer;
}

/** What a failure while reading means: the attempt was ended from outside, or the engine broke off. */
export function brokenAnswer(error: unknown, { signal, engine: { id: engine } }: Attempt): unknown {
  if (signal.aborted) return signal.reason;
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
