/**
 * What is to be written: bans, standings, signals and audit rows wait here and leave together. Bounded in every direction:
 * strangers decide how much happens, and must not decide how much is kept (FLM-111, issue 5).
 */
import type { AuditEvent, AuditSeverity, AuditType, Clock } from '../contract';
import type { Actor } from '../lib/actor';
import { toFlmError } from '../lib/errors';
import { maskIp } from '../lib/ip';
import type { Log } from '../lib/log';
import { type Ban, storedBan } from './bans';
import type { Standing, StoredStanding } from './standing';
import type { Batch, Entry, SecurityStore, SignalRow } from './store';

export interface Journal {
  /** A ban was made or lifted by itself. Written within a second. */
  ban(ban: Ban, requestId: string | null): void;
  lifted(bans: readonly Ban[]): void;
  /** Its end reads differently by now: somebody has set the clock. */
  rewrite(ban: Ban): void;
  /** It changed. */
  standing(standing: Standing): void;
  forgotten(bucket: string): void;
  signal(row: SignalRow, severity: AuditSeverity): void;
  /** Something of FLM's own for the audit chain. */
  record(type: AuditType, severity: AuditSeverity, details: Readonly<Record<string, unknown>>): void;
  /** Writes what waits, unless the disk is left alone for a while. False: it was not written and waits on. */
  flush(): boolean;
  /** Writes what the owner changes at once. @throws DB_ERROR, and then nothing was changed */
  change(batch: Pick<Batch, 'bans' | 'lifted' | 'forgotten'>, event: AuditEvent, actor: Actor): void;
  start(): void;
  /** Writes what waits, and nothing more until `start`. Returns whether the database has all bans. */
  stop(): boolean;
}

export interface JournalOptions {
  readonly store: SecurityStore;
  readonly clock: Clock;
  readonly log: Log;
  /** The least severity that is put on record. */
  readonly recordFrom: () => AuditSeverity;
  /** Done before each regular write. */
  readonly beforeFlush: () => void;
}

const EVERY_MS = 5_000;
/** A new ban waits this long for others. */
const SOON_MS = 250;
/** After this many failures in a row it rests for a while (FLM-111). */
const MAX_FAILURES = 5;
const REST_MS = 60_000;
/** The same of the same address is told once in this time; what comes in between is counted. */
const WINDOW_MS = 600_000;
const MINUTE_MS = 60_000;
/** What a minute may hold, whoever causes it. */
const SIGNALS_A_MINUTE = 100;
const ENTRIES_A_MINUTE = 20;
const MAX_WINDOWS = 10_000;
const MAX_WAITING = 20_000;
/** Signals and audit rows that wait while the disk takes none. */
const MAX_UNWRITTEN = 1_000;
/** In one transaction, which everybody waits for. */
const STANDINGS_AT_ONCE = 500;
const BANS_AT_ONCE = 500;
/** Less than this is not worth a row: one failure, or two strange requests. */
const WORTH_KEEPING = 20;

const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const satisfies readonly AuditSeverity[];
const AUDITED = {
  intrusion: 'security.intrusion',
  anomaly: 'security.anomaly',
  honeypot: 'security.honeypot',
  resource: 'security.resource',
} as const satisfies Record<SignalRow['kind'], AuditType>;

