/**
 * Limits in memory, and on disk as far as it takes to grant nothing twice. The first grant of a window is written before
 * anybody hears of it, and what is written is ahead of what was granted, by a quarter of a minute's units: within that
 * nothing has to be written. A process that was killed has granted at most what is written, which the next one counts.
 */
import type { Clock } from '../../contract';
import type { Log } from '../../lib/log';
import { type Limit, Meter, WINDOW_MS } from './meter';
import {
  aheadOf,
  type Demand,
  heldOf,
  type LimitRow,
  type LimitRows,
  type LimitStore,
  reserveOf,
  type Standing,
  type Unit,
  type Verdict,
} from './model';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly rows: LimitRows;
  readonly log: Log;
}

export interface MemoryStore extends LimitStore {
  take(demands: readonly Demand[]): Verdict;
  usedUpMs(subject: string, limit: Limit): number;
  settle(demand: Demand, window: number, actual: number): void;
  /** Writes what has to be ahead; called once a second. */
  flush(): void;
  /**
   * Another process takes over. What is under way here may use up what is written for it, for a minute at most; nothing is
   * written any more.
   */
  pause(): void;
  resume(): void;
  close(): void;
  /** Addresses of the process before this one. */
  readonly strangers: readonly LimitRow[];
  /** Writes down rows of others. */
  keep(rows: readonly LimitRow[]): void;
  /** Subjects that are kept in memory. */
  readonly size: number;
}

interface Kept extends Pick<Demand, 'subject' | 'unit'> {
  readonly meter: Meter;
  limit: Limit;
  /** What the process before this one may still grant out of the same bucket, while it serves beside this one. */
  held: number;
}

/** Rows of one flush: more wait a second, which changes nothing of what may be granted. */
const MAX_ROWS = 2_000;
/** Flushes between two looks for what is idle or expired. */
const PURGE_EVERY = 60;

