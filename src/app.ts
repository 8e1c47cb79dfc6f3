/**
 * The composition root: the only place that joins rooms. `openApp` opens the data directory and the rooms that any
 * command needs; `serve` adds what makes it a running proxy. Both are undone by `close`, in reverse order.
 */
import { hostname } from 'node:os';
import { checkDatabases, openDatabases } from '../db';
import type { ActivityApi } from './activity';
import {
  type Admin,
  type AdminPort,
  type CheckReport,
  checkAudit,
  checkBans,
  checkConnections,
  checkExposed,
  checkPolicy,
  checkRequestLog,
  createAdmin,
  createIdempotency,
  createIdempotencyStore,
  createSessionStore,
  createSessions,
  runChecks,
  type Sessions,
  type Status,
  type SupportBundle,
  supportBundle,
} from './admin';
import { createAdminClient } from './admin/client';
import {
  createAdmission,
  createKeyStore,
  createKeys,
  createLimitRows,
  createLimits,
  createSlots,
  type Keys,
  type Limits,
  type Slots,
} from './admission';
import { adminUrl, openAdminPort } from './app/admin-port';
import { postVia, webhookVia } from './app/collector';
import { recordLimits } from './app/limits';
import { alsoToFile, boundedStdout, logEvents } from './app/logs';
import { createRecentClients, policyOnRecord, surroundingsOf } from './app/policy-seams';
import { createRequestLog } from './app/request-log';
import { rotateKeys } from './app/rotation';
import { type Audit, createAudit, createAuditStore } from './audit';
import { type Config, type ConfigSnapshot, createConfig, createSettingsStore } from './config';
import type { Clock } from './contract';
import { createDaemon, type Legacy, type RunBy } from './daemon';
import { createEgress, type Egress } from './egress';
import {
  adapterOf,
  createEngineStore,
  createEngines,
  createHistoryStore,
  createProcessTable,
  createTrial,
  type Engines,
  type Trial,
  whoIsAt,
  whoListens,
} from './engines';
import { createGateway, type Gateway } from './gateway';
import { type Bus, createBus } from './lib/bus';
import { FlmError, toFlmError } from './lib/errors';
import type { Log } from './lib/log';
import type { Env, Paths } from './lib/paths';
import {
  createConnections,
  createProxies,
  createProxyStore,
  type ExposureReport,
  IDLE_SECONDS,
  interfaceAddresses,
  type Proxies,
  type ProxiesApi,
  type ProxyInput,
  type ProxyProfile,
  type ProxyView,
  reportExposure,
} from './listeners';
import { createModels, createRuleStore, type Models } from './models';
import { createPolicies, createPolicyStore, type Policies } from './policy';
import { createSecurity, createSecurityStore, type SecurityApi } from './security';
import { type Alerts, createAlertStore, createAlerts, createTelemetry, type Telemetry } from './telemetry';
import { VERSION } from './version';

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

