/**
 * Answers requests for a stream. Headers are held back until there is something of an answer (at most the grace), so that
 * an early failure keeps its status; a failure after that is one error event and no end.
 */
import type { ConfigSnapshot } from '../config';
import type { Clock } from '../contract';
import { FlmError } from '../lib/errors';
import { isRecord, parseJson } from '../lib/json';
import { type Attempt, askInTurn, type EngineAccess, type Inference } from './attempt';
import { errorSaid } from './dialects';
import { EventPipe } from './event-pipe';
import { relayedHeaders } from './headers';
import { Outlet } from './outlet';
import { relayWhole } from './relay';

export interface StreamRelayOptions {
  readonly engines: EngineAccess;
  readonly clock: Clock;
  readonly config: () => ConfigSnapshot;
}

/** What the engine's answer turned out to be: a stream that has begun, or an answer in one piece. */
type Answer = EventPipe | Response;

/** @throws what the last candidate failed with, while nothing has been sent. */
export async function relayStream(inference: Inference, options: StreamRelayOptions): Promise<Response> {
  const { engines, clock, config } = options;
  const { exchange, dialect } = inference;
  const grace = Promise.withResolvers<null>();
  const outlet = new Outlet(exchange, dialect, clock);
  let pipe: EventPipe | null = null;
  exchange.becomeStream((nowMs) => {
    if (nowMs - exchange.startedMs >= config()['proxy.header_grace_ms']) grace.resolve(null);
    pipe?.sweep();
    if (pipe?.isComplete !== true) outlet.pingAfter(config()['proxy.ping_interval_ms'], nowMs);
  });

  const answer = askInTurn<Answer>(inference, engines, async (attempt) => {
    if (!isStream(attempt)) return relayWhole(attempt);
    const begun = new EventPipe(attempt, outlet);
    pipe = begun;
    return (await begun.outcome) === 'begun' ? begun : null;
  });
  const first = await Promise.race([answer, grace.promise]);
  if (first instanceof Response) return first;
  if (first !== null) {
    const { response, engine } = first.attempt;
    return new Response(outlet.stream(), {
      headers: relayedHeaders(response.headers, exchange.id, engine.id),
    });
  }
  // The stream opens before anything is known; whatever comes of it is told inside.
  void answer.then(
    (late) => (late instanceof Response ? tellLate(late, outlet) : undefined),
    (error: unknown) => outlet.fail(error),
  );
  return new Response(outlet.stream(), {
    headers: {
      'x-request-id': exchange.id,
      server: 'flm',
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
    },
  });
}

function isStream({ response }: Attempt): boolean {
  return response.status === 200 && isEventStream(response.headers.get('content-type'));
}

function isEventStream(contentType: string | null): boolean {
  return contentType?.toLowerCase().startsWith('text/event-stream') === true;
}

/** An answer in one piece that came after the stream had to be opened can only be told as an error event. */
async function tellLate(response: Response, outlet: Outlet): Promise<void> {
  // A stream that was over before it began, and nobody took over.
  if (isEventStream(response.headers.get('content-type'))) {
    outlet.write(await response.bytes());
    outlet.close();
    return;
  }
  const json = parseJson(await response.text());
  if (response.status >= 400) {
    outlet.tell(errorSaid(json, response.status));
    return;
  }
  const engine = response.headers.get('x-flm-engine');
  const error = isRecord(json) ? json.error : null;
  const told = isRecord(error) ? error.message : error;
  const reason = typeof told === 'string' ? told : `it answered ${response.status} and no stream`;
  outlet.fail(new FlmError('ENGINE_API_ERROR', { meta: { engine, reason } }));
}
