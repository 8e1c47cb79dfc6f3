/**
 * One limit of one subject (FLM-110): a window of 60 seconds that lets through so many, and a bucket of `burst` that refills
 * evenly. Both must have room. Pure: whoever calls brings the time, in whole milliseconds of the monotonic clock.
 */

export interface Limit {
  /** Units (requests or tokens) in a window, and what the bucket gains in a minute. */
  readonly perMinute: number;
  /** What the bucket holds. */
  readonly burst: number;
}

export const WINDOW_MS = 60_000;
/** The bucket counts in 60,000ths of a unit: a millisecond fills `perMinute` of them, so that all sums are whole. */
const SCALE = 60_000;
/** A debt is never more than what an hour pays back: an engine that reports nonsense must not shut a key out for ever. */
const MAX_DEBT_MINUTES = 60;

/** No window is open: the next unit opens one. */
const NONE = Number.POSITIVE_INFINITY;

/** The limit for so many a minute; null without one. `burst` is as much when left out, and at least one. */
export function limitOf(perMinute: number | null | undefined, burst?: number | null): Limit | null {
  if (perMinute === null || perMinute === undefined || perMinute === 0) return null;
  return { perMinute, burst: Math.max(1, burst ?? perMinute) };
}

/** A class, because there are many and methods on a prototype cost nothing to make. */
export class Meter {
  /** When the window was opened. */
  startMs = NONE;
  /** Units counted in it. */
  count = 0;
  /** How far the count may go before it has to be written down (memory.ts). */
  written = 0;
  #level: number;
  #atMs: number;

  /** With a full bucket. */
  constructor({ burst }: Limit, nowMs: number) {
    this.#level = burst * SCALE;
    this.#atMs = nowMs;
  }

  /** Brings window and bucket up to date. Returns whether a window has ended. */
  roll({ perMinute, burst }: Limit, nowMs: number): boolean {
    this.#level = Math.min(burst * SCALE, this.#level + (nowMs - this.#atMs) * perMinute);
    this.#atMs = nowMs;
    if (nowMs - this.startMs < WINDOW_MS) return false;
    this.startMs = NONE;
    this.count = 0;
    return true;
  }

  fits({ perMinute }: Limit, cost: number): boolean {
    return this.count + cost <= perMinute && this.#level >= cost * SCALE;
  }

  /** Counts units, whether they fit or not; the bucket never falls below empty. */
  spend(cost: number, nowMs: number): void {
    if (this.startMs === NONE) this.startMs = nowMs;
    this.count += cost;
    this.#level = Math.max(Math.min(0, this.#level), this.#level - cost * SCALE);
  }

  /**
   * Puts right what was counted as `cost` in the window opened at `startMs`. Less than that is given back, to the window
   * only while it lasts; more is a debt, which the bucket pays back before it lets anything through.
   */
  settle(limit: Limit, startMs: number, cost: number, actual: number, nowMs: number): void {
    this.roll(limit, nowMs);
    const more = actual - cost;
    const lowest = -limit.perMinute * MAX_DEBT_MINUTES * SCALE;
    this.#level = Math.max(lowest, Math.min(limit.burst * SCALE, this.#level - more * SCALE));
    if (more < 0) {
      if (this.startMs === startMs) this.count = Math.max(0, this.count + more);
    } else if (more > 0) {
      if (this.startMs === NONE) this.startMs = nowMs;
      this.count += more;
    }
  }

  /** How long until `cost` fits, if nothing else is asked for; 0: it does. */
  waitMs({ perMinute }: Limit, cost: number, nowMs: number): number {
    const window = this.count + cost <= perMinute ? 0 : this.startMs + WINDOW_MS - nowMs;
    return Math.max(window, Math.ceil((cost * SCALE - this.#level) / perMinute), 0);
  }

  /** What fits now. */
  remaining({ perMinute }: Limit): number {
    return Math.max(0, Math.min(perMinute - this.count, Math.floor(this.#level / SCALE)));
  }

  /** How long until everything fits again, if nothing is asked for. */
  resetMs({ perMinute, burst }: Limit, nowMs: number): number {
    const window = this.startMs === NONE || this.count === 0 ? 0 : this.startMs + WINDOW_MS - nowMs;
    return Math.max(window, Math.ceil((burst * SCALE - this.#level) / perMinute), 0);
  }

  /** Whether it is as good as new. */
  isIdle({ burst }: Limit): boolean {
    return this.startMs === NONE && this.#level >= burst * SCALE;
  }

  /** What the bucket holds, in units; less than 0 is a debt. */
  level(): number {
    return this.#level / SCALE;
  }

  /** Takes up a window that was begun before. The bucket held `units` at `atMs`, which may be a debt. */
  restore(startMs: number, count: number, units: number, atMs: number): void {
    this.startMs = startMs;
    this.count = count;
    this.written = count;
    this.#level = Math.floor(units * SCALE);
    this.#atMs = atMs;
  }

  /** The bucket got larger: what it gained is there at once. */
  grow(units: number): void {
    this.#level += units * SCALE;
  }
}
