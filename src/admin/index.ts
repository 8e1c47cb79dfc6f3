/**
 * The admin API (`/api/v1`): every room's routes behind one guard, on a unix socket that only the owner can open.
 * Whoever can open it is the owner, so there is no token to steal or to lose.
 */
import { chmodSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { Elysia } from 'elysia';
import type { Keys } from '../admission';
import { keysRoutes } from '../admission/routes';
import type { ConfigApi } from '../config';
import { configRoutes } from '../config/routes';
import type { Principal, Scope } from '../contract';
import type { DaemonApi } from '../daemon';
import { daemonRoutes } from '../daemon/routes';
import type { EnginesApi } from '../engines';
import { enginesRoutes } from '../engines/routes';
import { FlmError, reasonOf } from '../lib/errors';
import { ensurePrivateDir } from '../lib/files';
import { newId } from '../lib/ids';
import type { Log } from '../lib/log';
import { createScopeGuard, type ScopeGuard, STRICT } from '../lib/scope-guard';
import type { ProxiesApi } from '../listeners';
import { proxiesRoutes } from '../listeners/routes';
import type { ModelsApi } from '../models';
import { modelsRoutes } from '../models/routes';
import { adminError, fromElysia } from './errors';
import { CheckReport, Status } from './model';
import { type SocketWay, wayTo } from './socket';

export { runChecks } from './check';
export { CheckReport, Status } from './model';

export interface AdminOptions {
  readonly keys: Keys;
  readonly engines: EnginesApi;
  readonly config: ConfigApi;
  readonly models: ModelsApi;
  readonly proxies: ProxiesApi;
  readonly daemon: DaemonApi;
  readonly status: () => Status;
  readonly check: () => Promise<CheckReport>;
  readonly version: string;
  readonly log: Log;
}

export interface Admin {
  /** Answers one request of the owner. */
  fetch(request: Request): Promise<Response>;
  /**
   * Starts to listen on a unix socket of mode 0600, in place of one that a crash left behind.
   * @throws IO_ERROR
   */
  listen(socketPath: string): void;
  /** Frees the socket for another process. Requests under way are answered, and it can listen again. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

/** How long requests under way may take when the socket is given up. */
const GOODBYE_MS = 500;
const POLL_MS = 5;

const ALL_SCOPES: ReadonlySet<Scope> = new Set<Scope>([
  'inference',
  'engine-admin',
  'metrics',
  'status:read',
  'models:read',
  'models:write',
  'engines:read',
  'engines:write',
  'keys:read',
  'keys:write',
  'config:read',
  'config:write',
  'proxies:read',
  'proxies:write',
  'audit:read',
  'audit:write',
  'activity:read',
  'activity:write',
  'admin:write',
]);

const OWNER: Principal = { kind: 'owner', id: 'owner', label: 'owner', scopes: ALL_SCOPES, models: null };

/** Every room's routes. Exported for the tests that walk them. */
export function adminRoutes(options: AdminOptions, guard: ScopeGuard) {
  return new Elysia({ name: 'admin-routes', ...STRICT })
    .use(guard)
    .get('/api/v1/status', () => options.status(), {
      scope: 'status:read',
      response: Status,
      tags: ['status'],
      detail: { summary: 'How FLM is' },
    })
    .get('/api/v1/check', () => options.check(), {
      scope: 'status:read',
      response: CheckReport,
      tags: ['status'],
      detail: { summary: 'Examine this installation' },
    })
    .use(keysRoutes(options.keys, guard))
    .use(enginesRoutes(options.engines, guard))
    .use(modelsRoutes(options.models, guard))
    .use(configRoutes(options.config, guard))
    .use(proxiesRoutes(options.proxies, guard))
    .use(daemonRoutes(options.daemon, guard));
}

export function createAdmin(options: AdminOptions): Admin {
  const { log, version } = options;
  const ids = new WeakMap<Request, string>();
  const idOf = (request: Request) => ids.get(request) ?? 'unknown';

  const routes = adminRoutes(
    options,
    createScopeGuard(() => OWNER),
  );
  let openApi: Promise<(request: Request) => Promise<Response>> | null = null;

  const app = new Elysia({ name: 'admin', ...STRICT })
    .onError((caught) => {
      const error = fromElysia(caught);
      const requestId = idOf(caught.request);
      // What the owner asked for in vain is told to the owner; the log gets what FLM itself did wrong.
      if (error.exit === 2) log.error('an admin request failed', { requestId, error });
      return adminError(error, requestId);
    })
    .use(routes)
    .all('/swagger*', async ({ request }) => {
      // The document costs 20 ms and megabytes to build, and nobody may ever ask.
      openApi ??= import('./openapi').then(({ createOpenApi }) => createOpenApi(routes, version));
      return (await openApi)(request);
    });
  let server: Bun.Server<undefined> | null = null;
  let way: SocketWay | null = null;

  async function fetch(request: Request): Promise<Response> {
    const id = newId();
    ids.set(request, id);
    const response = await app.fetch(request);
    response.headers.set('x-request-id', id);
    return response;
  }

  /** Waits until at most `spare` requests are under way, but not for those that never end. */
  async function leaveAll(spare: number): Promise<void> {
    const leaving = server;
    server = null;
    if (leaving === null) return;
    void leaving.stop(false);
    way?.close();
    way = null;
    for (let waited = 0; leaving.pendingRequests > spare && waited < GOODBYE_MS; waited += POLL_MS)
      await Bun.sleep(POLL_MS);
  }

  return {
    fetch,
    listen(socketPath) {
      try {
        ensurePrivateDir(dirname(socketPath));
        // This process holds the lock of the data directory, so nobody listens on a socket that is there.
        rmSync(socketPath, { force: true });
        way = wayTo(socketPath);
        server = Bun.serve({
          unix: way.path,
          development: false,
          fetch(request, connection) {
            connection.timeout(request, 0); // Starting the trial engine takes longer than the runtime's patience.
            return fetch(request);
          },
        });
        chmodSync(socketPath, 0o600);
      } catch (error) {
        way?.close();
        if (error instanceof FlmError) throw error;
        throw new FlmError('IO_ERROR', { meta: { path: socketPath, reason: reasonOf(error) }, cause: error });
      }
    },
    // The request that asked for it is under way itself.
    leave: () => leaveAll(1),
    async close() {
      const closing = server;
      await leaveAll(0);
      await closing?.stop(true);
    },
  };
}