export interface App {
  readonly keys: Keys;
  readonly engines: Engines;
  readonly models: Models;
  readonly config: Config;
  readonly audit: Audit;
  readonly policy: Policies;
  readonly trial: Trial;
  readonly sessions: Sessions;
  readonly egress: Egress;
  readonly proxies: Proxies;
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
  status(): Status;
  /** What is under way: all zero when nothing is being served, else something was not given back. */
  open(): OpenWork;
  check(): Promise<CheckReport>;
  exposure(): Promise<ExposureReport>;
  support(): Promise<SupportBundle>;
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

export interface OpenWork {
  readonly exchanges: number;
  readonly tickets: number;
  readonly leases: number;
}

export interface ServeOptions {
  readonly bind: string;
  readonly port: number;
  /** Lets a public address be bound without TLS. */
  readonly allowPlaintext: boolean;
}

export interface SavedOrder {
  /** The proxy that was asked for; null: those that are saved, or where there is none the default one. */
  readonly first: ProxyInput | null;
  /** What the process before this one leaves to it. */
  readonly legacy: Legacy | null;
  readonly runBy: RunBy;
  /** Whether proxies that cannot be started are tried again; else the start fails with the first of them. */
  readonly isPatient: boolean;
  /** Called when another process has taken the place of this one, which finishes what is under way. */
  readonly onReplaced: () => void;
}

/** How long requests under way may take to say goodbye when FLM stops. */
const GOODBYE_MS = 2_000;
/** A look at the engines that is this old will do to say where they are. */
const FRESH_MS = 5_000;
/** Idle connections of a process that was replaced close by themselves in this time. */
const LINGER_MS = (IDLE_SECONDS + 2) * 1_000;

/** @throws as openDatabases and createConfig */
export async function openApp(options: AppOptions): Promise<App> {
  const { paths, env, clock } = options;
  let { log } = options;
  const undo: (() => void | Promise<void>)[] = [];
  /** Lets nothing that is still written wait for another process: whoever stops a service waits for few seconds. */
  let impatient = (): void => {};
  async function close(): Promise<void> {
    impatient();
    impatient = () => {};
    const failures: unknown[] = [];
    for (const step of undo.reverse().splice(0)) {
      try {
        await step();
      } catch (error) {
        // Whatever it was, the steps after it still have a port, a socket and a lock to give back.
        log.error('FLM did not stop cleanly', { error });
        failures.push(error);
      }
    }
    if (failures.length > 0) throw toFlmError(failures[0]);
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
    const egress = createEgress({ clock });
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
    const idle = { active: 0, waiting: 0 };
    let loadOf: Slots['load'] = () => idle;
    const models = await createModels({
      refresh: (maxAgeMs) => engines.refresh(maxAgeMs),
      standingOf: (candidate) => engines.standingOf(candidate, loadOf(candidate.engine.id)),
      store: createRuleStore(db.config, audit.inConfigDb),
      clock,
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
      isOwnPort: (port) => proxies.ports().includes(port) || adminPort.url === adminUrl(port),
      onChange: models.update,
    });
    undo.push(engines.close);

    let gateway: Gateway | null = null;
    let limits: Limits | null = null;
    let admin: Admin | null = null;
    let adminPort: AdminPort = { url: null, reason: null };
    let telemetry: Telemetry | null = null;
    let runBy: RunBy | null = null;
    let onReplaced = (): void => {};
    let open = (): OpenWork => ({ exchanges: 0, tickets: 0, leases: 0 });
    let forgotten: Promise<unknown> | null = null;
    const proxies = await createProxies({
      store: createProxyStore(db.config, audit.inConfigDb),
      config,
      clock,
      log,
      openEntrance: (options) => openGateway().edge(options),
      hasKey: keys.anyUsable,
      whoListens: (bind, port) => whoListens(egress, bind, port),
      policyVersion: policy.refresh,
    });
    const connections = createConnections({
      policy: policy.current,
      isExposed: proxies.isExposed,
      config: config.current,
      ports: proxies.ports,
      trustedProxies: proxies.trustedProxies,
      mayServe: (port) => gateway?.mayServe(port) ?? false,
      visitServed: (visit) => gateway?.visitServed(visit),
      clock,
      bus,
      log,
    });
    undo.push(connections.close);
    // After the last request has given back what it had taken.
    undo.push(() => limits?.close());
    let closeGateway = (): void => {};
    undo.push(() => closeGateway());
    undo.push(() => proxies.close(async () => gateway?.drain(GOODBYE_MS), GOODBYE_MS));

    const slots = createSlots({
      clock,
      capacityOf: (engineId) =>
        engines.states().find((state) => state.ref.id === engineId)?.slots ??
        config.current()['engine.default_slots'],
      queueLimit: () => config.current()['engine.queue_limit'],
    });

    const isExposed = options.isExposed ?? proxies.isExposed;
    const security = createSecurity({
      store: createSecurityStore(db.security, audit.inSecurityDb),
      policy: policy.current,
      isExposed,
      admitStranger: (visit, share) => limits?.stranger(visit, share),
      clients: () => surroundingsOf(proxies, clients).clients,
      clock,
      bus,
      log,
    });
    undo.push(security.close);
    /** Takes up the limits as the process before this one left them. */
    function openLimits(): Limits {
      if (limits !== null) return limits;
      const rows = createLimitRows(db.security);
      limits = createLimits({
        rows,
        policy: policy.current,
        rulesOf: keys.rulesOf,
        isExposed,
        clock,
        bus,
        log,
      });
      undo.push(recordLimits({ bus, clock, log, record: audit.record }));
      return limits;
    }

    /** Starts what is told of requests, before there are any. */
    async function openTelemetry(): Promise<void> {
      if (telemetry !== null) return;
      const ending = new AbortController();
      const made = await createTelemetry({
        bus,
        clock,
        log,
        env,
        paths,
        version: VERSION,
        config: config.current,
        open: () => open(),
        connections: { open: connections.open, cut: connections.cut },
        engines: engines.states,
        loadOf: slots.load,
        activity: () => requestLog.counters() ?? { queued: 0, dropped: 0 },
        alerts: alerts.counts,
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
      security.start();
    }

    /** Made when the first proxy starts; every later one uses it, too. */
    function openGateway(): Gateway {
      if (gateway !== null) return gateway;
      loadOf = slots.load;
      const { isAlias } = models;
      const admission = createAdmission({ slots, limits: openLimits(), gate: engines, isAlias, clock, bus });
      const made = createGateway({
        keys,
        models,
        catalogue: models,
        admission,
        screen: security.screen,
        policy: policy.current,
        engines,
        liveness: engines.liveness,
        metrics: async () => requireOpen(telemetry).metrics(),
        tracing: requireOpen(telemetry).tracing,
        isReady: () => engines.states().some((state) => state.status.startsWith('running-')),
        minBodyBytesPerSecond: connections.minBodyBytesPerSecond,
        config: config.current,
        clock,
        bus,
        log,
      });
      closeGateway = made.close;
      open = () => ({ exchanges: made.busy(), ...admission.open() });
      gateway = made;
      return made;
    }

    const status = (): Status => {
      const states = engines.states();
      const first = proxies.first();
      return {
        running: runBy !== null,
        id: first?.id ?? null,
        pid: runBy === null ? null : process.pid,
        version: VERSION,
        data_dir: paths.dir,
        mode: first?.mode ?? null,
        listen_addr: first?.listen_addr ?? null,
        endpoints: first?.endpoints ?? {
          localhost: null,
          local_network: null,
          local_networks: [],
          public: [],
        },
        admin: adminPort,
        run_by: runBy,
        proxies: proxies.all(),
        started_at: first?.started_at ?? null,
        requests: open().exchanges,
        engines: {
          running: states.filter((state) => state.status.startsWith('running-')).length,
          known: states.length,
        },
        models: states.reduce((sum, state) => sum + state.models.length, 0),
        security_db_key: db.sealedBy,
      };
    };

    const exposure = () =>
      reportExposure({
        proxies: proxies.all,
        adminUrl: () => adminPort.url,
        hasKey: keys.anyUsable,
        async engines() {
          await engines.refresh(FRESH_MS);
          return engines.states();
        },
        addresses: interfaceAddresses,
        knock: egress.knock,
        whoIsAt: (ip, port) => whoIsAt(egress, ip, port),
        stayHome: (kind) => adapterOf(kind).stayHome,
      });

    const check = () =>
      runChecks({
        paths,
        sealedBy: db.sealedBy,
        databases: () => checkDatabases(db),
        keys,
        config,
        engines,
        trial,
        status,
        clock,
        others: [
          () => checkAudit(audit),
          () => checkPolicy(policy),
          async () => checkBans(security.wideBans()),
          async () => checkRequestLog(requestLog.counters()),
          async () => checkConnections(connections),
          async () => checkExposed(await exposure()),
        ],
      });

    const support = async () => {
      await audit.record({ type: 'support.bundled', severity: 'low', target: null, details: null });
      return supportBundle({
        paths,
        env,
        clock,
        version: VERSION,
        keys,
        config,
        engines,
        status,
        check,
        metrics: telemetry?.metrics ?? null,
      });
    };

    const daemon = createDaemon({
      version: VERSION,
      clock,
      bus,
      log,
      runBy: () => runBy,
      proxies,
      drainMs: () => config.current()['proxy.drain_ms'],
      busy: () => open().exchanges,
      async pause(onQuiet) {
        if (requestLog.counters()?.isStuck === true)
          throw new FlmError('HANDOVER_UNAVAILABLE', {
            meta: { reason: 'requests wait to be written, and the disk does not take them' },
          });
        await admin?.leave();
        try {
          await alerts.pause();
          limits?.pause();
          await requestLog.stop(() => {
            telemetry?.pause();
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
      onReplaced: () => onReplaced(),
      heir: {
        status: (signal) => createAdminClient(egress, paths.adminSocket).status(signal),
        daemon: {
          elder: (report) => createAdminClient(egress, paths.adminSocket).daemon.elder(report),
        },
      },
      lingerMs: LINGER_MS,
    });

    /** Ends FLM with its last proxy: there is nothing left to do, and commands work without it. */
    const guarded: ProxiesApi = {
      ...proxies,
      async start(input) {
        if (daemon.isStopping()) throw new FlmError('SHUTTING_DOWN');
        return proxies.start(input);
      },
      async stop(selector) {
        const stopped = await proxies.stop(selector);
        if (proxies.isEmpty()) void daemon.stop();
        return stopped;
      },
    };

    async function comeBack(): Promise<void> {
      audit.resume();
      security.start();
      limits?.resume();
      requestLog.start();
      alerts.start();
      telemetry?.resume();
      await policy.refresh();
      await openDoors();
    }

    async function openDoors(): Promise<void> {
      admin?.listen(paths.adminSocket);
      if (admin !== null) adminPort = await openAdminPort(admin, config.current()['admin.port'], egress, log);
    }

    /** `replaces`: the process that has left the data directory to this one, so that nothing has ended unexpectedly. */
    async function begin(as: RunBy, replaces: number | null): Promise<void> {
      runBy = as;
      const details = { version: VERSION, pid: process.pid, run_by: as, replaces };
      await audit
        .started(details, { isSuccession: replaces !== null })
        .catch((error: unknown) => log.error('that FLM started could not be put on record', { error }));
      undo.push(async () => {
        // What another process has taken over is not stopped.
        if (daemon.isOwner()) await stopped(audit, log);
      });
      undo.push(logEvents(bus, log), rotateKeys(keys, daemon.isOwner, log));
      const idempotency = createIdempotency({ store: createIdempotencyStore(db.security), clock, log });
      const rooms = {
        keys,
        engines,
        config,
        models,
        policy,
        audit,
        sessions,
        status,
        check,
        support,
        exposure,
      };
      admin = createAdmin({
        ...rooms,
        activity: requestLog.api,
        alerts,
        security: security.api,
        proxies: guarded,
        daemon: daemon.api,
        idempotency,
        version: VERSION,
        log,
      });
      undo.push(admin.close);
      await openDoors();
      alerts.start();
      engines.start();
      log.info('FLM can be managed', { socket: paths.adminSocket, port: adminPort.url });
    }

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
      proxies,
      activity: requestLog.api,
      alerts,
      security: security.api,
      bus,
      log,
      firstStart: db.firstStart,
      status,
      open: () => open(),
      check,
      exposure,
      support,
      stop: daemon.stop,
      over: daemon.over,
      close,

      async serve(place) {
        if (runBy !== null) throw new FlmError('PROXY_ALREADY_RUNNING', { meta: { pid: process.pid } });
        forgotten ??= proxies.forgetDead();
        await forgotten;
        await openTelemetry();
        const profile: ProxyProfile = { mode: 'local-http', trustedProxies: [], ...place };
        const proxy = await proxies.open(profile, { isWanted: false, tenancy: 'alone' });
        await begin('foreground', null);
        return proxy;
      },

      async serveSaved({ first, legacy, runBy: as, isPatient, onReplaced: replaced }) {
        onReplaced = replaced;
        await proxies.forgetDead();
        await openTelemetry();
        if (legacy !== null) daemon.inherit(legacy);
        // FLM serves other engines meanwhile, and also when this one does not start.
        if (trial.state().installed)
          engines
            .startTrial()
            .catch((error: unknown) => log.error('the trial engine does not start', { error }));
        for (const profile of legacy?.proxies ?? [])
          await proxies.open(profile, { isWanted: true, tenancy: 'shared' });
        if (first !== null || (proxies.isEmpty() && legacy === null)) await guarded.start(first ?? {});
        const failure = await proxies.restore();
        // One that has a free port serves; the others are tried again.
        if (failure !== null && !isPatient && proxies.first() === null) throw failure;
        await begin(as, legacy?.pid ?? null);
        return proxies.first();
      },
    };
  } catch (error) {
    // What went wrong first is what the caller has to hear; what comes of it is in the log.
    await close().catch(() => {});
    throw error;
  }
}

/** The last thing that is put on record; an FLM that cannot write it stops all the same. */
async function stopped(audit: Audit, log: Log): Promise<void> {
  try {
    await audit.record({ type: 'flm.stopped', severity: 'low', target: null, details: null });
  } catch (error) {
    log.warn('that FLM stopped could not be put on record', { error });
  }
}

function requireOpen(telemetry: Telemetry | null): Telemetry {
  if (telemetry === null)
    throw new FlmError('INTERNAL_ERROR', { cause: new Error('nothing counts requests') });
  return telemetry;
}
