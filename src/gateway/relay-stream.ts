/**
 * Answers requests for a stream. Headers are held back until the first event (at most the grace), so that an early
 * failure keeps its status; a failure after that is one error event and no `[DONE]`.
 */
import type { ConfigSnapshot } from '../config';
import type { Clock } from '../contract';
import { FlmError } from '../lib/errors';
import { isRecord, parseJson } from '../lib/json';
import type { Attempt } from './attempt';
import { EventPipe } from './event-pipe';
import type { Exchange } from './exchanges';
import { relayedHeaders } from './headers';
import { Outlet } from './outlet';
import { relayWhole } from './relay';

export interface StreamRelayOptions {
  readonly exchange: Exchange;
  /** Gets hold of an engine. Ends everything itself when it rejects. */
  readonly connect: () => Promise<Attempt>;
  readonly clock: Clock;
  readonly config: () => ConfigSnapshot;
}

/** What the engine's answer turned out to be: a stream whose first event is there, or an answer in one piece. */
type Answer = EventPipe | Response;

/** @throws what `connect` throws, while nothing has been sent. */
export async function relayStream(options: StreamRelayOptions): Promise<Response> {
  const { exchange, clock, config } = options;
  const grace = Promise.withResolvers<null>();
  const outlet = new Outlet(exchange, clock);
  let pipe: EventPipe | null = null;
  exchange.becomeStream((nowMs) => {
    if (nowMs - exchange.startedMs >= config()['proxy.header_grace_ms']) grace.resolve(null);
    pipe?.sweep();
    outlet.pingAfter(config()['proxy.ping_interval_ms'], nowMs);
  });

  const answer = connectAndListen(options, outlet, (made) => {
    pipe = made;
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

async function connectAndListen(
  { exchange, connect }: StreamRelayOptions,
  outlet: Outlet,
  onPipe: (pipe: EventPipe) => void,
): Promise<Answer> {
  const attempt = await connect();
  const contentType = attempt.response.headers.get('content-type')?.toLowerCase() ?? '';
  const isStream = attempt.response.status === 200 && contentType.startsWith('text/event-stream');
  if (!isStream) return relayWhole(attempt, exchange);
  const pipe = new EventPipe(attempt, exchange, outlet);
  onPipe(pipe);
  await pipe.begun;
  return pipe;
}

/** An answer in one piece that came after the stream had to be opened can only be told as an error event. */
async function tellLate(response: Response, outlet: Outlet): Promise<void> {
  const json = parseJson(await response.text());
  const engine = response.headers.get('x-flm-engine');
  const told = isRecord(json) && isRecord(json.error) ? json.error.message : null;
  const reason = typeof told === 'string' ? told : `it answered ${response.status} and no stream`;
  outlet.fail(new FlmError('ENGINE_API_ERROR', { meta: { engine, reason } }));
}
