/** The table rate_limit_states of security.db. */
import { lte, sql } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../../db';
import { isRecord, parseJson } from '../../lib/json';
import { WINDOW_MS } from './meter';
import type { LimitRow, LimitRows } from './model';

const UNITS: ReadonlySet<unknown> = new Set<LimitRow['unit']>(['requests', 'tokens', 'strangers']);
/** The row that is there for a minute after a process was replaced. */
const REPLACED = 'replaced';

export function createLimitRows(db: SecurityDb): LimitRows {
  const { rateLimitStates: table } = securitySchema;
  const upsert = db
    .insert(table)
    .values({
      subject: sql.placeholder('subject'),
      stateJson: sql.placeholder('stateJson'),
      updatedAtMs: sql.placeholder('updatedAtMs'),
      expiresAtMs: sql.placeholder('expiresAtMs'),
    })
    .onConflictDoUpdate({
      target: table.subject,
      set: {
        stateJson: sql`excluded.state_json`,
        updatedAtMs: sql`excluded.updated_at_ms`,
        expiresAtMs: sql`excluded.expires_at_ms`,
      },
    })
    .prepare();

  /**
   * A write that a killed process leaves behind, and a machine without power perhaps not: it is worth no wait for the disk
   * on the thread that serves.
   */
  function quickly(work: () => void): void {
    db.run(sql`PRAGMA synchronous = NORMAL`);
    try {
      db.transaction(work);
    } finally {
      db.run(sql`PRAGMA synchronous = FULL`);
    }
  }

  function put(rows: readonly LimitRow[], nowMs: number): void {
    for (const row of rows) upsert.run(recordOf(row, nowMs));
  }

  return {
    load(nowMs) {
      db.delete(table).where(lte(table.expiresAtMs, nowMs)).run();
      const rows = db.select().from(table).all();
      return {
        rows: rows.flatMap((row) => rowIn(row) ?? []),
        isShared: rows.some(({ subject }) => subject === REPLACED),
      };
    },

    write(rows, nowMs) {
      quickly(() => put(rows, nowMs));
    },

    purge(nowMs) {
      quickly(() => {
        db.delete(table).where(lte(table.expiresAtMs, nowMs)).run();
      });
    },

    handOver(rows, nowMs) {
      const replaced = { subject: REPLACED, stateJson: '{}', updatedAtMs: nowMs };
      db.transaction(() => {
        put(rows, nowMs);
        upsert.run({ ...replaced, expiresAtMs: nowMs + WINDOW_MS });
      });
    },

    finish(rows, nowMs) {
      db.transaction(() => put(rows, nowMs));
    },
  };
}

function recordOf({ subject, unit, startedAtMs, count, level, held, expiresAtMs }: LimitRow, nowMs: number) {
  const stateJson = JSON.stringify({ started_at: startedAtMs, count, level, ...(held > 0 ? { held } : {}) });
  const until = Math.min(Math.ceil(expiresAtMs), Number.MAX_SAFE_INTEGER);
  return { subject: `${unit}:${subject}`, stateJson, updatedAtMs: nowMs, expiresAtMs: until };
}

/** Null for a row that says nothing this version understands. */
function rowIn(record: typeof securitySchema.rateLimitStates.$inferSelect): LimitRow | null {
  const at = record.subject.indexOf(':');
  const unit = record.subject.slice(0, at);
  const state = parseJson(record.stateJson);
  if (!isRecord(state) || !UNITS.has(unit)) return null;
  const { started_at: startedAtMs, count, level, held = 0 } = state;
  if (!isCount(startedAtMs) || !isCount(count) || !isCount(held) || typeof level !== 'number') return null;
  return {
    subject: record.subject.slice(at + 1),
    unit: unit as LimitRow['unit'],
    startedAtMs,
    count,
    level,
    held,
    expiresAtMs: record.expiresAtMs,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
