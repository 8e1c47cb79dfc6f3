/** Who is told of requests: telemetry, the request log, the record of limits and the detectors. All of them start before the first. */
import type { Audit } from '../audit';
import type { Egress } from '../egress';
import type { Security } from '../security';
import { createTelemetry, type Telemetry, type TelemetryOptions } from '../telemetry';
import { VERSION } from '../version';
import { postVia } from './collector';
import { recordLimits } from './limits';
import { boundedStdout } from './logs';
import type { RequestLog } from './request-log';
import { type Undo, undoAll } from './undo';

export interface ObserversOptions extends Omit<TelemetryOptions, 'version' | 'activity' | 'post' | 'stdout'> {
  readonly audit: Audit;
  readonly egress: Egress;
  readonly requestLog: RequestLog;
  readonly security: Security;
}

export interface Observers {
  /** Starts them, unless they are. */
  start(): Promise<void>;
  /** Null before the start. */
  telemetry(): Telemetry | null;
  /** Ends them, when the last request has: it, too, is told of. */
  close(): Promise<void>;
}

export function createObservers(options: ObserversOptions): Observers {
  const { audit, egress, requestLog, security, bus, clock, log } = options;
  let telemetry: Telemetry | null = null;
  const undo: Undo = [];
  return {
    async start() {
      if (telemetry !== null) return;
      const ending = new AbortController();
      const made = await createTelemetry({
        ...options,
        version: VERSION,
        activity: () => requestLog.counters() ?? { queued: 0, dropped: 0 },
        post: postVia(egress, ending.signal),
        stdout: boundedStdout(),
      });
      undo.push(async () => {
        await made.close();
        ending.abort();
      });
      telemetry = made;
      requestLog.start();
      undo.push(() => requestLog.stop());
      undo.push(recordLimits({ bus, clock, log, record: audit.record }));
      security.start();
    },
    telemetry: () => telemetry,
    close: () => undoAll(undo, log),
  };
}
