/** The table of limits in memory: what one process has written is there for the next, whatever became of the first. */
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
  let isAtWork = false;
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
      const isExact = !isAtWork;
      isAtWork = true;
      purge(nowMs);
      return { rows: [...rows.values()], isExact };
    },
    write(some) {
      if (this.isFull) throw new Error('the disk is full');
      writes.count++;
      writes.rows += some.length;
      put(some);
    },
    purge,
    finish(some) {
      put(some);
      isAtWork = false;
    },
  };
}
