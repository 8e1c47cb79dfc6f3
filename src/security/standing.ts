/** What an address has done (FLM-112 to FLM-114): failures and scores, which fade, and what it did in the last minute. */

import { isStrangePath } from './client-paths';
import type { Facts, Recent } from './facts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** How long the number of bans counts after the last of them. */
export const BANS_COUNT_MS = 30 * 24 * HOUR_MS;
/** Keys and paths that are told apart; who tries more has been noticed long before. */
const MAX_KEYS = 8;
const MAX_PATHS = 64;

/** As it is kept in the database. Times are wall time. */
export interface StoredStanding {
  readonly bucket: string;
  readonly failures: number;
  readonly firstFailureAtMs: number | null;
  readonly intrusionScore: number;
  readonly anomalyScore: number;
  readonly bans: number;
  readonly lastAtMs: number;
}

/** A class: there may be a hundred thousand of them. Its times are monotonic unless they say otherwise. */
export class Standing {
  readonly bucket: string;
  failures = 0;
  /** Wall time. */
  firstFailureAtMs: number | null = null;
  intrusion = 0;
  anomaly = 0;
  /** Bans so far. */
  bans = 0;
  /** Up to here scores have faded. */
  #fadedAtMs: number;
  /** Failures fade from here on: not during a ban. */
  #failuresFadeAtMs: number;
  lastAtMs: number;
  #keys: number[] | null = null;
  #lately: Lately | null = null;

  constructor(bucket: string, nowMs: number) {
    this.bucket = bucket;
    this.#fadedAtMs = nowMs;
    this.#failuresFadeAtMs = nowMs;
    this.lastAtMs = nowMs;
  }

  /** One as it was before a restart, `ageMs` ago. */
  static restored(stored: StoredStanding, nowMs: number, ageMs: number): Standing {
    const standing = new Standing(stored.bucket, nowMs - ageMs);
    standing.failures = stored.failures;
    standing.firstFailureAtMs = stored.firstFailureAtMs;
    standing.intrusion = stored.intrusionScore;
    standing.anomaly = stored.anomalyScore;
    standing.bans = stored.bans;
    standing.fade(nowMs);
    return standing;
  }

