/** How engines are doing with requests: their breakers, and what they showed lately. All in memory. */
import type { Candidate, Clock, LeaseOutcome, Seen } from '../contract';
import { FlmError } from '../lib/errors';
import { Breaker, type BreakerLimits, type BreakerState } from './breaker';
import { createTraffic, type TrafficSummary } from './traffic';

export interface Standings {
  /** Lets a request through to the engine. @throws ENGINE_UNAVAILABLE while its breaker is open */
  enter(candidate: Candidate): void;
  /** Takes note of how a request that was let through came out. */
  leave(candidate: Candidate, outcome: LeaseOutcome, durationMs: number, seen: Seen | null): void;
  breakerOf(engineId: string): BreakerState;
  /** Whether a request would be let through now. */
  isOpenFor(engineId: string): boolean;
  /** Whether requests that were let through have not come back yet. */
  works(engineId: string): boolean;
  recent(engineId: string, model: string): TrafficSummary;
  /** Another engine stands there now than the one that failed. */
  reset(engineId: string): void;
  forget(engineId: string): void;
}

export function createStandings(clock: Clock, limits: () => BreakerLimits): Standings {
  const breakers = new Map<string, Breaker>();
  const traffic = createTraffic(clock);
  const active = new Map<string, number>();

  const count = (engineId: string, by: number) =>
    active.set(engineId, Math.max(0, (active.get(engineId) ?? 0) + by));

  function breakerOf(engineId: string): Breaker {
    const breaker = breakers.get(engineId) ?? new Breaker(clock, limits);
    breakers.set(engineId, breaker);
    return breaker;
  }

  return {
    enter({ engine }) {
      const breaker = breakerOf(engine.id);
      if (breaker.enter()) {
        count(engine.id, 1);
        return;
      }
      const retryAfterSeconds = Math.max(1, Math.ceil(breaker.retryAfterMs / 1_000));
      throw new FlmError('ENGINE_UNAVAILABLE', { meta: { engine: engine.id, retryAfterSeconds } });
    },
    leave(candidate, outcome, durationMs, seen) {
      count(candidate.engine.id, -1);
      breakerOf(candidate.engine.id).leave(outcome);
      traffic.add(candidate, outcome, durationMs, seen);
    },
    breakerOf: (engineId) => breakerOf(engineId).state,
    isOpenFor: (engineId) => breakerOf(engineId).retryAfterMs === 0,
    works: (engineId) => (active.get(engineId) ?? 0) > 0,
    recent: traffic.of,
    reset(engineId) {
      breakers.get(engineId)?.reset();
      traffic.forget(engineId);
    },
    forget(engineId) {
      breakers.delete(engineId);
      active.delete(engineId);
      traffic.forget(engineId);
    },
  };
}
