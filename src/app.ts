/**
 * The composition root: the only place that joins rooms. `openApp` opens the data directory and the rooms that any
 * command needs; `serve` adds what makes it a running proxy. Both are undone by `close`, in reverse order.
 */
import { hostname } from 'node:os';
import {
  type Certs,
  createCertStore,
  createCerts,
  createTrustCheck,
  isAutoInstall,
  openClientTrust,
  thisMachine,
  thisTrustMachine,
} from '../certs';
import { openDatabases } from '../db';
import type { ActivityApi } from './activity';
import {
  createAdmin,
  createIdempotency,
  createIdempotencyStore,
  createSessionStore,
  createSessions,
  type Sessions,
} from './admin';
import { createKeyStore, createKeys, createSlots, type Keys } from './admission';
import { createAdminDoors } from './app/admin-doors';
import { webhookVia } from './app/collector';
import { createEgressChoice, egressOfProxies, whyBehindTunnel } from './app/egress';
import { createHandOver } from './app/hand-over';
import { alsoToFile } from './app/logs';
import { createObservers } from './app/observers';
import { createRecentClients, policyOnRecord, surroundingsOf } from './app/policy-seams';
import { createReports, type Reports } from './app/reports';
import { createRequestLog } from './app/request-log';
import { createServing, type SavedOrder, type ServeOptions } from './app/serving';
import { type Undo, undoAll } from './app/undo';
import { createWayIn, type OpenWork } from './app/way-in';
import { type Audit, createAudit, createAuditStore } from './audit';
import { type Config, type ConfigSnapshot, createConfig, createSettingsStore } from './config';
import type { Clock } from './contract';
import { createDaemon, ownProgram } from './daemon';
import {
  createEgress,
  createEgressApi,
  createLoginStore,
  createOnionStore,
  createOnions,
  createTunnel,
  type Egress,
  type EgressRoom,
  placeOfHost,
} from './egress';
import {
  createEngineStore,
  createEngines,
  createHistoryStore,
  createProcessTable,
  createTrial,
  type Engines,
  type Trial,
  whoListens,
} from './engines';

import { type Bus, createBus } from './lib/bus';
import type { Log } from './lib/log';
import type { Env, Paths } from './lib/paths';
import {
  createConnections,
  createProxies,
  createProxyStore,
  type Proxies,
  type ProxyView,
} from './listeners';
import { createModels, createRuleStore, type Models } from './models';
import { createPolicies, createPolicyStore, type Policies } from './policy';
import type { SecurityApi } from './security';
import { type Alerts, createAlertStore, createAlerts } from './telemetry';
import { VERSION } from './version';

export type { SavedOrder, ServeOptions } from './app/serving';

export interface AppOptions {
  readonly paths: Paths;
  readonly env: Env;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether `log` is logs/flm.log already; then the setting log.file adds nothing. */
  readonly isFileLog?: boolean;
  /** Settings given on the command line. */
  readonly flags: Partial<ConfigSnapshot>;
  /** Whether this process will serve, or only change something while nobody serves. */
  readonly running: boolean;
  /** How long to wait for another FLM process on the same directory. */
  readonly lockWaitMs: number;
  /** Whether strangers can reach it, for tests; else the listeners tell. */
  readonly isExposed?: () => boolean;
}

