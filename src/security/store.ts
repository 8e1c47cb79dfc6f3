/** The tables of abuse protection in security.db: bans, standings of addresses, and what detectors saw. */
import { and, count, desc, eq, gte, inArray, lt, lte, max, or, type SQL, sql } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../db';
import type { AuditEvent, AuditWriter } from '../contract';
import { type Actor, actingAs } from '../lib/actor';
import { isRecord, parseJson } from '../lib/json';
import type { StoredBan } from './bans';
import type { StoredStanding } from './standing';

export type SignalKind = 'intrusion' | 'anomaly' | 'honeypot' | 'resource';

export interface SignalRow {
  readonly atMs: number;
  readonly kind: SignalKind;
  /** A bucket of addresses; `-` for the machine itself. */
  readonly ip: string;
  readonly pattern: string;
  readonly score: number;
  readonly total: number;
  readonly requestId: string | null;
  readonly method: string | null;
  readonly path: string | null;
  readonly userAgent: string | null;
  readonly details: Readonly<Record<string, unknown>> | null;
}

/** Something for the audit chain, and in whose name. */
export interface Entry {
  readonly event: AuditEvent;
  readonly actor: Actor;
}

/** What is written together. */
export interface Batch {
  readonly bans: readonly StoredBan[];
  /** Networks that are not banned any more. */
  readonly lifted: readonly string[];
  readonly standings: readonly StoredStanding[];
  /** Buckets of which nothing is worth knowing any more. */
  readonly forgotten: readonly string[];
  readonly signals: readonly SignalRow[];
  readonly entries: readonly Entry[];
}

export interface SignalQuery {
  readonly kinds: readonly SignalKind[];
  readonly ip: string | null;
  readonly pattern: string | null;
  readonly minScore: number | null;
  readonly limit: number;
  readonly offset: number;
  /** Rows older than the one with this number. */
  readonly before: number | null;
}

export interface SignalCount {
  readonly kind: SignalKind;
  readonly pattern: string;
  readonly count: number;
  readonly lastAtMs: number;
}

export interface SecurityStore {
  load(): { readonly bans: readonly StoredBan[]; readonly standings: readonly StoredStanding[] };
  /** All of it or nothing. Keeps the tables within their bounds. */
  write(batch: Batch, nowMs: number): void;
  signals(query: SignalQuery): readonly (SignalRow & { readonly id: number })[];
  counts(sinceMs: number): readonly SignalCount[];
}

/** Rows that the tables hold at most. */
const MAX_STANDINGS = 20_000;
const MAX_SIGNALS = 10_000;
const KEEP_SIGNALS_MS = 30 * 86_400_000;
/** Names that are looked for in one statement. */
const AT_ONCE = 500;

export function createSecurityStore(db: SecurityDb, audit: AuditWriter): SecurityStore {
  const { ipBans: bans, ipStandings: standings, securitySignals: signals } = securitySchema;

  function trim(nowMs: number): void {
    const newest =
      db
        .select({ id: max(signals.id) })
        .from(signals)
        .get()?.id ?? 0;
    db.delete(signals)
      .where(or(lte(signals.id, newest - MAX_SIGNALS), lt(signals.atMs, nowMs - KEEP_SIGNALS_MS)))
      .run();
    const rows = db.select({ n: count() }).from(standings).get()?.n ?? 0;
    if (rows <= MAX_STANDINGS) return;
    const oldest = db
      .select({ bucket: standings.bucket })
      .from(standings)
      .orderBy(standings.lastAtMs)
      .limit(rows - MAX_STANDINGS);
    db.delete(standings).where(inArray(standings.bucket, oldest)).run();
  }

  return {
    load: () => ({
      bans: db.select().from(bans).all(),
      standings: db.select().from(standings).orderBy(desc(standings.lastAtMs)).limit(MAX_STANDINGS).all(),
    }),

    write(batch, nowMs) {
      db.transaction(
        (tx) => {
          for (const part of inParts(batch.lifted)) tx.delete(bans).where(inArray(bans.network, part)).run();
          for (const ban of batch.bans)
            tx.insert(bans).values(ban).onConflictDoUpdate({ target: bans.network, set: ban }).run();
          for (const part of inParts(batch.forgotten))
            tx.delete(standings).where(inArray(standings.bucket, part)).run();
          for (const row of batch.standings)
            tx.insert(standings).values(row).onConflictDoUpdate({ target: standings.bucket, set: row }).run();
          for (const { details, ...row } of batch.signals)
            tx.insert(signals)
              .values({ ...row, detailsJson: details === null ? null : JSON.stringify(details) })
              .run();
          trim(nowMs);
          for (const { event, actor } of batch.entries) actingAs(actor, () => audit.write(event));
        },
        { behavior: 'immediate' },
      );
    },

    signals({ kinds, ip, pattern, minScore, limit, offset, before }) {
      const wanted: (SQL | undefined)[] = [
        inArray(signals.kind, [...kinds]),
        ip === null ? undefined : eq(signals.ip, ip),
        pattern === null ? undefined : eq(signals.pattern, pattern),
        minScore === null ? undefined : gte(signals.score, minScore),
        before === null ? undefined : lt(signals.id, before),
      ];
      const rows = db
        .select()
        .from(signals)
        .where(and(...wanted))
        .orderBy(desc(signals.id))
        .limit(limit)
        .offset(offset)
        .all();
      return rows.map(({ kind, detailsJson, ...row }) => ({
        ...row,
        kind: kindIn(kind),
        details: detailsJson === null ? null : detailsIn(detailsJson),
      }));
    },

    counts(sinceMs) {
      const rows = db
        .select({
          kind: signals.kind,
          pattern: signals.pattern,
          // A row stands for itself and for those that it was told to count.
          count: sql<number>`sum(1 + coalesce(json_extract(${signals.detailsJson}, '$.repeated'), 0))`,
          lastAtMs: sql<number>`max(${signals.atMs})`,
        })
        .from(signals)
        .where(gte(signals.atMs, sinceMs))
        .groupBy(signals.kind, signals.pattern)
        .orderBy(signals.kind, signals.pattern)
        .all();
      return rows.map((row) => ({ ...row, kind: kindIn(row.kind) }));
    },
  };
}

const KINDS = ['intrusion', 'anomaly', 'honeypot', 'resource'] as const satisfies readonly SignalKind[];

/** A word of a newer version is shown among the anomalies: it is something that this one does not know. */
function kindIn(text: string): SignalKind {
  return KINDS.find((kind) => kind === text) ?? 'anomaly';
}

function detailsIn(json: string): Record<string, unknown> | null {
  const value = parseJson(json);
  return isRecord(value) ? value : null;
}

function* inParts<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let start = 0; start < items.length; start += AT_ONCE) yield items.slice(start, start + AT_ONCE);
}
