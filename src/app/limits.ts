/** Puts on record who ran into a limit: once a minute for each, and never so often that strangers could fill the disk. */
import type { AuditEvent, Clock } from '../contract';
import { actingAs } from '../lib/actor';
import type { Bus, EventOf } from '../lib/bus';
import type { Log } from '../lib/log';

export interface LimitRecordOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly record: (event: AuditEvent) => Promise<void>;
}

const MINUTE_MS = 60_000;
/** Rows of one minute. The next one tells how many requests went without. */
const MAX_ROWS = 60;

/** Listens until the returned function is called. */
export function recordLimits({ bus, clock, log, record }: LimitRecordOptions): () => void {
  let minuteMs = clock.monotonicMs();
  const told = new Set<string>();
  let untold = 0;

  async function tell({ requestId, limit, unit, subject }: EventOf<'limit.exceeded'>): Promise<void> {
    const details = { limit, unit, ...(untold === 0 ? {} : { refused_without_a_row: untold }) };
    untold = 0;
    // An address names a person: it goes where it can be erased.
    const ip = limit === 'address' ? subject.slice('address:'.length).replace(/\/64$/, '') : null;
    const target = limit === 'address' ? null : subject;
    const actor = { kind: 'anonymous', id: 'anonymous', via: 'tcp', requestId, traceId: null, ip } as const;
    await actingAs(actor, () => record({ type: 'security.limited', severity: 'low', target, details }));
  }

  return bus.subscribe('limit.exceeded', (event) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - minuteMs >= MINUTE_MS) {
      minuteMs = nowMs;
      told.clear();
    }
    const name = `${event.subject} ${event.unit}`;
    if (told.has(name) || told.size >= MAX_ROWS) {
      untold++;
      return;
    }
    told.add(name);
    tell(event).catch((error: unknown) => log.warn('a limit could not be put on record', { error }));
  });
}
