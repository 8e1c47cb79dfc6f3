/**
 * Limits in memory, and on disk as far as it takes to grant nothing twice. What is written is always ahead of what was
 * granted, by a quarter of a minute's units: within that nothing has to be written before a grant. A process that was killed
 * has granted at most what is written, or where nothing is written a quarter; the next one counts that as granted.
 */
import type { Clock } from '../../contract';
import type { Log } from '../../lib/log';
import { type Limit, Meter, WINDOW_MS } from './meter';
import {
  aheadOf,
  type Demand,
  type LimitRow,
  type LimitRows,
  type LimitStore,
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
      log.warn('limits of the process before this one cannot be read: a quarter is taken as used', { error });
      return { rows: [], isExact: false };
    }
  }

  function keptOf({ subject, unit, limit }: Demand, nowMs: number): Kept {
    let entry = kept[unit].get(subject);
    if (entry === undefined) {
      entry = { subject, unit, limit, meter: begin(subject, unit, limit, nowMs) };
      kept[unit].set(subject, entry);
      return entry;
    }
    entry.limit = limit;
    roll(entry, nowMs);
    return entry;
  }

  function roll({ meter, limit }: Kept, nowMs: number): void {
    // What another process counts by now, this one must not grant any more, and its bucket is not filled twice.
    const isOver = meter.roll(pausedMs === null ? limit : { ...limit, perMinute: 0 }, nowMs);
    if (isOver) meter.written = pausedMs === null ? aheadOf(limit) : 0;
  }

  /** A meter for somebody who has none here: new, or as the process before this one left it. */
  function begin(subject: string, unit: Unit, limit: Limit, nowMs: number): Meter {
    const meter = new Meter(limit, nowMs);
    meter.written = aheadOf(limit);
    const name = `${unit}:${subject}`;
    const row = before.get(name);
    before.delete(name);
    const ahead = aheadOf(limit);
    if (row !== undefined) {
      // A row whose start lies ahead was written by a clock that was set back since: the window counts from the start.
      const ageMs = Math.max(0, clock.nowMs() - (nowMs - startedMs) - row.startedAtMs);
      meter.restore(startedMs - ageMs, row.count, -row.debt);
      meter.roll(limit, startedMs);
      // Its window is over, but the next one may have begun unwritten.
      if (meter.count === 0 && !restored.isExact) meter.restore(startedMs, ahead, -row.debt);
    } else if (!restored.isExact && nowMs - startedMs < WINDOW_MS) {
      // At the seam of two windows a quarter of each may have been taken from the bucket.
      meter.restore(startedMs, ahead, Math.max(0, limit.burst - 2 * ahead));
    } else return meter;
    if (meter.roll(limit, nowMs)) meter.written = ahead;
    return meter;
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
    keep(entries.map((entry) => rowOf(entry, entry.meter.count + aheadOf(entry.limit), nowMs, wallMs)));
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

    settle(demand, window, actual) {
      const nowMs = now();
      const entry = keptOf(demand, nowMs);
      entry.meter.settle(demand.limit, window, demand.cost, actual, nowMs);
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
      write([...busy(now())]);
      pausedMs = now();
    },

    resume() {
      pausedMs = null;
    },

    close() {
      if (pausedMs !== null) return;
      const nowMs = now();
      const wallMs = clock.nowMs();
      pausedMs = Number.NEGATIVE_INFINITY;
      const exact = [...busy(nowMs)].map((entry) => rowOf(entry, entry.meter.count, nowMs, wallMs));
      // The one before this one may still serve: what it may grant is told on.
      const isAlone = restored.isExact || nowMs - startedMs >= WINDOW_MS;
      try {
        // Windows that nobody has asked about since the start are as they were.
        if (isAlone) rows.finish([...exact, ...before.values()], wallMs);
        else rows.write(exact, wallMs);
      } catch (error) {
        log.warn('limits could not be written down: the next start takes a quarter as used', { error });
      }
    },

    strangers,
    keep,

    get size() {
      return kept.requests.size + kept.tokens.size;
    },
  };
}

function rowOf(
  { subject, unit, meter, limit }: Kept,
  count: number,
  nowMs: number,
  wallMs: number,
): LimitRow {
  // Between two windows the bucket alone counts on.
  const startedAtMs = Number.isFinite(meter.startMs) ? wallMs - (nowMs - meter.startMs) : wallMs - WINDOW_MS;
  const untilMs = Math.max(meter.resetMs(limit, nowMs), startedAtMs + WINDOW_MS - wallMs);
  return { subject, unit, startedAtMs, count, debt: meter.debt(), expiresAtMs: wallMs + untilMs };
}
