/** The table rate_limit_states of security.db. */
import { eq, lte, ne, sql } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../../db';
import { isRecord, parseJson } from '../../lib/json';
import type { LimitRow, LimitRows } from './model';

const UNITS: ReadonlySet<unknown> = new Set<LimitRow['unit']>(['requests', 'tokens', 'strangers']);
/** The row that is there while a process is at work: whoever finds it has not been told everything. */
const AT_WORK = 'at work';
const NEVER_MS = Number.MAX_SAFE_INTEGER;

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
      const atWork = db.select().from(table).where(eq(table.subject, AT_WORK)).all();
      db.delete(table).where(lte(table.expiresAtMs, nowMs)).run();
      upsert.run({ subject: AT_WORK, stateJson: '{}', updatedAtMs: nowMs, expiresAtMs: NEVER_MS });
      const rows = db.select().from(table).where(ne(table.subject, AT_WORK)).all();
      return {
        rows: rows.flatMap((row) => rowIn(row) ?? []),
        isExact: atWork.length === 0,
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

    finish(rows, nowMs) {
      db.transaction(() => {
        put(rows, nowMs);
        db.delete(table).where(eq(table.subject, AT_WORK)).run();
      });
    },
  };
}

function recordOf({ subject, unit, startedAtMs, count, debt, expiresAtMs }: LimitRow, nowMs: number) {
  const stateJson = JSON.stringify({ started_at: startedAtMs, count, debt });
  const until = Math.min(Math.ceil(expiresAtMs), NEVER_MS);
  return { subject: `${unit}:${subject}`, stateJson, updatedAtMs: nowMs, expiresAtMs: until };
}

/** Null for a row that says nothing this version understands. */
function rowIn(record: typeof securitySchema.rateLimitStates.$inferSelect): LimitRow | null {
  const at = record.subject.indexOf(':');
  const unit = record.subject.slice(0, at);
  const state = parseJson(record.stateJson);
  if (!isRecord(state) || !UNITS.has(unit)) return null;
  const { started_at: startedAtMs, count, debt } = state;
  if (!isCount(startedAtMs) || !isCount(count) || !isCount(debt)) return null;
  return {
    subject: record.subject.slice(at + 1),
    unit: unit as LimitRow['unit'],
    startedAtMs,
    count,
    debt,
    expiresAtMs: record.expiresAtMs,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
