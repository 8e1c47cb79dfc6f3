/** The machine's clocks. The only file that reads them; everybody else is handed a Clock. */
import type { Clock } from '../contract';

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** A clock that moves only when told to, for tests. */
export interface ManualClock extends Clock {
  /** Moves both readings forward by `ms`. */
  advance(ms: number): void;
  /** Sets wall time alone, as somebody who sets the machine's clock does. */
  setWall(ms: number): void;
}

export function manualClock(startMs = 1_760_000_000_000): ManualClock {
  let wall = startMs;
  let monotonic = 0;
  return {
    nowMs: () => wall,
    monotonicMs: () => monotonic,
    advance(ms) {
      wall += ms;
      monotonic += ms;
    },
    setWall(ms) {
      wall = ms;
    },
  };
}