export function createMemoryStore({ clock, rows, log }: MemoryStoreOptions): MemoryStore {
  const now = () => Math.floor(clock.monotonicMs());
  const kept: Readonly<Record<Unit, Map<string, Kept>>> = { requests: new Map(), tokens: new Map() };
  /** What will soon have been granted as far as it is written. */
  const dirty = new Set<Kept>();
  const startedMs = now();
  const restored = loaded();
  const strangers = restored.rows.filter(({ unit }) => unit === 'strangers');
  const before = new Map(restored.rows.map((row) => [`${row.unit}:${row.subject}`, row]));
  let pausedMs: number | null = null;
  let flushes = 0;
  let isWritable = true;

  function loaded(): ReturnType<LimitRows['load']> {
    try {
      return rows.load(clock.nowMs());
    } catch (error) {
      log.warn('limits of the process before this one cannot be read: they begin anew', { error });
      return { rows: [], isShared: false };
    }
  }

  function keptOf({ subject, unit, limit }: Demand, nowMs: number): Kept {
    let entry = kept[unit].get(subject);
    if (entry === undefined) {
      entry = begin(subject, unit, limit, nowMs);
      kept[unit].set(subject, entry);
      return entry;
    }
    roll(entry, nowMs);
    // A larger bucket is the other process's to fill, once there is one.
    if (limit.burst > entry.limit.burst && pausedMs === null)
      entry.meter.grow(limit.burst - entry.limit.burst);
    entry.limit = limit;
    return entry;
  }

  function roll(entry: Kept, nowMs: number): void {
    const { meter, limit } = entry;
    if (entry.held > 0 && !isShared(nowMs)) entry.held = 0;
    // What another process counts by now, this one must not grant any more, and its bucket is not filled twice.
    const isOver = meter.roll(pausedMs === null ? bucketOf(entry) : { ...limit, perMinute: 0 }, nowMs);
    if (isOver) meter.written = 0;
  }

  /** As large as it is, without what the other process holds of it. */
  function bucketOf({ limit, held }: Pick<Kept, 'limit' | 'held'>): Limit {
    return held === 0 ? limit : { ...limit, burst: limit.burst - held };
  }

  /** Whether the process before this one may still grant what it kept for itself. */
  function isShared(nowMs: number): boolean {
    return restored.isShared && nowMs - startedMs < WINDOW_MS;
  }

  /** The meter of somebody who has none here: new, or as the process before this one left it. */
  function begin(subject: string, unit: Unit, limit: Limit, nowMs: number): Kept {
    const meter = new Meter(limit, nowMs);
    const entry: Kept = { subject, unit, limit, meter, held: 0 };
    const reserve = reserveOf(unit, limit);
    if (pausedMs !== null) meter.written = reserve;
    const name = `${unit}:${subject}`;
    const row = before.get(name);
    before.delete(name);
    if (row !== undefined) {
      if (isShared(nowMs)) entry.held = Math.min(row.held, limit.burst);
      // A row whose start lies ahead was written by a clock that was set back since: the window counts from the start.
      const ageMs = Math.max(0, clock.nowMs() - (nowMs - startedMs) - row.startedAtMs);
      meter.restore(startedMs - ageMs, row.count, row.level, startedMs);
      if (meter.roll(bucketOf(entry), startedMs)) {
        meter.written = 0;
        // The other process may have begun the next one, and has forgotten that there was one before.
        if (isShared(nowMs)) {
          const more = Math.max(0, reserve - entry.held);
          entry.held += more;
          meter.restore(startedMs, entry.held, row.level - more, startedMs);
        }
      }
    } else if (isShared(nowMs)) {
      entry.held = reserve;
      meter.restore(startedMs, reserve, limit.burst - reserve, startedMs);
    } else return entry;
    if (meter.roll(bucketOf(entry), nowMs)) meter.written = 0;
    return entry;
  }

  function mayGrant({ meter }: Kept, cost: number, nowMs: number): boolean {
    if (pausedMs === null || cost === 0) return true;
    return nowMs - pausedMs < WINDOW_MS && meter.count + cost <= meter.written;
  }

  /** What is on disk has to be ahead of what was granted, before anybody hears of the grant. */
  function keepAhead(entry: Kept): void {
    const { meter } = entry;
    if (meter.count > meter.written) {
      if (pausedMs === null) write([entry]);
    } else if (meter.count * 2 > meter.written) dirty.add(entry);
  }

  function write(entries: readonly Kept[]): void {
    const nowMs = now();
    const wallMs = clock.nowMs();
    keep(entries.map((entry) => rowOf(entry, aheadOf(entry.limit), nowMs, wallMs)));
    for (const { meter, limit } of entries) meter.written = meter.count + aheadOf(limit);
  }

  function keep(some: readonly LimitRow[]): void {
    try {
      rows.write(some, clock.nowMs());
      isWritable = true;
    } catch (error) {
      // Whoever is let in is counted all the same; only what comes after a crash could be too much.
      if (isWritable) log.warn('limits cannot be written down: after a crash they begin anew', { error });
      isWritable = false;
    }
  }

  function handOver(some: readonly LimitRow[]): void {
    try {
      rows.handOver(some, clock.nowMs());
    } catch (error) {
      log.warn('limits cannot be written down for the next process', { error });
    }
  }

  function* busy(nowMs: number): Generator<Kept> {
    for (const entries of Object.values(kept)) {
      for (const [subject, entry] of entries) {
        roll(entry, nowMs);
        if (entry.meter.isIdle(entry.limit)) entries.delete(subject);
        else yield entry;
      }
    }
  }

  return {
    take(demands) {
      const nowMs = now();
      const entries = demands.map((demand) => keptOf(demand, nowMs));
      let refused: number | null = null;
      for (const [index, { limit, cost }] of demands.entries()) {
        const entry = entries[index] as Kept;
        if (entry.meter.fits(limit, cost) && mayGrant(entry, cost, nowMs)) continue;
        if (cost === 0) continue;
        refused = index;
        break;
      }
      let waitMs = 0;
      const standings: Standing[] = [];
      for (const [index, { limit, cost }] of demands.entries()) {
        const entry = entries[index] as Kept;
        const { meter } = entry;
        if (refused === null && cost > 0) {
          // No window begins here any more: it would reach into two of the other process.
          meter.spend(cost, pausedMs ?? nowMs);
          keepAhead(entry);
        }
        if (refused === index) waitMs = Math.max(1, meter.waitMs(limit, cost, nowMs));
        standings.push({
          remaining: meter.remaining(limit),
          resetMs: meter.resetMs(limit, nowMs),
          window: meter.startMs,
        });
      }
      return { refused, waitMs, standings };
    },

    usedUpMs(subject, limit) {
      const entry = kept.requests.get(subject);
      if (entry === undefined) return 0;
      const nowMs = now();
      roll(entry, nowMs);
      // With another limit than before, what is left is for `take` to find out.
      const { meter } = entry;
      if (entry.limit !== limit || (meter.fits(limit, 1) && mayGrant(entry, 1, nowMs))) return 0;
      return Math.max(1, meter.waitMs(limit, 1, nowMs));
    },

    settle(demand, window, actual) {
      const nowMs = now();
      const entry = keptOf(demand, nowMs);
      const { meter } = entry;
      meter.settle(bucketOf(entry), window, demand.cost, actual, nowMs);
      // What is given back here the next process does not know of; it holds no more than before.
      if (pausedMs !== null)
        meter.written = Math.min(meter.written, meter.count + reserveOf(demand.unit, demand.limit));
      keepAhead(entry);
    },

    flush() {
      if (pausedMs !== null) return;
      const some = [...dirty].slice(0, MAX_ROWS);
      for (const entry of some) dirty.delete(entry);
      if (some.length > 0) write(some);
      flushes++;
      if (flushes % PURGE_EVERY !== 0) return;
      for (const _ of busy(now()));
      rows.purge(clock.nowMs());
    },

    pause() {
      const nowMs = now();
      const wallMs = clock.nowMs();
      const entries = [...busy(nowMs)];
      handOver(
        entries.map((entry) => {
          const { meter, unit, limit } = entry;
          const wanted = Number.isFinite(meter.startMs) || unit === 'tokens' ? aheadOf(limit) : 1;
          const rest = heldOf(wanted, limit, meter.level());
          meter.written = meter.count + rest;
          const row = rowOf(entry, rest, nowMs, wallMs);
          return { ...row, held: entry.held + rest };
        }),
      );
      pausedMs = nowMs;
    },

    resume() {
      pausedMs = null;
    },

    close() {
      if (pausedMs !== null) return;
      const nowMs = now();
      const wallMs = clock.nowMs();
      pausedMs = Number.NEGATIVE_INFINITY;
      const exact = [...busy(nowMs)].map((entry) => rowOf(entry, 0, nowMs, wallMs));
      try {
        // Windows that nobody has asked about since the start are as they were.
        rows.finish([...exact, ...before.values()], wallMs);
      } catch (error) {
        log.warn('limits could not be written down: the next start takes a little more as used', { error });
      }
    },

    strangers,
    keep,

    get size() {
      return kept.requests.size + kept.tokens.size;
    },
  };
}

/** `ahead`: units that may be granted before the next row is written. */
function rowOf(
  { subject, unit, meter, limit, held }: Kept,
  ahead: number,
  nowMs: number,
  wallMs: number,
): LimitRow {
  // Between two windows the bucket alone counts on.
  const startedAtMs = Number.isFinite(meter.startMs) ? wallMs - (nowMs - meter.startMs) : wallMs - WINDOW_MS;
  const level = meter.level() - ahead;
  const fullMs = Math.ceil(((limit.burst - level) * WINDOW_MS) / limit.perMinute);
  const expiresAtMs = Math.max(wallMs + fullMs, startedAtMs + WINDOW_MS);
  return { subject, unit, startedAtMs, count: meter.count + ahead, level, held, expiresAtMs };
}
