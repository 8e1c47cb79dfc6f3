/**
 * Strangers that were refused, counted by minute, source, path and reason. Bounded: whoever sends from many addresses
 * fills neither the memory nor the disk (a row for each 401 would let strangers do that).
 */
import { ipBucket, parseIp } from '../lib/ip';
import type { LogRow } from './row';
import type { Refusal } from './wire';

export interface Refusals {
  count(refusal: Refusal): void;
  /** The rows of minutes that are over at `nowMs`; of all with Infinity. */
  due(nowMs: number): LogRow[];
  /** Forgets those rows: they were written. */
  forget(nowMs: number): void;
}

/** Sources, paths and reasons that are told apart in a minute, and in an hour. */
const MAX_A_MINUTE = 1_024;
const MAX_AN_HOUR = 4_096;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** In place of an address, for those beyond that. */
export const OTHERS = '(others)';

/** Paths that are worth telling apart. What strangers make up is not. */
const PATHS: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
  '/v1/messages',
  '/v1/models',
  '/metrics',
]);

interface Tally {
  readonly refusal: Omit<Refusal, 'ip'>;
  readonly source: string;
  count: number;
}

export function createRefusals(): Refusals {
  const tallies = new Map<string, Tally>();
  /** By the address as it came: taking one apart costs microseconds. */
  const buckets = new Map<string, string>();
  let minute = 0;
  let hour = 0;
  let inMinute = 0;
  let inHour = 0;

  function bucketOf(ip: string): string {
    let bucket = buckets.get(ip);
    if (bucket !== undefined) return bucket;
    const parsed = parseIp(ip);
    // An IPv4 address is its own, and taking it apart would be most of the work.
    bucket = parsed?.includes(':') === true ? ipBucket(parsed) : (parsed ?? ip.slice(0, 45).toWellFormed());
    if (buckets.size >= MAX_AN_HOUR) buckets.clear();
    buckets.set(ip, bucket);
    return bucket;
  }

  function roomForOne(minuteMs: number): boolean {
    if (minuteMs !== minute) [minute, inMinute] = [minuteMs, 0];
    const hourMs = minuteMs - (minuteMs % HOUR_MS);
    if (hourMs !== hour) [hour, inHour] = [hourMs, 0];
    return inMinute < MAX_A_MINUTE && inHour < MAX_AN_HOUR;
  }

  return {
    count({ atMs, ip, path, reason, status }) {
      const minuteMs = atMs - (atMs % MINUTE_MS);
      const place = placeOf(path);
      const keyOf = (source: string) => `${minuteMs} ${source} ${place} ${reason} ${status}`;
      let source = bucketOf(ip);
      let tally = tallies.get(keyOf(source));
      if (tally === undefined && !roomForOne(minuteMs)) {
        source = OTHERS;
        tally = tallies.get(keyOf(source));
      }
      if (tally === undefined) {
        tally = { refusal: { atMs: minuteMs, path: place, reason, status }, source, count: 0 };
        tallies.set(keyOf(source), tally);
        inMinute++;
        inHour++;
      }
      tally.count++;
    },

    due: (nowMs) =>
      [...tallies.values()]
        .filter(({ refusal }) => refusal.atMs + MINUTE_MS <= nowMs)
        .map(({ refusal, source, count }) => rowOf(refusal, source, count)),

    forget(nowMs) {
      for (const [key, { refusal }] of tallies) if (refusal.atMs + MINUTE_MS <= nowMs) tallies.delete(key);
    },
  };
}

function placeOf(path: string): string {
  if (PATHS.has(path)) return path;
  return path.startsWith('/v1/') ? '/v1/…' : '(other)';
}

function rowOf({ atMs, path, reason, status }: Tally['refusal'], source: string, count: number): LogRow {
  return {
    kind: 'refusals',
    atMs,
    requestId: null,
    address: source,
    method: null,
    path,
    key: null,
    model: null,
    engine: null,
    outcome: 'refused',
    status,
    error: reason,
    attempts: 0,
    isStream: false,
    waitedMs: 0,
    firstByteMs: null,
    firstTokenMs: null,
    durationMs: 0,
    promptTokens: null,
    completionTokens: null,
    cachedTokens: null,
    reasoningTokens: null,
    openedSeq: null,
    count,
  };
}
