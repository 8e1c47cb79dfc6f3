/** The port of the admin API: where it is, and what becomes of FLM when somebody else has it. */
import type { Admin, AdminPort } from '../admin';
import type { Egress } from '../egress';
import { whoListens } from '../engines';
import { toFlmError } from '../lib/errors';
import type { Log } from '../lib/log';

/** By its address: on ::1, which browsers try first for `localhost`, another user of this machine may listen. */
export function adminUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** Opens the port of the admin API. FLM serves without it too: a port that somebody has is no reason not to start. */
export async function openAdminPort(
  admin: Admin,
  port: number,
  egress: Egress,
  log: Log,
): Promise<AdminPort> {
  if (port === 0) return { url: null, reason: null };
  try {
    admin.listenOnPort(port);
    return { url: adminUrl(port), reason: null };
  } catch (error) {
    const failure = toFlmError(error);
    const inUse = failure.code === 'PROXY_PORT_IN_USE';
    const reason = inUse
      ? `port ${port} is taken by ${await whoListens(egress, '127.0.0.1', port)}`
      : failure.message;
    log.warn('browsers cannot reach the admin API', { reason });
    return { url: null, reason };
  }
}
