/** Every room's routes behind one guard. A new room adds its line here and what it needs to Rooms. */
import { Elysia } from 'elysia';
import type { CertsApi } from '../../certs';
import { certsRoutes } from '../../certs/routes';
import type { ActivityApi } from '../activity';
import { activityRoutes } from '../activity/routes';
import type { Keys } from '../admission';
import { keysRoutes } from '../admission/routes';
import type { Audit } from '../audit';
import { auditRoutes } from '../audit/routes';
import type { ConfigApi } from '../config';
import { configRoutes } from '../config/routes';
import type { DaemonApi } from '../daemon';
import { daemonRoutes } from '../daemon/routes';
import type { EgressApi } from '../egress';
import { egressRoutes } from '../egress/routes';
import type { EnginesApi } from '../engines';
import { enginesRoutes } from '../engines/routes';
import { FlmError } from '../lib/errors';
import { createScopeGuard, type ScopeGuard, STRICT } from '../lib/scope-guard';
import type { ExposureApi, ProxiesApi } from '../listeners';
import { exposureRoutes, proxiesRoutes } from '../listeners/routes';
import type { ModelsApi } from '../models';
import { modelsRoutes } from '../models/routes';
import type { PolicyApi } from '../policy';
import { policyRoutes } from '../policy/routes';
import type { SecurityApi } from '../security';
import { securityRoutes } from '../security/routes';
import type { AlertsApi } from '../telemetry';
import { alertsRoutes } from '../telemetry/routes';
import { CheckReport, Status, SupportBundle } from './model';
import type { Sessions } from './sessions';
import type { SessionsApi } from './sessions/model';
import { sessionsRoutes } from './sessions/routes';

/** What the routes call. */
export interface Rooms {
  readonly keys: Keys;
  readonly engines: EnginesApi;
  readonly config: ConfigApi;
  readonly models: ModelsApi;
  readonly proxies: ProxiesApi;
  readonly daemon: DaemonApi;
  readonly policy: PolicyApi;
  readonly audit: Audit;
  readonly activity: ActivityApi;
  readonly certs: CertsApi;
  readonly alerts: AlertsApi;
  readonly exposure: ExposureApi['exposure'];
  readonly security: SecurityApi;
  readonly sessions: Omit<Sessions, keyof SessionsApi> & SessionsApi;
  /** How requests leave this machine. */
  readonly wayOut: EgressApi;
  readonly status: () => Status;
  readonly check: () => Promise<CheckReport>;
  readonly support: () => Promise<SupportBundle>;
}

export function adminRoutes(rooms: Rooms, guard: ScopeGuard) {
  return new Elysia({ name: 'admin-routes', ...STRICT })
    .use(guard)
    .get('/api/v1/status', () => rooms.status(), {
      scope: 'status:read',
      response: Status,
      tags: ['status'],
      detail: { operationId: 'getStatus', summary: 'How FLM is' },
    })
    .get('/api/v1/check', () => rooms.check(), {
      scope: 'status:read',
      response: CheckReport,
      tags: ['status'],
      detail: { operationId: 'runChecks', summary: 'Examine this installation' },
    })
    .get('/api/v1/support', () => rooms.support(), {
      // What is in it is made unreadable, but it is more than anybody else needs.
      scope: 'admin:write',
      response: SupportBundle,
      tags: ['status'],
      detail: {
        operationId: 'collectSupport',
        summary: 'Collect what helps somebody else to find out what is wrong',
      },
    })
    .use(sessionsRoutes(rooms.sessions, guard))
    .use(keysRoutes(rooms.keys, guard))
    .use(enginesRoutes(rooms.engines, guard))
    .use(modelsRoutes(rooms.models, guard))
    .use(configRoutes(rooms.config, guard))
    .use(proxiesRoutes(rooms.proxies, guard))
    .use(daemonRoutes(rooms.daemon, guard))
    .use(policyRoutes(rooms.policy, guard))
    .use(auditRoutes(rooms.audit, guard))
    .use(activityRoutes(rooms.activity, guard))
    .use(certsRoutes(rooms.certs, guard))
    .use(alertsRoutes(rooms.alerts, guard))
    .use(exposureRoutes(rooms, guard))
    .use(securityRoutes(rooms.security, guard))
    .use(egressRoutes(rooms.wayOut, guard));
}

/** The routes with nothing behind them, for whoever only reads what they say of themselves. */
export function describedRoutes(): ReturnType<typeof adminRoutes> {
  // Routes are handed their rooms, but call them only when a request comes.
  const nothing: unknown = new Proxy(() => nothing, { get: () => nothing });
  return adminRoutes(
    nothing as Rooms,
    createScopeGuard(() => {
      throw new FlmError('UNAUTHENTICATED');
    }),
  );
}
