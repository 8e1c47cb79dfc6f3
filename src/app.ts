/**
 * The composition root: the only place that joins rooms. `openApp` opens the data directory and the rooms that any
 * command needs; `serve` adds what makes it a running proxy. Both are undone by `close`, in reverse order.
 */
import { join } from 'node:path';
import { checkDatabases, openDatabases } from '../db';
import {
  type Activity,
  type ActivityApi,
  anchorIn,
  createActivity,
  createOfflineActivity,
  type WriterSettings,
} from './activity';
import {
  type Admin,
  type AdminPort,
  type CheckReport,
  checkAudit,
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
import {
  createAdmission,
  createKeyStore,
  createKeys,
  createSlots,
  type Keys,
  mayUse,
  type Slots,
} from './admission';
import { type Audit, createAudit, createAuditStore } from './audit';
import { type Config, type ConfigSnapshot, createConfig, createSettingsStore } from './config';
import type { ActivityAnchor, ActivityRecord, Clock } from './contract';
import { createEgress, type Egress } from './egress';
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
import { createGateway } from './gateway';
import { type Bus, createBus } from './lib/bus';
import { FlmError, toFlmError } from './lib/errors';
import { createLog, type Log, type LogLevel } from './lib/log';
import type { Env, Paths } from './lib/paths';
import {
  checkExposure,
  createProxyStore,
  endpointsOf,
  type Listener,
  listen,
  type ProxyHandle,
  type ProxyStore,
} from './listeners';
import { createModels, createRuleStore, type Models } from './models';
import { createTelemetry, logLimits, openLogFile, type Post, type Telemetry } from './telemetry';
import { VERSION } from './version';

export interface AppOptions {
  readonly paths: Paths;
  readonly env: Env;
  readonly clock: Clock;
  readonly log: Log;
  /** Settings given on the command line. */
  readonly flags: Partial<ConfigSnapshot>;
  /** Whether this process will serve, or only change something while nobody serves. */
  readonly running: boolean;
  /** How long to wait for another FLM process on the same directory. */
  readonly lockWaitMs: number;
}

export interface App {
  readonly keys: Keys;
  readonly engines: Engines;
  readonly models: Models;
  readonly config: Config;
  readonly audit: Audit;
  readonly trial: Trial;
  readonly sessions: Sessions;
  readonly egress: Egress;
  /** The request log; in the FLM that serves also what writes it. */
  readonly activity: ActivityApi;
  /** What writes the request log, once FLM serves. */
  recorder(): Activity | null;
  /** What happened, for whoever records it. */
  readonly bus: Bus;
  readonly firstStart: boolean;
  /** FLM's own log, to all places where the owner wants it. */
  readonly log: Log;
  status(): Status;
  /** What is under way: all zero when nothing is being served, else something was not given back. */
  open(): OpenWork;
  check(): Promise<CheckReport>;
  support(): Promise<SupportBundle>;
  /** Starts to serve. At most once. @throws PROXY_PORT_IN_USE, EXPOSURE_REFUSED, PROXY_INVALID_CONFIG, IO_ERROR */
  serve(options: ServeOptions): Promise<ProxyHandle>;
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

/** How long requests under way may take to say goodbye when FLM stops. */
const GOODBYE_MS = 2_000;
/** Lines of the request log that may wait for whoever reads stdout. */
const MAX_STDOUT_CHARS = 8_388_608;
/** What a collector has to say is short. */
const MAX_COLLECTOR_ANSWER = 65_536;

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
    if (running) log = alsoToFile(options, config, undo);
    const keys = await createKeys(createKeyStore(db.security, audit.inSecurityDb), clock, bus);
    undo.push(keys.close);
    const egress = createEgress({ clock });
    undo.push(egress.close);
    const activityOptions = {
      dir: paths.activityDir,
      seal: db.daySeal,
      settings: activitySettings(config.current()),
      record: recordOn(audit),
      clock,
      bus,
      log,
    };
    let recorder: Activity | null = null;
    const activity = eitherOf(() => recorder, createOfflineActivity(activityOptions));
    const listeners: Listener[] = [];
    let adminPort: AdminPort = { url: null, reason: null };
    const sessions = createSessions({
      store: createSessionStore(db.security, audit.inSecurityDb.write),
      clock,
      config: config.current,
      record: audit.record,
    });

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
      historyStore: createHistoryStore(db.config),
      egress,
      config: config.current,
      env,
      clock,
      bus,
      log,
      trial,
      processes: createProcessTable(),
      isOwnPort: (port) =>
        listeners.some((listener) => listener.port === port) || adminPort.url === adminUrl(port),
      onChange: models.update,
    });
    undo.push(engines.close);

    let handle: ProxyHandle | null = null;
    let open = (): OpenWork => ({ exchanges: 0, tickets: 0, leases: 0 });
    const status = (): Status => {
      const states = engines.states();
      const bind = listeners[0]?.bind;
      return {
        running: handle !== null,
        id: handle?.id ?? null,
        pid: handle?.pid ?? null,
        version: VERSION,
        data_dir: paths.dir,
        mode: handle?.mode ?? null,
        listen_addr: handle?.listenAddr ?? null,
        endpoints:
          handle === null || bind === undefined
            ? { localhost: null, local_network: null, local_networks: [], public: [] }
            : endpointsOf(bind, handle.port),
        admin: adminPort,
        started_at: handle === null ? null : new Date(handle.startedAtMs).toISOString(),
        requests: open().exchanges,
        engines: {
          running: states.filter((state) => state.status.startsWith('running-')).length,
          known: states.length,
        },
        models: states.reduce((sum, state) => sum + state.models.length, 0),
        security_db_key: db.sealedBy,
      };
    };

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
        others: [() => checkAudit(audit), async () => checkRequestLog(recorder?.counters() ?? null)],
      });

    let metrics: Telemetry['metrics'] | null = null;
    const support = () =>
      supportBundle({
        paths,
        env,
        clock,
        version: VERSION,
        keys,
        config,
        engines,
        status,
        check,
        metrics,
      });

    return {
      keys,
      engines,
      models,
      config,
      audit,
      trial,
      sessions,
      egress,
      activity,
      recorder: () => recorder,
      bus,
      log,
      firstStart: db.firstStart,
      status,
      open: () => open(),
      check,
      support,
      close,

      async serve({ bind, port, allowPlaintext }) {
        if (handle !== null) throw new FlmError('PROXY_ALREADY_RUNNING', { meta: { pid: process.pid } });
        const exposure = checkExposure(bind, allowPlaintext);
        const proxies = createProxyStore(db.config);
        await proxies.clear();

        recorder = createActivity({ ...activityOptions, settings: activitySettings(config.current()) });
        undo.push(recorder.close);
        undo.push(configureActivity(recorder, config, bus));

        const slots = createSlots({
          clock,
          capacityOf: (engineId) =>
            engines.states().find((state) => state.ref.id === engineId)?.slots ??
            config.current()['engine.default_slots'],
          queueLimit: () => config.current()['engine.queue_limit'],
        });
        loadOf = slots.load;
        const admission = createAdmission({ slots, gate: engines, isAlias: models.isAlias, clock, bus });
        const telemetry = await createTelemetry({
          bus,
          clock,
          log,
          env,
          paths,
          version: VERSION,
          config: config.current,
          open: () => open(),
          engines: engines.states,
          loadOf: slots.load,
          activity: recorder.counters,
          post: postVia(egress),
          stdout: boundedStdout(),
        });
        undo.push(telemetry.close);
        metrics = telemetry.metrics;
        const gateway = createGateway({
          keys,
          models,
          catalogue: models,
          admission,
          mayUse: (principal, candidate, asked) => mayUse(principal, candidate, asked, models.isAlias),
          engines,
          liveness: engines.liveness,
          metrics: telemetry.metrics,
          tracing: telemetry.tracing,
          isReady: () => engines.states().some((state) => state.status.startsWith('running-')),
          config: config.current,
          clock,
          bus,
          log,
        });
        undo.push(gateway.close);
        open = () => ({ exchanges: gateway.busy(), ...admission.open() });
        undo.push(logEvents(bus, log));

        const listener = listen({ bind, port, handler: gateway.edge({ loopback: exposure === 'loopback' }) });
        listeners.push(listener);
        undo.push(() => listener.stop(() => gateway.drain(GOODBYE_MS), GOODBYE_MS));
        handle = handleOf(listener, clock);
        const { id, mode } = handle;
        await proxies.started(handle, { mode, bind, port: listener.port });
        undo.push(() => forget(proxies, id, log));

        const idempotency = createIdempotency({ store: createIdempotencyStore(db.security), clock, log });
        const rooms = { keys, engines, config, models, audit, activity, sessions, status, check, support };
        const admin = createAdmin({ ...rooms, idempotency, version: VERSION, log });
        undo.push(admin.close);
        admin.listen(paths.adminSocket);
        adminPort = await openAdminPort(admin, config.current()['admin.port'], egress, log);
        await audit
          .started({ version: VERSION, pid: process.pid, listen_addr: handle.listenAddr })
          .catch((error: unknown) => log.error('that FLM started could not be put on record', { error }));
        undo.push(() => stopped(audit, log));
        engines.start();
        if (exposure !== 'loopback')
          log.warn('FLM listens beyond this machine, without TLS', { bind, exposure });
        log.info('FLM listens', {
          listenAddr: handle.listenAddr,
          pid: handle.pid,
          socket: paths.adminSocket,
        });
        return handle;
      },
    };
  } catch (error) {
    // What went wrong first is what the caller has to hear; what comes of it is in the log.
    await close().catch(() => {});
    throw error;
  }
}

