/**
 * How many requests an engine works on at once, and the queue in front of it: first come, first served, bounded.
 * Fair queueing between clients comes later behind the same `acquire`.
 */
import type { Cancel, Clock } from '../contract';
import { FlmError } from '../lib/errors';

export interface SlotOptions {
  readonly clock: Clock;
  /** Requests the engine takes at once; asked anew each time, because engines change. */
  readonly capacityOf: (engineId: string) => number;
  /** Requests that may wait for one engine. */
  readonly queueLimit: () => number;
}

export interface Slots {
  /**
   * Resolves with the time waited once the engine has a free slot; the caller then owes one `release`.
   * @throws QUEUE_FULL with `retryAfterSeconds`; the signal's reason when it aborts first (nothing is owed then).
   */
  acquire(engineId: string, signal: Cancel): Promise<number> | number;
  /** Gives a slot back after `heldMs`; null when it was not used. */
  release(engineId: string, heldMs: number | null): void;
  /** Requests an engine works on, and requests that wait for it. */
  load(engineId: string): { readonly active: number; readonly waiting: number };
}

interface Waiter {
  readonly start: () => void;
}

interface Line {
  active: number;
  readonly waiting: Set<Waiter>;
  /** Smoothed time a slot is held, for Retry-After. */
  heldMs: number;
}

export function createSlots({ clock, capacityOf, queueLimit }: SlotOptions): Slots {
  const lines = new Map<string, Line>();

  function lineOf(engineId: string): Line {
    let line = lines.get(engineId);
    if (line === undefined) {
      line = { active: 0, waiting: new Set(), heldMs: 1_000 };
      lines.set(engineId, line);
    }
    return line;
  }

  function startWaiting(engineId: string, line: Line): void {
    const capacity = capacityOf(engineId);
    // A Set iterates in the order of insertion, so the first is the one that waits longest.
    for (const waiter of line.waiting) {
      if (line.active >= capacity) return;
      line.waiting.delete(waiter);
      line.active++;
      waiter.start();
    }
  }

  function wait(line: Line, signal: Cancel): Promise<number> {
    const sinceMs = clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const leave = {
        handleEvent() {
          line.waiting.delete(waiter);
          reject(signal.reason);
        },
      };
      const waiter: Waiter = {
        start() {
          signal.removeEventListener('abort', leave);
          resolve(clock.monotonicMs() - sinceMs);
        },
      };
      line.waiting.add(waiter);
      signal.addEventListener('abort', leave);
    });
  }

  return {
    acquire(engineId, signal) {
      if (signal.aborted) throw signal.reason;
      const line = lineOf(engineId);
      // The engine may have grown since the last release.
      if (line.waiting.size > 0) startWaiting(engineId, line);
      const capacity = capacityOf(engineId);
      if (line.active < capacity && line.waiting.size === 0) {
        line.active++;
        return 0;
      }
      const waiting = line.waiting.size;
      if (waiting >= queueLimit()) {
        const roundsAhead = (waiting + 1) / Math.max(1, capacity);
        const retryAfterSeconds = Math.min(60, Math.max(1, Math.ceil((roundsAhead * line.heldMs) / 1_000)));
        throw new FlmError('QUEUE_FULL', { meta: { engine: engineId, waiting, retryAfterSeconds } });
      }
      return wait(line, signal);
    },

    release(engineId, heldMs) {
      const line = lineOf(engineId);
      line.active--;
      if (heldMs !== null) line.heldMs += (heldMs - line.heldMs) / 8;
      startWaiting(engineId, line);
    },

    load(engineId) {
      const line = lines.get(engineId);
      return { active: line?.active ?? 0, waiting: line?.waiting.size ?? 0 };
    },
  };
}
