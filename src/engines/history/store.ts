/** The health logs in config.db. */
import { and, count, desc, eq, gte, inArray, lt, sql } from 'drizzle-orm';
import { type ConfigDb, configSchema } from '../../../db';

export type HealthStatus = 'healthy' | 'degraded' | 'unreachable';

export interface HealthRow {
  readonly engineId: string;
  /** Null for a look at the engine itself. */
  readonly modelId: string | null;
  readonly status: HealthStatus;
  readonly latencyMs: number | null;
  readonly errorRate: number;
  readonly requests: number;
  readonly createdAtMs: number;
}

/** What many rows add up to. */
export interface HealthTotals {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
  readonly unreachable: number;
  /** Averages over the rows; null without any. */
  readonly latencyMs: number | null;
  readonly errorRate: number | null;
}

export interface HistoryStore {
  /** Adds rows, and drops what is older than `beforeMs`. */
  write(rows: readonly HealthRow[], beforeMs: number): Promise<void>;
  /** The newest `limit` rows since `sinceMs`, and what all of them add up to. Null stands for any engine, any model. */
  read(query: {
    readonly engineIds: readonly string[] | null;
    readonly modelId: string | null;
    readonly sinceMs: number;
    readonly limit: number;
  }): Promise<{
    readonly rows: readonly (HealthRow & { readonly id: number })[];
    readonly totals: HealthTotals;
  }>;
}

export function createHistoryStore(db: ConfigDb): HistoryStore {
  const { engineHealthLogs: logs } = configSchema;
  const countOf = (status: HealthStatus) => sql<number>`coalesce(sum(${logs.status} = ${status}), 0)`;
  return {
    async write(rows, beforeMs) {
      db.transaction((tx) => {
        if (rows.length > 0)
          tx.insert(logs)
            .values([...rows])
            .run();
        tx.delete(logs).where(lt(logs.createdAtMs, beforeMs)).run();
      });
    },

    async read({ engineIds, modelId, sinceMs, limit }) {
      const matching = and(
        gte(logs.createdAtMs, sinceMs),
        engineIds === null ? undefined : inArray(logs.engineId, [...engineIds]),
        modelId === null ? undefined : eq(logs.modelId, modelId),
      );
      const rows = db
        .select()
        .from(logs)
        .where(matching)
        .orderBy(desc(logs.createdAtMs), desc(logs.id))
        .limit(limit)
        .all();
      const totals = db
        .select({
          total: count(),
          healthy: countOf('healthy'),
          degraded: countOf('degraded'),
          unreachable: countOf('unreachable'),
          latencyMs: sql<number | null>`avg(${logs.latencyMs})`,
          errorRate: sql<number | null>`avg(${logs.errorRate})`,
        })
        .from(logs)
        .where(matching)
        .get();
      return { rows: rows.map(rowOf), totals: totals ?? NOTHING };
    },
  };
}

const NOTHING: HealthTotals = {
  total: 0,
  healthy: 0,
  degraded: 0,
  unreachable: 0,
  latencyMs: null,
  errorRate: null,
};

function rowOf<Row extends { readonly status: string }>(row: Row): Row & { readonly status: HealthStatus } {
  const { status } = row;
  // A word of a newer version is no reason to say that all is well.
  return { ...row, status: status === 'healthy' || status === 'degraded' ? status : 'unreachable' };
}
