/** How long somebody is banned (FLM-112, FLM-113): for what they did, and longer each time. Pure. */
import type { Rules } from './rules';
import type { Standing } from './standing';

export interface Sentence {
  /** Null: until the owner lifts it. */
  readonly lengthMs: number | null;
  readonly reason: string;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** At least, for somebody who was banned that many times before. */
const REPEATED_MS = [0, DAY_MS, 7 * DAY_MS, 30 * DAY_MS] as const;

export interface Before {
  readonly failures: number;
  readonly intrusion: number;
  readonly anomaly: number;
}

/**
 * What follows from what an address has just done, or null. A level that was reached before does not count again: there are
 * a few tries between one ban for failures and the next.
 */
export function sentenceFor(standing: Standing, before: Before, rules: Rules): Sentence | null {
  const { bans, intrusion, anomaly } = rules;
  if (!bans.isOn) return null;
  const { failures } = standing;
  if (reaches(bans.permanentAt, before.failures, failures))
    return { lengthMs: null, reason: failuresText(failures) };
  if (reaches(bans.maxFailures * 2, before.failures, failures))
    return { lengthMs: longer(Math.max(DAY_MS, bans.firstMs), standing), reason: failuresText(failures) };
  if (reaches(bans.maxFailures, before.failures, failures))
    return { lengthMs: longer(bans.firstMs, standing), reason: failuresText(failures) };
  if (intrusion.isOn) {
    const lengthMs = lengthFor(intrusion.banAt, before.intrusion, standing.intrusion, standing);
    if (lengthMs !== null) return { lengthMs, reason: `intrusion score ${Math.round(standing.intrusion)}` };
  }
  if (anomaly.isOn) {
    const lengthMs = lengthFor(anomaly.banAt, before.anomaly, standing.anomaly, standing);
    if (lengthMs !== null) return { lengthMs, reason: `anomaly score ${Math.round(standing.anomaly)}` };
  }
  return null;
}

function reaches(limit: number, before: number, now: number): boolean {
  return before < limit && now >= limit;
}

function lengthFor(banAt: number | null, before: number, now: number, standing: Standing): number | null {
  if (banAt === null) return null;
  if (reaches(banAt * 2, before, now)) return longer(DAY_MS, standing);
  return reaches(banAt, before, now) ? longer(HOUR_MS, standing) : null;
}

function longer(lengthMs: number, { bans }: Standing): number {
  const leastMs = REPEATED_MS[Math.min(bans, REPEATED_MS.length - 1)] ?? 0;
  return Math.max(lengthMs, leastMs);
}

function failuresText(failures: number): string {
  return `${Math.floor(failures)} failed authentications`;
}