  /** Scores lose a point with each minute, and a failure is forgotten with each hour: whole ones, so that five stay five. */
  fade(nowMs: number): void {
    const points = Math.floor((nowMs - this.#fadedAtMs) / MINUTE_MS);
    if (points > 0) {
      this.intrusion = Math.max(0, this.intrusion - points);
      this.anomaly = Math.max(0, this.anomaly - points);
      this.#fadedAtMs += points * MINUTE_MS;
    }
    const hours = Math.floor((nowMs - this.#failuresFadeAtMs) / HOUR_MS);
    if (hours > 0) {
      this.failures = Math.max(0, this.failures - hours);
      this.#failuresFadeAtMs += hours * HOUR_MS;
      if (this.failures === 0) this.firstFailureAtMs = null;
    }
    if (nowMs - this.lastAtMs > BANS_COUNT_MS) this.bans = 0;
  }

  /** Whether nothing can be forgiven. */
  get isClean(): boolean {
    return this.failures === 0 && this.intrusion === 0 && this.anomaly === 0;
  }

  /** A request of this address was recognised: a failure less, and some points. */
  forgive(nowMs: number): void {
    this.fade(nowMs);
    this.failures = Math.max(0, this.failures - 1);
    this.intrusion = Math.max(0, this.intrusion - FORGIVEN_POINTS);
    this.anomaly = Math.max(0, this.anomaly - FORGIVEN_POINTS);
  }

  /** Counts a failure; the same key again is a program that repeats itself, and counts less. `key`: a hash, or null. */
  fail(weight: number, key: number | null, nowMs: number, wallMs: number): void {
    this.fade(nowMs);
    this.lastAtMs = nowMs;
    if (this.failures === 0) this.#failuresFadeAtMs = nowMs;
    let counted = weight;
    if (key !== null && weight > 0) {
      this.#keys ??= [];
      if (this.#keys.includes(key)) counted = Math.min(weight, REPEATED_WEIGHT);
      else {
        this.#keys.push(key);
        if (this.#keys.length > MAX_KEYS) this.#keys.shift();
      }
    }
    if (counted === 0) return;
    this.failures += counted;
    this.firstFailureAtMs ??= wallMs;
  }

  /** From now until `endsAtMs` failures do not fade. */
  banned(endsAtMs: number | null): void {
    this.bans++;
    if (endsAtMs !== null) this.#failuresFadeAtMs = endsAtMs;
  }

  /** Takes note of a request, and says what there was lately. */
  note(facts: Facts, nowMs: number, requestsPerSecondLimit: number): Recent {
    this.fade(nowMs);
    this.lastAtMs = nowMs;
    if (this.intrusion === 0 && this.anomaly === 0) this.#fadedAtMs = nowMs;
    this.#lately ??= new Lately(nowMs);
    return this.#lately.note(facts, nowMs, requestsPerSecondLimit);
  }

  /** How much would be lost if it were forgotten. */
  interest(nowMs: number): number {
    this.fade(nowMs);
    return this.failures * 10 + this.intrusion + this.anomaly + this.bans * 100;
  }

  stored(nowMs: number, wallMs: number): StoredStanding {
    return {
      bucket: this.bucket,
      // Never up: a level that seems reached already bans nobody (sentence.ts).
      failures: Math.floor(this.failures),
      firstFailureAtMs: this.firstFailureAtMs,
      intrusionScore: this.intrusion,
      anomalyScore: this.anomaly,
      bans: this.bans,
      lastAtMs: Math.round(wallMs - (nowMs - this.lastAtMs)),
    };
  }
}

const FORGIVEN_POINTS = 5;
const REPEATED_WEIGHT = 0.25;

class Lately {
  #minuteMs: number;
  #secondMs: number;
  #minute = 0;
  #second = 0;
  #options = 0;
  readonly #paths = new Set<number>();

  constructor(nowMs: number) {
    this.#minuteMs = nowMs;
    this.#secondMs = nowMs;
  }

  note({ path, method, isPreflight, isHoneypot, status }: Facts, nowMs: number, limit: number): Recent {
    if (nowMs - this.#minuteMs >= MINUTE_MS) {
      this.#minuteMs = nowMs;
      this.#minute = 0;
      this.#options = 0;
      this.#paths.clear();
    }
    if (nowMs - this.#secondMs >= SECOND_MS) {
      this.#secondMs = nowMs;
      this.#second = 0;
    }
    this.#minute++;
    this.#second++;
    if (method === 'OPTIONS' && !isPreflight) this.#options++;
    let isNewStrangePath = false;
    if (status === 404 && !isHoneypot && isStrangePath(path)) {
      const hash = Number(Bun.hash.crc32(path));
      isNewStrangePath = !this.#paths.has(hash);
      if (this.#paths.size < MAX_PATHS) this.#paths.add(hash);
    }
    return {
      requestsThisSecond: this.#second,
      requestsThisMinute: this.#minute,
      strangePaths: this.#paths.size,
      isNewStrangePath,
      options: this.#options,
      requestsPerSecondLimit: limit,
    };
  }
}

/** Standings by bucket, bounded: under pressure those go that tell least, and of these the oldest. */
export interface Standings {
  readonly size: number;
  get(bucket: string): Standing | undefined;
  /** The one of that bucket, made when there is none. */
  of(bucket: string, nowMs: number): Standing;
  add(standing: Standing): void;
  forget(bucket: string): void;
  values(): IterableIterator<Standing>;
}

const SAMPLE = 512;
/** The part that goes at once, so that making room is seldom. */
const LEAVING = 0.2;

export function createStandings(max: number): Standings {
  const all = new Map<string, Standing>();

  function makeRoom(nowMs: number): void {
    const worth = (standing: Standing) => standing.interest(nowMs) + (standing.lastAtMs - nowMs) / HOUR_MS;
    // Sorting all of them would take a tenth of a second; a sample knows well enough where the lowest fifth ends.
    const step = Math.max(1, Math.floor(all.size / SAMPLE));
    const sample: number[] = [];
    let index = 0;
    for (const standing of all.values()) if (index++ % step === 0) sample.push(worth(standing));
    sample.sort((a, b) => a - b);
    const limit = sample[Math.floor(sample.length * LEAVING)] ?? 0;
    let leaving = Math.ceil(all.size * LEAVING);
    for (const [bucket, standing] of all) {
      if (leaving === 0) return;
      if (worth(standing) > limit) continue;
      all.delete(bucket);
      leaving--;
    }
  }

  function add(standing: Standing, nowMs: number): void {
    if (all.size >= max) makeRoom(nowMs);
    all.set(standing.bucket, standing);
  }

  return {
    get size() {
      return all.size;
    },
    get: (bucket) => all.get(bucket),
    of(bucket, nowMs) {
      const known = all.get(bucket);
      if (known !== undefined) return known;
      const standing = new Standing(bucket, nowMs);
      add(standing, nowMs);
      return standing;
    },
    add: (standing) => add(standing, standing.lastAtMs),
    forget: (bucket) => void all.delete(bucket),
    values: () => all.values(),
  };
}
