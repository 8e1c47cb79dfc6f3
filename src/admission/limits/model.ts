/** What limits are made of, wherever they are kept. */
import type { Limit } from './meter';

export type Unit = 'requests' | 'tokens';

/** Something that is asked for. */
export interface Demand {
  /** The id of a key, or `global`. */
  readonly subject: string;
  readonly unit: Unit;
  readonly limit: Limit;
  /** Units; 0 only looks. */
  readonly cost: number;
}

/** Where a subject stands after it was asked. */
export interface Standing {
  readonly remaining: number;
  /** Until everything is free again, if nothing more is asked for. */
  readonly resetMs: number;
  /** Marks the window, for `settle`. */
  readonly window: number;
}

export interface Verdict {
  /** Index of the first demand that did not fit; null: all were counted. */
  readonly refused: number | null;
  /** Until it may fit; 0 when nothing was refused. */
  readonly waitMs: number;
  /** One for each demand. */
  readonly standings: readonly Standing[];
}

/**
 * Where counts are kept. One call takes all or nothing, so that a store elsewhere needs one round trip and no transaction;
 * the one in memory answers at once and makes no promise.
 */
export interface LimitStore {
  /** Counts all demands, or none when one does not fit. */
  take(demands: readonly Demand[]): Verdict | Promise<Verdict>;
  /**
   * How long until another request of `subject` may fit; 0: it may now. Left out by a store that would have to wait to
   * know, so that requests are refused later.
   */
  usedUpMs?(subject: string, limit: Limit): number;
  /** Puts right what was counted in `window` for a demand: it was `actual` units. */
  settle(demand: Demand, window: number, actual: number): void | Promise<void>;
}

/** How far what is written is ahead of what was granted: a quarter of a minute's units (memory.ts). */
export function aheadOf({ perMinute }: Limit): number {
  return Math.max(1, Math.floor(perMinute / 4));
}

/**
 * What a process that was replaced may still grant to those who are connected to it: `wanted`, at most half of a bucket and
 * what is in it. The next process counts that as granted, and its bucket is smaller by as much while both serve.
 */
export function heldOf(wanted: number, { burst }: Limit, level: number): number {
  return Math.max(0, Math.min(wanted, Math.floor(burst / 2), Math.floor(level)));
}

/** The same of somebody of whom it has written nothing: a request that comes on a connection it has kept. */
export function reserveOf(unit: Unit, limit: Limit): number {
  return heldOf(unit === 'requests' ? 1 : aheadOf(limit), limit, limit.burst);
}

/** What is kept of a window across restarts. */
export interface LimitRow {
  readonly subject: string;
  readonly unit: Unit | 'strangers';
  /** Wall time at which it was opened. */
  readonly startedAtMs: number;
  /** At least what was granted in it. */
  readonly count: number;
  /** At most what the bucket holds, in units; less than 0 is a debt. */
  readonly level: number;
  /** Of the bucket, what a process that was replaced may still grant: units that do not refill before it is gone. */
  readonly held: number;
  /** From when on nothing of it matters. */
  readonly expiresAtMs: number;
}

/** The table of them. Synchronous: what is granted next may depend on it. */
export interface LimitRows {
  /**
   * What is still valid, and whether a process that was replaced less than a minute ago may still serve those who are
   * connected to it.
   */
  load(nowMs: number): { readonly rows: readonly LimitRow[]; readonly isShared: boolean };
  write(rows: readonly LimitRow[], nowMs: number): void;
  /** Takes out what has expired. */
  purge(nowMs: number): void;
  /** Writes the last rows of one that goes on serving those who are connected, for a minute at most. */
  handOver(rows: readonly LimitRow[], nowMs: number): void;
  /** Writes the last rows, which are exact. */
  finish(rows: readonly LimitRow[], nowMs: number): void;
}