export function createJournal({ store, clock, log, recordFrom, beforeFlush }: JournalOptions): Journal {
  /** Networks whose ban changed; null: lifted. */
  const bans = new Map<string, Ban | null>();
  const standings = new Map<string, Standing>();
  const forgotten = new Set<string>();
  const signals: SignalRow[] = [];
  const entries: Entry[] = [];
  const windows = new Map<string, { readonly endsAtMs: number; repeated: number }>();
  /** Events beyond what a minute may hold. */
  const beyond = new Map<AuditType, number>();
  let minuteMs = 0;
  let signalsLeft = SIGNALS_A_MINUTE;
  let entriesLeft = ENTRIES_A_MINUTE;
  let failures = 0;
  let restUntilMs = Number.NEGATIVE_INFINITY;
  let isOpen = false;
  let regular: ReturnType<typeof setInterval> | null = null;
  let soon: ReturnType<typeof setTimeout> | null = null;

  function newMinute(): void {
    const nowMs = clock.monotonicMs();
    if (nowMs - minuteMs < MINUTE_MS) return;
    minuteMs = nowMs;
    signalsLeft = SIGNALS_A_MINUTE;
    entriesLeft = ENTRIES_A_MINUTE;
    for (const [type, count] of beyond) {
      const event: AuditEvent = { type, severity: 'high', target: null, details: { more: count } };
      entries.push({ event, actor: FLM });
    }
    beyond.clear();
  }

  function enter(
    type: AuditType,
    severity: AuditSeverity,
    details: Entry['event']['details'],
    actor: Actor,
  ): void {
    if (SEVERITIES.indexOf(severity) < SEVERITIES.indexOf(recordFrom())) return;
    newMinute();
    if (entriesLeft === 0 || entries.length >= MAX_UNWRITTEN) beyond.set(type, (beyond.get(type) ?? 0) + 1);
    else {
      entriesLeft--;
      entries.push({ event: { type, severity, target: null, details }, actor });
    }
  }

  /** How often it happened since it was last told, or null when it is not to be told now. */
  function repeatedSince(name: string): number | null {
    const nowMs = clock.monotonicMs();
    const window = windows.get(name);
    if (window !== undefined && nowMs < window.endsAtMs) {
      window.repeated++;
      return null;
    }
    if (windows.size >= MAX_WINDOWS) windows.clear();
    windows.set(name, { endsAtMs: nowMs + WINDOW_MS, repeated: 0 });
    return window?.repeated ?? 0;
  }

  function take(): Batch {
    const nowMs = clock.monotonicMs();
    const wallMs = clock.nowMs();
    const changed = [...bans].slice(0, BANS_AT_ONCE);
    const rows: StoredStanding[] = [];
    const gone = [...forgotten].slice(0, STANDINGS_AT_ONCE);
    for (const standing of [...standings.values()].slice(0, STANDINGS_AT_ONCE)) {
      if (standing.interest(nowMs) >= WORTH_KEEPING) rows.push(standing.stored(nowMs, wallMs));
      else gone.push(standing.bucket);
    }
    return {
      bans: changed.flatMap(([, ban]) => (ban === null ? [] : storedBan(ban, clock))),
      lifted: changed.flatMap(([network, ban]) => (ban === null ? network : [])),
      standings: rows,
      forgotten: gone,
      signals: signals.slice(0),
      entries: entries.slice(0),
    };
  }

  function settle(batch: Batch): void {
    for (const { network } of batch.bans) bans.delete(network);
    for (const network of batch.lifted) bans.delete(network);
    for (const { bucket } of batch.standings) standings.delete(bucket);
    for (const bucket of batch.forgotten) {
      standings.delete(bucket);
      forgotten.delete(bucket);
    }
    signals.splice(0, batch.signals.length);
    entries.splice(0, batch.entries.length);
  }

  function isEmpty({
    bans: made,
    lifted,
    standings: rows,
    forgotten: gone,
    signals: seen,
    entries: told,
  }: Batch) {
    return [made, lifted, rows, gone, seen, told].every((part) => part.length === 0);
  }

  function flush(): boolean {
    if (clock.monotonicMs() < restUntilMs) return false;
    newMinute();
    const batch = take();
    if (isEmpty(batch)) return true;
    try {
      store.write(batch, clock.nowMs());
    } catch (error) {
      failures++;
      if (failures === 1)
        log.warn('what abuse protection knows cannot be written', { error: toFlmError(error) });
      if (failures >= MAX_FAILURES) {
        failures = 0;
        restUntilMs = clock.monotonicMs() + REST_MS;
      }
      return false;
    }
    failures = 0;
    settle(batch);
    if (bans.size > 0) later();
    return true;
  }

  function work(): void {
    if (!isOpen) return;
    beforeFlush();
    flush();
  }

  function later(): void {
    if (!isOpen || soon !== null) return;
    soon = setTimeout(() => {
      soon = null;
      work();
    }, SOON_MS);
    soon.unref();
  }

  return {
    ban(ban, requestId) {
      bans.set(ban.network.text, ban);
      const { reason, lengthMs } = ban;
      const details = {
        reason,
        automatic: true,
        for_s: lengthMs === null ? null : Math.round(lengthMs / 1_000),
      };
      const severity = lengthMs === null ? 'high' : 'medium';
      enter('security.banned', severity, details, strangerAt(ban.network.text, requestId));
      later();
    },

    lifted(lifted) {
      for (const ban of lifted) bans.set(ban.network.text, null);
    },

    rewrite: (ban) => void bans.set(ban.network.text, ban),

    standing(standing) {
      forgotten.delete(standing.bucket);
      if (standings.size < MAX_WAITING) standings.set(standing.bucket, standing);
    },

    forgotten(bucket) {
      standings.delete(bucket);
      if (forgotten.size < MAX_WAITING) forgotten.add(bucket);
    },

    signal(row, severity) {
      newMinute();
      const repeated = repeatedSince(`${row.pattern} ${row.ip}`);
      if (repeated !== null && signalsLeft > 0 && signals.length < MAX_UNWRITTEN) {
        signalsLeft--;
        signals.push(repeated === 0 ? row : { ...row, details: { ...row.details, repeated } });
      }
      const since = repeatedSince(`${row.kind} of ${row.ip}`);
      if (since === null) return;
      const details = {
        pattern: row.pattern,
        score: Math.round(row.total),
        ...(row.kind === 'honeypot' ? { path: row.path, method: row.method } : {}),
        ...(since === 0 ? {} : { repeated: since }),
      };
      enter(AUDITED[row.kind], severity, details, strangerAt(row.ip, row.requestId));
    },

    record(type, severity, details) {
      enter(type, severity, details, FLM);
    },

    flush,

    change(batch, event, actor) {
      // What waits goes first: it may tell of the same networks.
      flush();
      const nothing = { standings: [], signals: [], entries: [] };
      store.write({ ...nothing, ...batch, entries: [{ event, actor }] }, clock.nowMs());
      for (const { network } of batch.bans) bans.delete(network);
      for (const network of batch.lifted) bans.delete(network);
      for (const bucket of batch.forgotten) standings.delete(bucket);
    },

    start() {
      isOpen = true;
      regular ??= setInterval(work, EVERY_MS);
      regular.unref();
      later();
    },

    stop() {
      // The last chance is taken also where the disk is left alone.
      restUntilMs = Number.NEGATIVE_INFINITY;
      if (isOpen) while (flush() && bans.size > 0);
      isOpen = false;
      if (regular !== null) clearInterval(regular);
      if (soon !== null) clearTimeout(soon);
      [regular, soon] = [null, null];
      return bans.size === 0;
    },
  };
}

const FLM: Actor = { kind: 'system', id: 'flm', via: 'inside', requestId: null, traceId: null, ip: null };

/** Whoever caused it. Their address is kept where it can be erased. */
function strangerAt(ip: string, requestId: string | null): Actor {
  if (ip === '-') return FLM;
  return { kind: 'anonymous', id: 'stranger', via: 'inside', requestId, traceId: null, ip };
}

/** How a network is named where it cannot be erased: an address without its end, a whole network as it is. */
export function publicName({ network }: Pick<Ban, 'network'>): string {
  const { text, prefix, width } = network;
  return prefix === width || (width === 128 && prefix >= 64) ? maskIp(text.split('/', 1)[0] ?? '') : text;
}
