/** The table of limits in memory: what one process has written is there for the next, whatever became of the first. */
import { WINDOW_MS } from '../../src/admission/limits/meter';
import type { LimitRow, LimitRows } from '../../src/admission/limits/model';

export interface MemoryRows extends LimitRows {
  readonly rows: ReadonlyMap<string, LimitRow>;
  /** How often something was written, and how many rows in all. */
  readonly writes: { count: number; rows: number };
  /** While true, nothing can be written. */
  isFull: boolean;
}

export function memoryRows(): MemoryRows {
  const rows = new Map<string, LimitRow>();
  const writes = { count: 0, rows: 0 };
  let sharedUntilMs = Number.NEGATIVE_INFINITY;
  function put(some: readonly LimitRow[]): void {
    for (const row of some) rows.set(`${row.unit}:${row.subject}`, row);
  }
  function purge(nowMs: number): void {
    for (const [name, row] of rows) if (row.expiresAtMs <= nowMs) rows.delete(name);
  }
  return {
    rows,
    writes,
    isFull: false,
    load(nowMs) {
      purge(nowMs);
      return { rows: [...rows.values()], isShared: nowMs < sharedUntilMs };
    },
    write(some) {
      if (this.isFull) throw new Error('the disk is full');
      writes.count++;
      writes.rows += some.length;
      put(some);
    },
    purge,
    handOver(some, nowMs) {
      put(some);
      sharedUntilMs = nowMs + WINDOW_MS;
    },
    finish: put,
  };
}