/** By its address: on ::1, which browsers try first for `localhost`, another user of this machine may listen. */
function adminUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** Opens the port of the admin API. FLM serves without it too: a port that somebody has is no reason not to start. */
async function openAdminPort(admin: Admin, port: number, egress: Egress, log: Log): Promise<AdminPort> {
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

/** The last thing that is put on record; an FLM that cannot write it stops all the same. */
async function stopped(audit: Audit, log: Log): Promise<void> {
  try {
    await audit.record({ type: 'flm.stopped', severity: 'low', target: null, details: null });
  } catch (error) {
    log.warn('that FLM stopped could not be put on record', { error });
  }
}

/** The log that was handed over and, while the owner wants that, logs/flm.log. */
function alsoToFile(
  { paths, clock, log }: AppOptions,
  config: Config,
  undo: (() => void | Promise<void>)[],
): Log {
  const file = openLogFile({
    path: join(paths.logsDir, 'flm.log'),
    limits: () => logLimits(config.current()),
    clock,
    // That it cannot be written to is told where it can be read.
    log,
  });
  undo.push(file.close);
  const toFile = createLog(
    () => config.current()['log.level'],
    clock,
    (line) => {
      if (config.current()['log.file']) file.write(line);
    },
  );
  const both =
    (level: LogLevel): Log[LogLevel] =>
    (message, fields) => {
      log[level](message, fields);
      toFile[level](message, fields);
    };
  return { debug: both('debug'), info: both('info'), warn: both('warn'), error: both('error') };
}

/** stdout, as long as somebody reads it: what nobody takes is not kept for ever. */
function boundedStdout(): (line: string) => boolean {
  let waitingChars = 0;
  return (line) => {
    if (waitingChars + line.length > MAX_STDOUT_CHARS) return false;
    waitingChars += line.length;
    process.stdout.write(line, () => {
      waitingChars -= line.length;
    });
    return true;
  };
}

/** How OpenTelemetry's exports leave: through egress, as everything that leaves. */
function postVia(egress: Egress): Post {
  return async ({ url, headers, body, timeoutMs }) => {
    const signal = AbortSignal.timeout(timeoutMs);
    // A collector is the owner's choice, as an engine is; metadata services of clouds are nobody's.
    await egress.checkEngineUrl(url);
    const response = await egress.send({ url, method: 'POST', headers, body, signal });
    const bytes = await response.body.bytes();
    return {
      status: response.status,
      retryAfter: response.headers.get('retry-after'),
      text: new TextDecoder().decode(bytes.subarray(0, MAX_COLLECTOR_ANSWER)),
    };
  };
}

/** Where the request log is asked: at its Worker, once there is one. */
function eitherOf(live: () => ActivityApi | null, offline: ActivityApi): ActivityApi {
  const api = () => live() ?? offline;
  return {
    list: (filter, page) => api().list(filter, page),
    refusals: (range, page) => api().refusals(range, page),
    stats: (query) => api().stats(query),
    export: (filter, format) => api().export(filter, format),
    verify: () => api().verify(),
    erase: (input) => api().erase(input),
  };
}

/** Where the request log puts its ends on record. */
function recordOn(audit: Audit): ActivityRecord {
  return {
    anchor: audit.anchor,
    record: audit.record,
    async anchors() {
      const anchors: ActivityAnchor[] = [];
      let cursor: string | undefined;
      do {
        const page = await audit.list({
          type: 'activity.anchor',
          limit: 1_000,
          ...(cursor === undefined ? {} : { cursor }),
        });
        anchors.push(...page.items.flatMap(({ details }) => anchorIn(details)));
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      return anchors.reverse();
    },
  };
}

function activitySettings(config: ConfigSnapshot): WriterSettings {
  return {
    retentionDays: config['activity.retention_days'],
    maxBytes: config['activity.max_bytes'],
    archive: config['activity.archive'],
  };
}

/** Tells the request log of its settings when they change. Returns what stops it. */
function configureActivity(activity: Activity, config: Config, bus: Bus): () => void {
  return bus.subscribe('config.changed', ({ keys }) => {
    if (keys.some((key) => key.startsWith('activity.')))
      activity.configure(activitySettings(config.current()));
  });
}

/** Takes the handle of a proxy that ends out of the records. One that stays is removed by the next start. */
async function forget(proxies: ProxyStore, id: string, log: Log): Promise<void> {
  try {
    await proxies.stopped(id);
  } catch (error) {
    log.warn('that FLM stopped could not be written down', { error });
  }
}

function handleOf({ bind, port }: Listener, clock: Clock): ProxyHandle {
  const listenAddr = bind.includes(':') ? `[${bind}]:${port}` : `${bind}:${port}`;
  return {
    id: `proxy-${port}`,
    pid: process.pid,
    port,
    mode: 'local-http',
    listenAddr,
    httpsPort: null,
    startedAtMs: clock.nowMs(),
  };
}

/** Puts into the log what its reader wants to know. Returns what stops it. */
function logEvents(bus: Bus, log: Log): () => void {
  const stops = [
    bus.subscribe('engine.changed', ({ engineId, status, models }) =>
      log.info('engine', { engineId, status, models }),
    ),
    bus.subscribe('engine.removed', ({ engineId }) => log.info('engine is gone', { engineId })),
    bus.subscribe('key.created', ({ keyId, label }) => log.info('API key created', { keyId, label })),
    bus.subscribe('key.revoked', ({ keyId }) => log.info('API key ended', { keyId })),
    bus.subscribe('config.changed', ({ keys }) => log.info('settings changed', { keys })),
    bus.subscribe('auth.refused', ({ requestId, ip, path, reason }) =>
      log.debug('refused', { requestId, ip, path, reason }),
    ),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
