/**
 * How engines were over time (FLM-047): a row when an engine's status changes and one a minute while it does not, and
 * one a minute for each model that was asked. Rows wait in memory and are written together, off the way of requests.
 */
import type {
  Candidate,
  Clock,
  EngineRef,
  EngineState,
  EngineStatus,
  LeaseOutcome,
  Seen,
} from '../../contract';
import { FlmError } from '../../lib/errors';
import type { HealthHistory, HealthQuery } from '../model';
import { ENGINE_KINDS, findKind } from '../registry';
import type { HealthRow, HealthStatus, HealthTotals, HistoryStore } from './store';

export interface History {
  /** Takes note of a look at an engine. */
  looked(state: EngineState): void;
  /** Takes note of a request that an engine has ended, well or not. */
  attempted(candidate: Candidate, outcome: LeaseOutcome, seen: Seen | null): void;
  /**
   * Rows that match, newest first, with what they add up to. What still waits in memory is written first. `known`: the
   * engines of this moment. The engine of the query goes by its id, or by its kind: then it is all of that kind.
   * @throws INVALID_INPUT for an engine that is neither a kind, nor known, nor in the history
   */
  read(query: HealthQuery, known: readonly EngineRef[]): Promise<HealthHistory>;
  /** Writes what waits, and drops what is older than the days to keep. */
  flush(): Promise<void>;
}

export interface HistoryOptions {
  readonly store: HistoryStore;
  readonly clock: Clock;
  readonly keepDays: () => number;
}

interface Tally {
  requests: number;
  failed: number;
  /** Answers whose first words were seen to come, and how long all of them took together. */
  timed: number;
  firstTokensMs: number;
}

const EVERY_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A model that fails more than this is degraded (HL-081's pick). */
const MAX_ERROR_RATE = 0.15;

export function createHistory({ store, clock, keepDays }: HistoryOptions): History {
  const waiting: HealthRow[] = [];
  const last = new Map<string, { readonly status: EngineStatus; readonly atMs: number }>();
  const tallies = new Map<string, Map<string, Tally>>();

  /** Turns the tallies into rows and starts new ones. */
  function takeTallies(): void {
    const createdAtMs = clock.nowMs();
    for (const [engineId, models] of tallies) {
      for (const [modelId, { requests, failed, timed, firstTokensMs }] of models) {
        const errorRate = failed / requests;
        const latencyMs = timed === 0 ? null : Math.round(firstTokensMs / timed);
        const status = statusOfRate(errorRate);
        waiting.push({ engineId, modelId, status, latencyMs, errorRate, requests, createdAtMs });
      }
    }
    tallies.clear();
  }

  async function flush(): Promise<void> {
    takeTallies();
    const rows = waiting.splice(0);
    await store.write(rows, clock.nowMs() - keepDays() * DAY_MS);
  }

  async function idsOf(engine: string, known: readonly EngineRef[]): Promise<string[]> {
    const kind = findKind(engine);
    // What was found by itself goes by this name, also while it is gone.
    const gone = kind === null ? [] : [`${kind}-default`];
    const ids = known.filter((ref) => ref.id === engine || ref.kind === kind).map(({ id }) => id);
    if (kind !== null || ids.length > 0) return [engine, ...gone, ...ids];
    const ever = await store.read({ engineIds: [engine], modelId: null, sinceMs: 0, limit: 1 });
    if (ever.totals.total > 0) return [engine];
    const reason = `"${engine}" is neither an engine here, nor one of the past, nor one of ${ENGINE_KINDS.join(', ')}`;
    throw new FlmError('INVALID_INPUT', { meta: { field: 'engine', reason } });
  }

  return {
    flush,

    looked({ ref: { id: engineId }, status, latencyMs }) {
      const before = last.get(engineId);
      const nowMs = clock.monotonicMs();
      if (before?.status === status && nowMs - before.atMs < EVERY_MS) return;
      last.set(engineId, { status, atMs: nowMs });
      const [told, errorRate] = LOOKS[status];
      waiting.push({
        engineId,
        modelId: null,
        status: told,
        latencyMs,
        errorRate,
        requests: 0,
        createdAtMs: clock.nowMs(),
      });
    },

    attempted({ engine: { id: engineId }, model }, outcome, seen) {
      // A client that left says nothing about the engine.
      if (outcome === 'aborted') return;
      const models = tallies.get(engineId) ?? new Map<string, Tally>();
      tallies.set(engineId, models);
      const tally = models.get(model) ?? { requests: 0, failed: 0, timed: 0, firstTokensMs: 0 };
      models.set(model, tally);
      tally.requests++;
      if (outcome === 'failed') tally.failed++;
      const firstTokenMs = seen?.firstTokenMs ?? null;
      if (firstTokenMs === null) return;
      tally.timed++;
      tally.firstTokensMs += firstTokenMs;
    },

    async read({ engine, model, hours, limit }, known) {
      await flush();
      const engineIds = engine === null ? null : await idsOf(engine, known);
      const sinceMs = clock.nowMs() - hours * HOUR_MS;
      const { rows, totals } = await store.read({ engineIds, modelId: model, sinceMs, limit });
      return { items: rows.map(viewOf), summary: summaryOf(totals), next: null };
    },
  };
}

/** What a look counts as: its word, and its share of errors (FLM-047). */
const LOOKS: Readonly<Record<EngineStatus, readonly [HealthStatus, number]>> = {
  'running-healthy': ['healthy', 0],
  'running-degraded': ['degraded', 0.1],
  'needs-key': ['unreachable', 1],
  'error-network': ['unreachable', 1],
  'error-api': ['unreachable', 1],
  'installed-only': ['unreachable', 0],
};

function statusOfRate(errorRate: number): HealthStatus {
  if (errorRate === 1) return 'unreachable';
  return errorRate > MAX_ERROR_RATE ? 'degraded' : 'healthy';
}

function viewOf(row: HealthRow & { readonly id: number }): HealthHistory['items'][number] {
  return {
    id: row.id,
    engine_id: row.engineId,
    model_id: row.modelId,
    status: row.status,
    latency_ms: row.latencyMs,
    error_rate: row.errorRate,
    requests: row.requests,
    created_at: new Date(row.createdAtMs).toISOString(),
  };
}

function summaryOf({
  total,
  healthy,
  degraded,
  unreachable,
  latencyMs,
  errorRate,
}: HealthTotals): HealthHistory['summary'] {
  return {
    total,
    healthy,
    degraded,
    unreachable,
    avg_latency_ms: latencyMs === null ? null : Math.round(latencyMs),
    avg_error_rate: errorRate,
    success_rate: total === 0 ? null : healthy / total,
  };
}
