/** Counts requests when they are over (FLM-121): what the bus says of each becomes a handful of additions. */
import type { InferenceRoute, LeaseOutcome, RequestFacts } from '../contract';
import type { Bus } from '../lib/bus';
import { createPairs, OTHER, type PairsOptions } from './pairs';
import type { Counter } from './registry';

export interface TrafficOptions extends PairsOptions {
  readonly bus: Bus;
}

/** Routes that are told apart; a path that somebody made up is "other". */
const ROUTES = {
  '/v1/chat/completions': true,
  '/v1/completions': true,
  '/v1/embeddings': true,
  '/v1/responses': true,
  '/v1/messages': true,
  '/v1/messages/count_tokens': true,
  '/v1/rerank': true,
} as const satisfies Record<InferenceRoute, true>;
const NAMED = [...Object.keys(ROUTES), '/v1/models', '/health', '/ready', '/metrics'];

/** Counts until the returned function is called. */
export function countTraffic(options: TrafficOptions): () => void {
  const { registry, bus } = options;
  const counter = (name: string, help: string) => registry.counter(`flm_proxy_${name}`, help);
  const total = counter('requests_total', 'HTTP requests that were answered, whatever for.');
  const success = counter('requests_success', 'Of these, answered below 400 and to their end.');
  const failed = counter('requests_failed', 'Of these, answered with 4xx or 5xx, or broken off.');
  const limited = counter('requests_rate_limited', 'Of these, answered with 429.');
  const blocked = counter('requests_blocked', 'Of these, refused because of the address they came from.');
  const known = counter('auth_success', 'Requests whose key was recognised.');
  const refused = counter('auth_failure', 'Requests whose key was missing, malformed, unknown or ended.');
  const intrusions = counter(
    'intrusions_detected',
    'Signs of somebody who looks for a way in, honeypots included.',
  );
  const anomalies = counter(
    'anomalies_detected',
    'Signs of what no client does, and of a machine at its limit.',
  );

  const exceeded = registry.counters('flm_limits_exceeded_total', 'Requests that a limit refused.', [
    'limit',
    'unit',
  ]);

  const byRoute = registry.counters('flm_requests_total', 'HTTP requests by route and status.', [
    'route',
    'status',
  ]);
  const countersOf = (route: string) => {
    const statuses: (Counter | undefined)[] = [];
    return (status: number): Counter => {
      statuses[status] ??= byRoute.of(route, String(status));
      return statuses[status];
    };
  };
  const named = new Map(NAMED.map((route) => [route, countersOf(route)]));
  const others = countersOf(OTHER);
  const modelRoute = named.get('/v1/models') ?? others;
  const pairs = createPairs(options);

  function count(request: RequestFacts): void {
    const { status, outcome, path } = request;
    total.add();
    (status < 400 && outcome !== 'failed' ? success : failed).add();
    if (status === 429) limited.add();
    if (request.errorCode === 'IP_BLOCKED' || request.errorCode === 'IP_NOT_ALLOWED') blocked.add();
    if (request.principalId !== null) known.add();
    const counters = named.get(path) ?? (path.startsWith('/v1/models/') ? modelRoute : others);
    counters(status).add();
    if (request.engineId === null || request.engineModel === null) return;
    const pair = pairs.of(request.engineId, request.engineModel);
    pair.duration.observe(request.durationMs / 1_000);
    if (request.firstByteMs !== null) pair.firstByte.observe(request.firstByteMs / 1_000);
    if (request.firstTokenMs !== null) pair.firstToken.observe(request.firstTokenMs / 1_000);
    const { usage } = request;
    if (usage === null) return;
    pair.tokensIn.add(usage.promptTokens);
    pair.tokensOut.add(usage.completionTokens);
    pair.tokensCached.add(usage.cachedTokens ?? 0);
    pair.tokensReasoning.add(usage.reasoningTokens ?? 0);
  }

  function countAttempt(engineId: string, model: string, outcome: LeaseOutcome, waitedMs: number): void {
    const pair = pairs.of(engineId, model);
    pair.attempts[outcome].add();
    pair.queueWait.observe(waitedMs / 1_000);
  }

  const stops = [
    bus.subscribe('request.finished', ({ request }) => count(request)),
    bus.subscribe('attempt.finished', ({ engineId, model, outcome, waitedMs }) =>
      countAttempt(engineId, model, outcome, waitedMs),
    ),
    bus.subscribe('auth.refused', () => refused.add()),
    bus.subscribe('limit.exceeded', ({ limit, unit }) => exceeded.of(limit, unit).add()),
    bus.subscribe('security.signal', ({ kind }) =>
      (kind === 'intrusion' || kind === 'honeypot' ? intrusions : anomalies).add(),
    ),
    bus.subscribe('engine.removed', ({ engineId }) => pairs.forget(engineId)),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