export interface App extends Reports {
  readonly keys: Keys;
  readonly engines: Engines;
  readonly models: Models;
  readonly config: Config;
  readonly audit: Audit;
  readonly policy: Policies;
  readonly trial: Trial;
  readonly sessions: Sessions;
  readonly egress: Egress;
  /** What the owner sees of the way out, and tries of it. */
  readonly wayOut: EgressRoom;
  readonly proxies: Proxies;
  /** Certificates, and the private authorities that make them. */
  readonly certs: Certs;
  /** The request log. */
  readonly activity: ActivityApi;
  readonly alerts: Alerts;
  /** Bans, and what strangers did. */
  readonly security: SecurityApi;
  /** What happened, for whoever records it. */
  readonly bus: Bus;
  readonly firstStart: boolean;
  /** FLM's own log, to all places where the owner wants it. */
  readonly log: Log;
  /** What is under way: all zero when nothing is being served, else something was not given back. */
  open(): OpenWork;
  /**
   * Serves through one proxy, until `close`. It is not saved, and nobody takes its port over. May be tried again after
   * PROXY_PORT_IN_USE. @throws PROXY_PORT_IN_USE, EXPOSURE_REFUSED, PROXY_INVALID_CONFIG, IO_ERROR
   */
  serve(options: ServeOptions): Promise<ProxyView>;
  /** Serves through the proxies that are saved, and those of the order. @throws as serve, for the one that was asked for */
  serveSaved(order: SavedOrder): Promise<ProxyView | null>;
  /** Lets nobody new in, and waits for requests under way as long as proxy.drain_ms allows. Then FLM is over. */
  stop(): Promise<void>;
  /** Resolves when there is nothing to serve any more: stopped, without proxies, or replaced by another process. */
  readonly over: Promise<void>;
  close(): Promise<void>;
}

/** How long requests under way may take to say goodbye when FLM stops. */
const GOODBYE_MS = 2_000;

/** Engines that were looked at this recently are not asked again. */
const FRESH_MS = 15_000;

