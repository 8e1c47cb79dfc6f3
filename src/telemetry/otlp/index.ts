/**
 * OpenTelemetry: traces and metrics to a collector, by OTLP over HTTP in JSON (ADR 0006). Loaded only when the environment
 * names a collector; everything leaves through egress.
 */
import type { Clock, RequestFacts } from '../../contract';
import type { Bus } from '../../lib/bus';
import { newId } from '../../lib/ids';
import { maskIp } from '../../lib/ip';
import type { Log } from '../../lib/log';
import type { Env } from '../../lib/paths';
import type { Family, Registry } from '../registry';
import { encodeMetrics, encodeSpans, type Scope, type Span } from './encode';
import { readOtlpSettings, type Sampling } from './environment';
import { createCourier, createOutbox, type Post } from './outbox';
import { type AttemptSeen, spansOf } from './spans';

export type { Post } from './outbox';

export interface OtlpOptions {
  readonly env: Env;
  readonly registry: Registry;
  readonly bus: Bus;
  readonly post: Post;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  readonly fullIps: () => boolean;
}

export interface Otlp {
  /** Null where traces are not wanted. */
  readonly tracing: { keeps(traceId: string, parentIsSampled: boolean | null): boolean } | null;
  /** No traces of what ends from now on: another process tells of it. */
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

/** Attempts of requests that are not over yet; more are not kept. */
const MAX_OPEN = 20_000;
/** Data points in one request for metrics: more would be a stall to write down. */
const FAMILIES_AT_ONCE = 4;
const CLOSE_MS = 2_000;

export function startOtlp(options: OtlpOptions): Otlp {
  const { env, registry, bus, clock, log, version, post } = options;
  const settings = readOtlpSettings(env);
  for (const reason of settings.complaints) log.warn('OpenTelemetry is not set up as asked', { reason });
  const scope: Scope = {
    resource: {
      'service.version': version,
      'service.instance.id': newId(),
      'process.pid': process.pid,
      'telemetry.sdk.name': 'flm',
      'telemetry.sdk.language': 'nodejs',
      'telemetry.sdk.version': version,
      ...settings.resource,
    },
    version,
  };
  const closers: (() => Promise<void>)[] = [];
  if (settings.metrics !== null) {
    const courier = createCourier('metrics', settings.metrics, post, log);
    closers.push(exportMetrics({ registry, clock, scope, courier, everyMs: settings.metricsIntervalMs }));
  }
  if (settings.traces !== null) {
    const outbox = createOutbox<Span>({
      courier: createCourier('traces', settings.traces, post, log),
      encode: (spans) => encodeSpans(spans, scope),
      queueSize: settings.queueSize,
      batchSize: settings.batchSize,
      delayMs: settings.batchDelayMs,
    });
    registry.read('counter', 'flm_otel_spans_dropped_total', 'Spans that were not exported.', outbox.dropped);
    const stop = exportSpans(options, outbox.add);
    closers.push(async () => {
      stop();
      await outbox.close(CLOSE_MS);
    });
  }
  const wantsTraces = settings.traces !== null;
  let isPaused = false;
  return {
    tracing: wantsTraces ? { keeps: (traceId, parent) => isKept(settings.sampling, traceId, parent) } : null,
    pause() {
      isPaused = true;
    },
    resume() {
      isPaused = false;
    },
    async close() {
      await Promise.all(closers.map((close) => close()));
    },
  };

  function exportSpans({ fullIps }: OtlpOptions, add: (span: Span) => void): () => void {
    const open = new Map<string, AttemptSeen[]>();
    const finish = (request: RequestFacts) => {
      const attempts = open.get(request.requestId) ?? [];
      open.delete(request.requestId);
      if (isPaused || !request.trace.isSampled) return;
      const ip = fullIps() ? request.ip : maskIp(request.ip);
      for (const span of spansOf(request, attempts, ip, clock.monotonicMs())) add(span);
    };
    const stops = [
      bus.subscribe('attempt.finished', (attempt) => {
        const seen = { attempt, endedMs: clock.monotonicMs() };
        const others = open.get(attempt.requestId);
        if (others !== undefined) others.push(seen);
        else if (open.size < MAX_OPEN) open.set(attempt.requestId, [seen]);
      }),
      bus.subscribe('request.finished', ({ request }) => finish(request)),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }
}

interface MetricsExport {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly scope: Scope;
  readonly courier: ReturnType<typeof createCourier>;
  readonly everyMs: number;
}

/** Sends all numbers every so often, and once at the end. What could not be sent is in the next numbers, too. */
function exportMetrics({ registry, clock, scope, courier, everyMs }: MetricsExport): () => Promise<void> {
  const startMs = clock.nowMs();
  let running: Promise<void> | null = null;

  async function send(): Promise<void> {
    const families = registry.families();
    const nowMs = clock.nowMs();
    for (let from = 0; from < families.length; from += FAMILIES_AT_ONCE) {
      const part: readonly Family[] = families.slice(from, from + FAMILIES_AT_ONCE);
      if ((await courier.deliver(encodeMetrics(part, { startMs, nowMs }, scope))) === 'later') return;
    }
  }

  function once(): Promise<void> {
    running ??= send().finally(() => {
      running = null;
    });
    return running;
  }

  const timer = setInterval(() => void once(), everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    const limit = Promise.withResolvers<void>();
    const deadline = setTimeout(limit.resolve, CLOSE_MS);
    const last = running === null ? once() : running.then(once);
    await Promise.race([last, limit.promise]);
    clearTimeout(deadline);
  };
}

/** By the last seven bytes of the trace's id, which are the random ones (W3C Trace Context level 2). */
function isKept({ ratio, parentBased }: Sampling, traceId: string, parent: boolean | null): boolean {
  if (parentBased && parent !== null) return parent;
  return Number.parseInt(traceId.slice(-14), 16) < ratio * 2 ** 56;
}
