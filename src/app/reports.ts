/** What FLM tells of itself to whoever manages it: how it is, who can reach what, what is wrong, and all of it as a bundle. */
import type { Certs } from '../../certs';
import { checkDatabases, type Databases } from '../../db';
import {
  type CheckReport,
  checkAudit,
  checkBans,
  checkCertificates,
  checkConnections,
  checkExposed,
  checkPolicy,
  checkRequestLog,
  runChecks,
  type Status,
  type SupportBundle,
  supportBundle,
} from '../admin';
import type { Keys } from '../admission';
import type { Audit } from '../audit';
import type { Config } from '../config';
import type { Clock } from '../contract';
import type { RunBy } from '../daemon';
import type { Egress, EgressRoom } from '../egress';
import { adapterOf, type Engines, type Trial, usualPorts, whoIsAt } from '../engines';
import type { Env, Paths } from '../lib/paths';
import {
  type Connections,
  type ExposureReport,
  interfaceAddresses,
  type Proxies,
  reportExposure,
} from '../listeners';
import type { Policies } from '../policy';
import type { Security } from '../security';
import type { Telemetry } from '../telemetry';
import { VERSION } from '../version';
import type { AdminDoors } from './admin-doors';
import { checkInWorker } from './check-databases';
import type { RequestLog } from './request-log';

export interface ReportsOptions {
  readonly paths: Paths;
  readonly env: Env;
  readonly clock: Clock;
  readonly db: Databases;
  readonly audit: Audit;
  readonly config: Config;
  readonly keys: Keys;
  readonly policy: Policies;
  readonly egress: Egress;
  readonly wayOut: EgressRoom;
  readonly requestLog: RequestLog;
  readonly trial: Trial;
  readonly engines: Engines;
  readonly proxies: Proxies;
  readonly certs: Certs;
  readonly connections: Connections;
  readonly security: Security;
  readonly telemetry: () => Telemetry | null;
  /** Requests under way. */
  readonly busy: () => number;
  readonly doors: AdminDoors;
  /** Null before it serves. */
  readonly runBy: () => RunBy | null;
}

export interface Reports {
  status(): Status;
  exposure(): Promise<ExposureReport>;
  check(): Promise<CheckReport>;
  support(): Promise<SupportBundle>;
}

/** A look at the engines that is this old will do to say where they are. */
const FRESH_MS = 5_000;

export function createReports(options: ReportsOptions): Reports {
  const { audit, policy, egress, requestLog, engines, proxies, certs, connections } = options;
  const status = () => statusOf(options);

  const exposure = () =>
    reportExposure({
      proxies: proxies.all,
      adminUrl: () => options.doors.port().url,
      hasKey: options.keys.anyUsable,
      async engines() {
        await engines.refresh(FRESH_MS);
        return engines.states();
      },
      addresses: interfaceAddresses,
      addressOf: (url) =>
        egress.checkEngineUrl(url).then(
          ({ address }) => address,
          () => null,
        ),
      knock: egress.knock,
      whoIsAt: (ip, port) => whoIsAt(egress, ip, port),
      usualPorts: usualPorts(),
      stayHome: (kind) => adapterOf(kind).stayHome,
    });

  const { configDb, securityDb } = options.paths;
  const check = () =>
    runChecks({
      ...options,
      sealedBy: options.db.sealedBy,
      // Whoever serves has no second to spare; a command has nobody to hold up.
      databases: async () =>
        options.runBy() === null
          ? checkDatabases(options.db)
          : checkInWorker({ configDb, securityDb, seal: options.db.daySeal }),
      status,
      others: [
        () => checkAudit(audit),
        () => checkPolicy(policy),
        async () => checkCertificates(certs),
        async () => checkBans(options.security.wideBans()),
        async () => checkRequestLog(requestLog.counters()),
        async () => checkConnections(connections),
        async () => checkExposed(await exposure()),
      ],
    });

  return {
    status,
    exposure,
    check,
    async support() {
      await audit.record({ type: 'support.bundled', severity: 'low', target: null, details: null });
      return supportBundle({
        ...options,
        version: VERSION,
        status,
        check,
        metrics: options.telemetry()?.metrics ?? null,
      });
    },
  };
}

function statusOf({ paths, db, engines, proxies, wayOut, busy, doors, runBy }: ReportsOptions): Status {
  const states = engines.states();
  const first = proxies.first();
  const by = runBy();
  return {
    running: by !== null,
    id: first?.id ?? null,
    pid: by === null ? null : process.pid,
    version: VERSION,
    data_dir: paths.dir,
    mode: first?.mode ?? null,
    listen_addr: first?.listen_addr ?? null,
    endpoints: first?.endpoints ?? { localhost: null, local_network: null, local_networks: [], public: [] },
    admin: doors.port(),
    run_by: by,
    egress: wayOut.now(),
    proxies: proxies.all(),
    started_at: first?.started_at ?? null,
    requests: busy(),
    engines: {
      running: states.filter((state) => state.status.startsWith('running-')).length,
      known: states.length,
    },
    models: states.reduce((sum, state) => sum + state.models.length, 0),
    security_db_key: db.sealedBy,
  };
}
