/**
 * Takes nothing new while the machine is at its limit (FLM-115). It takes two readings over the limit to begin and two well
 * below it to end, so that nobody is sent to and fro.
 */

import type { Reading } from './machine';
import { DEFAULT_PERCENT, type Rules } from './rules';

export type Resource = 'CPU' | 'memory';

export interface Watch {
  /** What is scarce; null when there is enough. Read for every request. */
  readonly scarce: Resource | null;
  /** Takes note of a reading, and of how long FLM had to wait for its turn. Returns what has changed by it, or null. */
  look(reading: Reading, lateMs: number, rules: Rules['resources']): Change | null;
}

export interface Change {
  readonly resource: Resource;
  readonly state: 'scarce' | 'enough';
  readonly percent: number;
}

/** Readings in a row that begin or end it. */
const READINGS = 2;
/** How far below the limit is well below. */
const MARGIN_PERCENT = 10;
/** At the default limit and above, memory is scarce only when less than this is left: a model may well fill the rest. */
const FREE_BYTES = 1_073_741_824;
/** At the default limit and above, a busy CPU is a trouble when FLM has to wait for it this long: engines may well use it all. */
const LATE_MS = 250;

export function createWatch(): Watch {
  let scarce: Resource | null = null;
  let over = 0;
  let below = 0;

  /** What there is too little of, with the limit lowered by `margin`. */
  function tooMuch(
    reading: Reading,
    lateMs: number,
    rules: Rules['resources'],
    margin: number,
  ): Resource | null {
    const { cpu, memory, freeBytes } = reading;
    if (memory !== null && memory * 100 > rules.memoryPercent - margin) {
      const isStrict = rules.memoryPercent < DEFAULT_PERCENT;
      if (isStrict || (freeBytes ?? 0) < FREE_BYTES) return 'memory';
    }
    if (cpu !== null && cpu * 100 > rules.cpuPercent - margin) {
      const isStrict = rules.cpuPercent < DEFAULT_PERCENT;
      if (isStrict || lateMs > LATE_MS) return 'CPU';
    }
    return null;
  }

  function percentOf(resource: Resource, { cpu, memory }: Reading): number {
    return Math.round(((resource === 'CPU' ? cpu : memory) ?? 0) * 100);
  }

  function ended(reading: Reading): Change | null {
    const resource = scarce;
    [scarce, over, below] = [null, 0, 0];
    return resource === null ? null : { resource, state: 'enough', percent: percentOf(resource, reading) };
  }

  return {
    get scarce() {
      return scarce;
    },

    look(reading, lateMs, rules) {
      if (!rules.isOn) return ended(reading);
      if (scarce === null) {
        const found = tooMuch(reading, lateMs, rules, 0);
        over = found === null ? 0 : over + 1;
        if (found === null || over < READINGS) return null;
        [scarce, below] = [found, 0];
        return { resource: found, state: 'scarce', percent: percentOf(found, reading) };
      }
      below = tooMuch(reading, lateMs, rules, MARGIN_PERCENT) === null ? below + 1 : 0;
      return below < READINGS ? null : ended(reading);
    },
  };
}
