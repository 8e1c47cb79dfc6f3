/** The two doors of the admin API: a unix socket for the flm command, a loopback port for browsers and scripts. */
import { chmodSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { FlmError, reasonOf } from '../lib/errors';
import { ensurePrivateDir } from '../lib/files';
import { parseIp } from '../lib/ip';
import type { AdminEdge } from './edge';
import { wayTo } from './socket';

export interface OpenDoor {
  /** Takes nobody new, so that another process can listen in its place. Requests under way go on. */
  leave(): void;
  /** Requests under way. */
  busy(): number;
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
/** Silence in the middle of a request ends it, until its body is there. */
const IDLE_SECONDS = 20;
/** Our own limit answers properly before this one cuts the connection. */
const RUNTIME_BODY_LIMIT = 2 ** 40;

/**
 * Starting the trial engine, or examining a long log, takes longer than the runtime's ten seconds. On a socket timeout() does
 * nothing, and the types do not know what does.
 */
const PATIENT: object = { idleTimeout: 0 };

const COMMON = { development: false, maxRequestBodySize: RUNTIME_BODY_LIMIT } as const;

/**
 * Listens on a unix socket of mode 0600, in place of one that a crash left behind.
 * @throws IO_ERROR
 */
export function openSocket(socketPath: string, edge: AdminEdge): OpenDoor {
  ensurePrivateDir(dirname(socketPath));
  // This process holds the lock of the data directory, so nobody listens on a socket that is there.
  rmSync(socketPath, { force: true });
  const way = wayTo(socketPath);
  try {
    const server = Bun.serve({
      ...COMMON,
      ...PATIENT,
      unix: way.path,
      fetch: (request) => edge.fetch(request, { via: 'socket' }),
    });
    chmodSync(socketPath, 0o600);
    return {
      leave: () => void server.stop(false),
      busy: () => server.pendingRequests,
      async close() {
        await server.stop(true);
        way.close();
      },
    };
  } catch (error) {
    way.close();
    throw new FlmError('IO_ERROR', { meta: { path: socketPath, reason: reasonOf(error) }, cause: error });
  }
}

/** Listens on a port of this machine alone. @throws PROXY_PORT_IN_USE without knowing by whom; IO_ERROR */
export function openPort(port: number, edge: AdminEdge): OpenDoor {
  try {
    const server = Bun.serve({
      ...COMMON,
      hostname: LOOPBACK,
      port,
      idleTimeout: IDLE_SECONDS,
      // Outside development the runtime lets another process listen on the same port and take half of the requests.
      reusePort: false,
      fetch(request, connection) {
        const ip = parseIp(connection.requestIP(request)?.address ?? '');
        return edge.fetch(request, { via: 'tcp', port, ip }, () => connection.timeout(request, 0));
      },
    });
    return {
      leave: () => void server.stop(false),
      busy: () => server.pendingRequests,
      close: () => server.stop(true),
    };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new FlmError('PROXY_PORT_IN_USE', {
        meta: { port, bind: LOOPBACK, by: 'another program' },
        cause: error,
      });
    }
    const path = `${LOOPBACK} port ${port}`;
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}
