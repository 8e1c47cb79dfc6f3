/** Where FLM is managed: a socket, and a port for browsers; and what becomes of FLM when somebody else has that port. */
import type { Admin, AdminPort } from '../admin';
import type { Egress } from '../egress';
import { whoListens } from '../engines';
import { toFlmError } from '../lib/errors';
import type { Log } from '../lib/log';

export interface AdminDoorsOptions {
  readonly socket: string;
  /** The setting; 0: no port. */
  readonly port: () => number;
  readonly egress: Egress;
  readonly log: Log;
}

export interface AdminDoors {
  /** Opens both for `admin`. FLM serves without the port too: one that somebody has is no reason not to start. */
  open(admin: Admin): Promise<void>;
  /** Closes both, and opens them again later: another process may take them meanwhile. */
  leave(): Promise<void>;
  comeBack(): Promise<void>;
  port(): AdminPort;
  /** Whether that port of this machine is this FLM. */
  isPort(port: number): boolean;
}

export function createAdminDoors({ socket, port, egress, log }: AdminDoorsOptions): AdminDoors {
  let admin: Admin | null = null;
  let adminPort: AdminPort = { url: null, reason: null };

  async function comeBack(): Promise<void> {
    if (admin === null) return;
    admin.listen(socket);
    adminPort = await openPort(admin, port(), egress, log);
  }

  return {
    async open(behind) {
      admin = behind;
      await comeBack();
      log.info('FLM can be managed', { socket, port: adminPort.url });
    },
    leave: async () => admin?.leave(),
    comeBack,
    port: () => adminPort,
    isPort: (number) => adminPort.url === urlOf(number),
  };
}

/** By its address: on ::1, which browsers try first for `localhost`, another user of this machine may listen. */
function urlOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}

async function openPort(admin: Admin, port: number, egress: Egress, log: Log): Promise<AdminPort> {
  if (port === 0) return { url: null, reason: null };
  try {
    admin.listenOnPort(port);
    return { url: urlOf(port), reason: null };
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
