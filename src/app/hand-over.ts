/**
 * What a process does when another one comes to take its place: it writes nothing any more and gives up its doors and the
 * lock; and how it takes all of that back when the other one fails.
 */
import type { Certs } from '../../certs';
import type { Databases } from '../../db';
import { createAdminClient } from '../admin/client';
import type { Keys, Limits } from '../admission';
import type { Audit } from '../audit';
import type { DaemonOptions } from '../daemon';
import type { Egress } from '../egress';
import { FlmError } from '../lib/errors';
import { IDLE_SECONDS } from '../listeners';
import type { Policies } from '../policy';
import type { Security } from '../security';
import type { Alerts, Telemetry } from '../telemetry';
import type { AdminDoors } from './admin-doors';
import type { Late } from './late';
import type { RequestLog } from './request-log';

export interface HandOverOptions {
  /** Where the process that takes the place of this one listens then. */
  readonly adminSocket: string;
  readonly egress: Egress;
  readonly db: Pick<Databases, 'pause' | 'resume'>;
  readonly audit: Audit;
  readonly keys: Keys;
  readonly policy: Policies;
  readonly certs: Certs;
  readonly alerts: Alerts;
  readonly requestLog: RequestLog;
  readonly limits: Late<Limits>;
  readonly security: Security;
  readonly telemetry: () => Telemetry | null;
  readonly doors: AdminDoors;
}

/** Idle connections of a process that was replaced close by themselves in this time. */
const LINGER_MS = (IDLE_SECONDS + 2) * 1_000;

/** What the daemon needs of the rooms, as DaemonOptions says. */
export function createHandOver(
  options: HandOverOptions,
): Pick<DaemonOptions, 'pause' | 'resume' | 'refreshKeys' | 'heir' | 'lingerMs'> {
  const {
    adminSocket,
    egress,
    db,
    audit,
    keys,
    policy,
    certs,
    alerts,
    requestLog,
    limits,
    security,
    telemetry,
    doors,
  } = options;

  async function comeBack(): Promise<void> {
    audit.resume();
    security.start();
    limits.current()?.resume();
    requestLog.start();
    alerts.start();
    telemetry()?.resume();
    await policy.refresh();
    await certs.check();
    await doors.comeBack();
  }

  return {
    async pause(onQuiet) {
      if (requestLog.counters()?.isStuck === true)
        throw new FlmError('HANDOVER_UNAVAILABLE', {
          meta: { reason: 'requests wait to be written, and the disk does not take them' },
        });
      await doors.leave();
      try {
        await alerts.pause();
        limits.current()?.pause();
        await requestLog.stop(() => {
          telemetry()?.pause();
          onQuiet();
        });
        security.stop();
        audit.pause();
        db.pause();
      } catch (error) {
        // Nobody comes to take the place of this process, which must not be left without its doors.
        await comeBack();
        throw error;
      }
    },

    async resume() {
      db.resume(0);
      // Commands may have worked on the data directory in between.
      await keys.refresh();
      await comeBack();
    },

    refreshKeys: keys.refresh,
    heir: {
      status: (signal) => createAdminClient(egress, adminSocket).status(signal),
      daemon: {
        elder: (report) => createAdminClient(egress, adminSocket).daemon.elder(report),
      },
    },
    lingerMs: LINGER_MS,
  };
}
