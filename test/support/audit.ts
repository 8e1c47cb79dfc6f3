/** A writer that keeps what is put on record, for rooms whose changes are tested without the chain. */
import type { AuditEvent, AuditWriter } from '../../src/contract';

export interface AuditSpy extends AuditWriter {
  /** What was written, the oldest first. */
  readonly events: readonly AuditEvent[];
  /** Makes every write from now on fail, as on a full disk. */
  refuse(): void;
}

export function auditSpy(): AuditSpy {
  const events: AuditEvent[] = [];
  let full = false;
  return {
    events,
    refuse() {
      full = true;
    },
    write(event) {
      if (full) throw new Error('no room for the record');
      events.push(event);
    },
  };
}