/** @throws as openDatabases and createConfig */
export async function openApp(options: AppOptions): Promise<App> {
  const { paths, env, clock } = options;
  let { log } = options;
  const undo: Undo = [];
  /** Lets nothing that is still written wait for another process: whoever stops a service waits for few seconds. */
  let impatient = (): void => {};
  async function close(): Promise<void> {
    impatient();
    impatient = () => {};
    await undoAll(undo, log);
  }

  try {
    const db = await openDatabases({ paths, env, clock, lockWaitMs: options.lockWaitMs });
    undo.push(db.close);
    impatient = db.hurry;
    const bus = createBus({
      onError: (error, event) => log.error('a subscriber failed', { event: event.name, error }),
    });
    undo.push(bus.close);
    const audit = await createAudit({ store: createAuditStore(db.config, db.security), clock, log });
    undo.push(audit.close);
    const store = createSettingsStore(db.config, audit.inConfigDb);
    const { flags, running } = options;
    const config = await createConfig({
      store,
      env,
      tomlPath: paths.configToml,
      flags,
      clock,
      bus,
      log,
      running,
    });
    if (running && options.isFileLog !== true) {
      const both = alsoToFile(options, config);
      log = both.log;
      undo.push(both.file.close);
    }
    const keyStore = createKeyStore(db.security, audit.inSecurityDb);
    const keys = await createKeys(keyStore, clock, bus);
    undo.push(keys.close);
    const clients = createRecentClients(bus, clock);
    undo.push(clients.close);
    const policy = await createPolicies({
      store: createPolicyStore(db.security, audit.inSecurityDb),
      secret: await keyStore.pepper(clock.nowMs()),
      onRecord: () => policyOnRecord(audit),
      record: audit.record,
      surroundings: () => surroundingsOf(proxies, clients),
      clock,
      bus,
      log,
      running,
    });
    undo.push(policy.close);
    const certs = await createCerts({
      store: createCertStore(db.security, audit.inSecurityDb),
      clock,
      log,
      machine: thisMachine,
      configured: () => config.current()['certs.names'],
      isOwner: () => daemon.isOwner(),
    });
    undo.push(certs.close);
    undo.push(bus.subscribe('config.changed', certs.look));
    const trustCheck = createTrustCheck({
      certs,
      dir: paths.certsDir,
      isAuto: isAutoInstall(env.FLM_AUTO_INSTALL_CA),
      machine: (file) =>
        thisTrustMachine({ env, command: [...ownProgram(), 'security', 'install-ca', '--cert-path', file] }),
      log,
    });
    undo.push(trustCheck.close);
    const loginStore = createLoginStore(db.security, audit.inSecurityDb);
    const onionStore = createOnionStore(db.security, audit.inSecurityDb);
    const login = { current: await loginStore.load() };
    const tunnel = createTunnel({
      settings: config.current,
      login: () => login.current,
      clock,
      bus,
      log,
      // What another process has taken over, that one puts on record.
      record: async (event) => (daemon.isOwner() ? audit.record(event) : undefined),
    });
    const egress = createEgress({ clock, tunnel });
    undo.push(egress.close);

    const alerts = createAlerts({
      store: createAlertStore(db.security, audit.inSecurityDb),
      bus,
      clock,
      log,
      post: webhookVia(egress),
      checkUrl: egress.checkDeliveryUrl,
      config: config.current,
      host: hostname(),
      version: VERSION,
      random: Math.random,
    });
    undo.push(alerts.close);
    const requestLog = createRequestLog({
      dir: paths.activityDir,
      seal: db.daySeal,
      audit,
      config,
      clock,
      bus,
      log,
    });
    const sessions = createSessions({
      store: createSessionStore(db.security, audit.inSecurityDb.write),
      clock,
      config: config.current,
      record: audit.record,
    });
    const history = createHistoryStore(db.config);
    const trial = createTrial({
      dir: paths.trialDir,
      env,
      log,
      clock,
      // It died or came back on another port: whoever asks next must find it there.
      onChange: () => void engines.refresh(0),
    });
    const slots = createSlots({
      clock,
      capacityOf: (engineId) =>
        engines.states().find((state) => state.ref.id === engineId)?.slots ??
        config.current()['engine.default_slots'],
      queueLimit: () => config.current()['engine.queue_limit'],
    });
    const models = await createModels({
      refresh: (maxAgeMs) => engines.refresh(maxAgeMs),
      standingOf: (candidate) => engines.standingOf(candidate, slots.load(candidate.engine.id)),
      store: createRuleStore(db.config, audit.inConfigDb),
      clock,
      whyAway: (engine) => whyBehindTunnel(tunnel, engine),
    });
    const engines: Engines = await createEngines({
      store: createEngineStore(db.config, db.security, audit.inConfigDb),
      historyStore: {
        ...history,
        // Another process writes its own by then.
        write: async (...rows) => (daemon.isOwner() ? history.write(...rows) : undefined),
      },
      egress,
      config: config.current,
      env,
      clock,
      bus,
      log,
      trial,
      record: audit.record,
      processes: createProcessTable(),
      isOwnPort: (port) => proxies.ports().includes(port) || doors.isPort(port),
      onChange: models.update,
    });
    undo.push(engines.close);
    const wayOut = createEgressApi({
      egress,
      tunnel,
      settings: config.current,
      store: loginStore,
      onionStore,
      login,
      targets: async () => {
        await engines.refresh(FRESH_MS);
        const remote = engines
          .states()
          .filter(({ ref }) => placeOfHost(new URL(ref.baseUrl).hostname) !== 'here');
        return remote.map(({ ref }) => ({ name: ref.id, url: ref.baseUrl }));
      },
      clock,
    });
    undo.push(
      bus.subscribe('config.changed', ({ keys }) => {
        if (keys.some((key) => key.startsWith('egress.'))) void tunnel.refresh();
      }),
      // Engines behind a tunnel come and go with it.
      bus.subscribe('egress.changed', () => void engines.refresh(0)),
    );

    const proxies = await createProxies({
      store: createProxyStore(db.config, audit.inConfigDb),
      config,
      clock,
      log,
      openEntrance: (options) => gateway.open().edge(options),
      hasKey: keys.anyUsable,
      egress: () => egressOfProxies(config.current()),
      onions: createOnions({
        store: onionStore,
        control: () => config.current()['egress.tor_control'],
        clock,
        log,
      }),
      whoListens: (bind, port) => whoListens(egress, bind, port),
      certificates: certs.source,
      trustPage: certs.trustPage,
      certifies: certs.certifies,
      onTlsListening: trustCheck.begin,
      clientTrust: ({ caFile, crlFile }) =>
        openClientTrust({
          authoritiesFile: caFile,
          revocationFile: crlFile,
          revoked: () => config.current()['proxy.revoked_client_certificates'],
          clock,
          log,
        }),
      policyVersion: policy.refresh,
    });
    const connections = createConnections({
      policy: policy.current,
      isExposed: proxies.isExposed,
      config: config.current,
      ports: proxies.ports,
      frontPorts: proxies.frontPorts,
      clientAt: proxies.clientAt,
      onionPorts: proxies.onionPorts,
      trustedProxies: proxies.trustedProxies,
      mayServe: (port) => gateway.current()?.mayServe(port) ?? false,
      visitServed: (visit) => gateway.current()?.visitServed(visit),
      clock,
      bus,
      log,
    });
    undo.push(connections.close);

    const { security, limits, gateway, open } = createWayIn({
      db,
      audit,
      config,
      keys,
      policy,
      models,
      engines,
      slots,
      connections,
      isExposed: options.isExposed ?? proxies.isExposed,
      clients: () => surroundingsOf(proxies, clients).clients,
      telemetry: () => observers.telemetry(),
      clock,
      bus,
      log,
    });
    const observers = createObservers({
      bus,
      clock,
      log,
      env,
      paths,
      config: config.current,
      open,
      connections,
      engines: engines.states,
      loadOf: slots.load,
      alerts: alerts.counts,
      tunnel: tunnel.view,
      certificates: certs.expiries,
      audit,
      egress,
      requestLog,
      security,
    });
    undo.push(
      // After the last request: what becomes of it when FLM closes is told, too.
      observers.close,
      // After the last request has given back what it had taken.
      () => limits.current()?.close(),
      () => gateway.current()?.close(),
      () => proxies.close(async () => gateway.current()?.drain(GOODBYE_MS), GOODBYE_MS),
      security.close,
    );

    const doors = createAdminDoors({
      socket: paths.adminSocket,
      port: () => config.current()['admin.port'],
      egress,
      log,
    });
    const rooms = {
      audit,
      config,
      keys,
      policy,
      egress,
      alerts,
      requestLog,
      sessions,
      trial,
      models,
      engines,
      proxies,
      certs,
      connections,
      limits,
      security,
      wayOut,
      doors,
      telemetry: observers.telemetry,
    };
    const reports = createReports({
      ...rooms,
      db,
      paths,
      env,
      clock,
      busy: () => open().exchanges,
      runBy: () => serving.runBy(),
    });
    const daemon = createDaemon({
      version: VERSION,
      clock,
      bus,
      log,
      runBy: () => serving.runBy(),
      proxies,
      drainMs: () => config.current()['proxy.drain_ms'],
      busy: () => open().exchanges,
      ...createHandOver({ ...rooms, db, adminSocket: paths.adminSocket }),
      onReplaced: () => serving.replaced(),
    });

    const serving = createServing({
      ...rooms,
      daemon,
      startObservers: observers.start,
      chooseEgress: createEgressChoice({ config, tunnel, audit, hasOthers: () => !proxies.isEmpty() }),
      startTunnel: tunnel.start,
      openAdmin: (proxies) =>
        createAdmin({
          ...rooms,
          ...reports,
          activity: requestLog.api,
          security: security.api,
          proxies,
          daemon: daemon.api,
          idempotency: createIdempotency({ store: createIdempotencyStore(db.security), clock, log }),
          version: VERSION,
          log,
        }),
      undo,
      bus,
      log,
    });

    return {
      keys,
      engines,
      models,
      config,
      audit,
      policy,
      trial,
      sessions,
      egress,
      wayOut,
      proxies,
      certs,
      activity: requestLog.api,
      alerts,
      security: security.api,
      bus,
      log,
      firstStart: db.firstStart,
      ...reports,
      open,
      serve: serving.serve,
      serveSaved: serving.serveSaved,
      stop: daemon.stop,
      over: daemon.over,
      close,
    };
  } catch (error) {
    // What went wrong first is what the caller has to hear; what comes of it is in the log.
    await close().catch(() => {});
    throw error;
  }
}
