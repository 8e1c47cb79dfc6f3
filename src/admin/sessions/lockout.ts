/**
 * Who guesses has to wait (FLM-071). Every peer of a loopback port looks alike, so there is one count for all of them; it
 * stands in the way of new sessions only, never of the socket or of a session that is open.
 */
import type { Clock } from '../../contract';

export interface Lockout {
  /** How long nobody may try any more, or 0. */
  remainingMs(): number;
  /** Counts a failure. Returns how long nobody may try from now on, or 0. */
  failed(): number;
  /** Forgets all failures. */
  clear(): void;
}

const MAX_FAILURES = 5;
const FIRST_MS = 60_000;
const LONGEST_MS = 3_600_000;
/** Failures further apart than this are not counted together. */
const MEMORY_MS = 15 * 60_000;

export function createLockout(clock: Clock): Lockout {
  let failures = 0;
  let locks = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  let untilMs = Number.NEGATIVE_INFINITY;

  function clear(): void {
    failures = 0;
    locks = 0;
    untilMs = Number.NEGATIVE_INFINITY;
  }

  function remainingMs(): number {
    return Math.max(0, untilMs - clock.monotonicMs());
  }

  return {
    remainingMs,
    clear,
    failed() {
      const nowMs = clock.monotonicMs();
      if (nowMs - Math.max(lastMs, untilMs) > MEMORY_MS) clear();
      lastMs = nowMs;
      if (++failures < MAX_FAILURES) return 0;
      failures = 0;
      untilMs = nowMs + Math.min(FIRST_MS * 2 ** locks++, LONGEST_MS);
      return remainingMs();
    },
  };
}
