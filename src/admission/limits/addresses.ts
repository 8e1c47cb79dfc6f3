/**
 * Limits of addresses, in memory of a fixed size however many there are. The one that was seen longest ago makes room, and
 * leaves what it had used up in one of a few shared places: whoever comes anew begins with what its place holds. So nobody
 * gets a fresh minute by filling the table, and whoever is honest and shares a place with somebody who is not has less of
 * theirs until that minute is over.
 */
import { type Limit, Meter, WINDOW_MS } from './meter';

export interface AddressesOptions {
  /** Addresses that are kept apart. */
  readonly capacity?: number;
  /** Makes places unpredictable: nobody can choose an address by whom it harms. */
  readonly seed: number;
}

export interface Addresses {
  /**
   * Counts a request, whether it fits or not. How long to wait in milliseconds; 0: it was let through. `bucket` as ipBucket
   * has it.
   */
  take(bucket: string, limit: Limit, nowMs: number): number;
  /** Whether another request of it would not be let through. Counts nothing. */
  isUsedUp(bucket: string, limit: Limit, nowMs: number): boolean;
  /** Takes up a window of the process before this one. */
  restore(bucket: string, limit: Limit, startMs: number, count: number, nowMs: number): void;
  /** Those that have used half of their limit since the last call: they are worth writing down. */
  busy(): Iterable<readonly [bucket: string, startMs: number, count: number]>;
  readonly size: number;
}

interface Entry {
  readonly bucket: string;
  readonly meter: Meter;
  older: Entry | null;
  newer: Entry | null;
}

const CAPACITY = 65_536;
const PLACES = 65_536;
/** Addresses of one batch of rows; an attack with more of them is not told apart after a restart. */
const MAX_BUSY = 1_000;

export function createAddresses({ capacity = CAPACITY, seed }: AddressesOptions): Addresses {
  const entries = new Map<string, Entry>();
  /**
   * The ends of a list in the order of last use. A Map has an order, too, but finding its first entry takes the longer the
   * more were taken out before it.
   */
  let oldest: Entry | null = null;
  let newest: Entry | null = null;
  const busy = new Map<string, Meter>();
  const placeCount = new Uint32Array(PLACES);
  const placeStartMs = new Float64Array(PLACES).fill(Number.NEGATIVE_INFINITY);

  const placeOf = (bucket: string): number => Bun.hash.xxHash32(bucket, seed) % PLACES;

  function meterOf(bucket: string, limit: Limit, nowMs: number): Meter {
    // Whoever asks again and again is where it was.
    if (newest !== null && newest.bucket === bucket) return newest.meter;
    let entry = entries.get(bucket);
    if (entry === undefined) {
      if (entries.size >= capacity) evict(nowMs);
      entry = { bucket, meter: begin(bucket, limit, nowMs), older: null, newer: null };
      entries.set(bucket, entry);
    } else takeOut(entry);
    append(entry);
    return entry.meter;
  }

  function append(entry: Entry): void {
    entry.older = newest;
    if (newest === null) oldest = entry;
    else newest.newer = entry;
    newest = entry;
  }

  function takeOut(entry: Entry): void {
    const { older, newer } = entry;
    if (older === null) oldest = newer;
    else older.newer = newer;
    if (newer === null) newest = older;
    else newer.older = older;
    entry.newer = null;
  }

  function evict(nowMs: number): void {
    if (oldest === null) return;
    const { bucket, meter } = oldest;
    takeOut(oldest);
    entries.delete(bucket);
    if (nowMs - meter.startMs >= WINDOW_MS) return;
    const place = placeOf(bucket);
    const isOver = nowMs - (placeStartMs[place] ?? 0) >= WINDOW_MS;
    const count = Math.min(meter.count, 0xffff_ffff);
    placeCount[place] = Math.max(isOver ? 0 : (placeCount[place] ?? 0), count);
    placeStartMs[place] = Math.max(placeStartMs[place] ?? 0, meter.startMs);
  }

  function begin(bucket: string, limit: Limit, nowMs: number): Meter {
    const meter = new Meter(limit, nowMs);
    const place = placeOf(bucket);
    const startMs = placeStartMs[place] ?? 0;
    const count = placeCount[place] ?? 0;
    if (nowMs - startMs < WINDOW_MS) meter.restore(startMs, count, Math.max(0, limit.burst - count), nowMs);
    return meter;
  }

  return {
    take(bucket, limit, nowMs) {
      const meter = meterOf(bucket, limit, nowMs);
      meter.roll(limit, nowMs);
      const isIn = meter.fits(limit, 1);
      // Whoever goes on although told to wait, waits on.
      meter.spend(1, nowMs);
      if (meter.count * 2 > limit.perMinute && busy.size < MAX_BUSY) busy.set(bucket, meter);
      return isIn ? 0 : Math.max(1, meter.waitMs(limit, 1, nowMs));
    },

    isUsedUp(bucket, limit, nowMs) {
      const meter = entries.get(bucket)?.meter;
      meter?.roll(limit, nowMs);
      return meter?.fits(limit, 1) === false;
    },

    restore(bucket, limit, startMs, count, nowMs) {
      const meter = meterOf(bucket, limit, nowMs);
      meter.restore(startMs, count, 0, nowMs);
    },

    *busy() {
      const some = [...busy];
      busy.clear();
      for (const [bucket, { startMs, count }] of some)
        if (Number.isFinite(startMs)) yield [bucket, startMs, count];
    },

    get size() {
      return entries.size;
    },
  };
}
