/**
 * The admin API (`/api/v1`): every room's routes behind one guard, on a unix socket that only the owner can open and on a
 * loopback port that takes sessions.
 */
import { Elysia } from 'elysia';
import type { Principal } from '../contract';
import { currentActor } from '../lib/actor';
import { FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import { createScopeGuard, STRICT } from '../lib/scope-guard';
import { type OpenDoor, openPort, openSocket } from './doors';
import { createAdminEdge, type Door } from './edge';
import { adminError, fromElysia } from './errors';
import type { Idempotency } from './idempotency';
import { methodsOf } from './methods';
import { adminRoutes, type Rooms } from './mount';
import type { Sessions } from './sessions';

export { type Check, runChecks } from './check';
export { checkCertificates } from './check-certificates';
export { checkConnections } from './check-connections';
export { checkAudit, checkBans, checkPolicy, checkRequestLog } from './check-evidence';
export { checkExposed } from './check-exposure';
export { createIdempotency, createIdempotencyStore, type Idempotency } from './idempotency';
export { AdminPort, CheckReport, Status, SupportBundle } from './model';
export { describedRoutes } from './mount';
export { createSessionStore, createSessions, type Sessions } from './sessions';
export type { SessionsApi } from './sessions/model';
export { supportBundle } from './support';

export interface AdminOptions extends Omit<Rooms, 'sessions'> {
  readonly sessions: Sessions;
  readonly idempotency: Idempotency;
  readonly version: string;
  readonly log: Log;
}

export interface Admin {
  /** Answers one request; of the owner, unless it came by another door. */
  fetch(request: Request, door?: Door): Promise<Response>;
  /** Starts to listen on the unix socket. @throws IO_ERROR */
  listen(socketPath: string): void;
  /** Starts to listen on a port of this machine. @throws PROXY_PORT_IN_USE, IO_ERROR */
  listenOnPort(port: number): void;
  /** Frees both doors for another process. Requests under way are answered, and it can listen again. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

const SWEEP_EVERY_MS = 3_600_000;
/** How soon what belongs to a session ends after it. */
const END_EVERY_MS = 5_000;
/** How long requests under way may take when the doors are given up. */
const GOODBYE_MS = 500;
const POLL_MS = 5;

export function createAdmin({ idempotency, version, log, ...rooms }: AdminOptions): Admin {
  const principals = new WeakMap<Request, Principal>();
  const doors: OpenDoor[] = [];
  let sweeping: Timer | null = null;
  let ending: Timer | null = null;

  const guard = createScopeGuard((request) => {
    const principal = principals.get(request);
    if (principal === undefined) throw new FlmError('UNAUTHENTICATED');
    return principal;
  });
  const sessions: Rooms['sessions'] = {
    ...rooms.sessions,
    async issueToken() {
      const { url, reason } = rooms.status().admin;
      if (url === null)
        throw new FlmError('ADMIN_PORT_OFF', { meta: { reason: reason ?? 'admin.port is 0' } });
      return { ...(await rooms.sessions.issueToken()), url };
    },
  };
  const routes = adminRoutes({ ...rooms, sessions }, guard);
  const app = new Elysia({ name: 'admin', ...STRICT })
    .onError((caught) => adminError(fromElysia(caught), currentActor().requestId ?? '', log))
    .use(routes);

  let loading: Promise<(path: string) => Response | null> | null = null;
  const edge = createAdminEdge({
    async routes(request, principal) {
      if (principal !== null) principals.set(request, principal);
      return app.fetch(request);
    },
    async pages(path) {
      // The document costs 20 ms and megabytes to build, and nobody may ever ask.
      loading ??= import('./swagger').then(({ createPages }) => createPages(routes, version));
      return (await loading)(path);
    },
    methodsAt: methodsOf(routes.routes),
    sessions: rooms.sessions,
    idempotency,
    log,
  });

  async function endExpired(): Promise<void> {
    await edge
      .endExpired()
      .catch((error: unknown) => log.warn('which sessions are over cannot be read', { error }));
  }

  /** Lets nobody new in; waits until at most `spare` requests are under way, but not for those that never end. */
  async function leaveDoors(spare: number): Promise<readonly OpenDoor[]> {
    if (sweeping !== null) clearInterval(sweeping);
    if (ending !== null) clearInterval(ending);
    const left = doors.splice(0);
    for (const door of left) door.leave();
    const busy = () => left.reduce((sum, door) => sum + door.busy(), 0);
    for (let waited = 0; busy() > spare && waited < GOODBYE_MS; waited += POLL_MS) await Bun.sleep(POLL_MS);
    return left;
  }

  return {
    fetch: (request, door = { via: 'socket' }) => edge.fetch(request, door),
    listen(socketPath) {
      void idempotency.start();
      sweeping = setInterval(() => void idempotency.sweep(), SWEEP_EVERY_MS);
      sweeping.unref();
      ending = setInterval(() => void endExpired(), END_EVERY_MS);
      ending.unref();
      doors.push(openSocket(socketPath, edge));
    },
    listenOnPort(port) {
      doors.push(openPort(port, edge));
    },
    async leave() {
      // The request that asked for it is under way itself.
      const left = await leaveDoors(1);
      // Who keeps a connection has to find the other process with the next request.
      setTimeout(() => void closeAll(left), GOODBYE_MS).unref();
    },
    async close() {
      await closeAll(await leaveDoors(0));
    },
  };
}

async function closeAll(doors: readonly OpenDoor[]): Promise<void> {
  for (const door of doors) await door.close();
}
