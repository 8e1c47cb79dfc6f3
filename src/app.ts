/**
 * The composition root: the only place that joins rooms. `openApp` opens the data directory and the rooms that any
 * command needs; `serve` adds what makes it a running proxy. Both are undone by `close`, in reverse order.
 */
import { checkDatabases, openDatabases } from '../db';
import { type Admin, type CheckReport, createAdmin, runChecks, type Status } from './admin';
import { createAdminClient } from './admin/client';
import {
  createAdmission,
  createKeyStore,
  createKeys,
  createSlots,
  type Keys,
  mayUse,
  type Slots,
} from './admission';
import { type Config, type ConfigSnapshot, createConfig, createSettingsStore } from './config';
import type { AuditWriter, Clock } from './contract';
import { createDaemon, type Legacy, type RunBy } from './daemon';
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
import { createGateway, type Gateway } from './gateway';
import { type Bus, createBus } from './lib/bus';
import { FlmError, toFlmError } from './lib/errors';
import type { Log } from './lib/log';
import type { Env, Paths } from './lib/paths';
import {
  createProxies,
  createProxyStore,
  IDLE_SECONDS,
  type Proxies,
  type ProxiesApi,
  type ProxyInput,
  type ProxyProfile,
  type ProxyView,
} from './listeners';
import { createModels, createRuleStore, type Models } from './models';
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
  readonly trial: Trial;
  readonly egress: Egress;
  readonly proxies: Proxies;
  /** What happened, for whoever records it. */
  readonly bus: Bus;
  readonly firstStart: boolean;
  status(): Status;
  /** What is under way: all zero when nothing is being served, else something was not given back. */
  open(): OpenWork;
  check(): Promise<CheckReport>;
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

/** A room that writes by itself, and has to stop that while another process has the data directory. */
interface Writer {
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** How long requests under way may take to say goodbye when FLM stops. */
const GOODBYE_MS = 2_000;
/** Idle connections of a process that was replaced close by themselves in this time. */
const LINGER_MS = (IDLE_SECONDS + 2) * 1_000;

/** Puts nothing on record: to be replaced by the audit room's writer. */
const unrecorded: AuditWriter = { write() {} };

/** @throws as openDatabases and createConfig */
export async function openApp(options: AppOptions): Promise<App> {
  const { paths, env, clock, log } = options;
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
    const store = createSettingsStore(db.config);
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
    const keys = await createKeys(createKeyStore(db.security), clock, bus);
    undo.push(keys.close);
    const egress = createEgress({ clock });
    undo.push(egress.close);

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
      store: createRuleStore(db.config),
      clock,
    });
    const engines: Engines = await createEngines({
      store: createEngineStore(db.config, db.security),
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
      processes: createProcessTable(),
      isOwnPort: (port) => proxies.ports().includes(port),
      onChange: models.update,
    });
    undo.push(engines.close);

    let gateway: Gateway | null = null;
    let admin: Admin | null = null;
    let runBy: RunBy | null = null;
    let onReplaced = (): void => {};
    let open = (): OpenWork => ({ exchanges: 0, tickets: 0, leases: 0 });
    /** Rooms that write by themselves add themselves here. */
    const writers: Writer[] = [];

    let leftBehind: Promise<number> | null = null;
    const proxies = await createProxies({
      store: createProxyStore(db.config, unrecorded),
      config,
      clock,
      log,
      openEntrance: (options) => openGateway().edge(options),
      whoListens: (bind, port) => whoListens(egress, bind, port),
    });
    let closeGateway = (): void => {};
    undo.push(() => closeGateway());
    undo.push(() => proxies.close(async () => gateway?.drain(GOODBYE_MS), GOODBYE_MS));

    /** Made when the first proxy starts; every later one uses it, too. */
    function openGateway(): Gateway {
      if (gateway !== null) return gateway;
      const slots = createSlots({
        clock,
        capacityOf: (engineId) =>
          engines.states().find((state) => state.ref.id === engineId)?.slots ??
          config.current()['engine.default_slots'],
        queueLimit: () => config.current()['engine.queue_limit'],
      });
      loadOf = slots.load;
      const admission = createAdmission({ slots, gate: engines, isAlias: models.isAlias, clock, bus });
      const made = createGateway({
        keys,
        models,
        catalogue: models,
        admission,
        mayUse: (principal, candidate, asked) => mayUse(principal, candidate, asked, models.isAlias),
        engines,
        liveness: engines.liveness,
        isReady: () => engines.states().some((state) => state.status.startsWith('running-')),
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

    const check = () =>
      runChecks({
        paths,
        sealedBy: db.sealedBy,
        databases: () => checkDatabases(db),
        keys,
        config,
        engines,
        trial,
      });

    const daemon = createDaemon({
      version: VERSION,
      clock,
      bus,
      log,
      runBy: () => runBy,
      proxies,
      drainMs: () => config.current()['proxy.drain_ms'],
      busy: () => open().exchanges,
      async pause() {
        await admin?.leave();
        for (const writer of writers) await writer.pause();
        db.pause();
      },
      async resume() {
        db.resume(0);
        for (const writer of writers) await writer.resume();
        // Commands may have worked on the data directory in between.
        await keys.refresh();
        admin?.listen(paths.adminSocket);
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

    /** `leftBehind`: proxies on record that nobody has ended. */
    async function begin(as: RunBy, leftBehind: number, replaces: number | null): Promise<void> {
      runBy = as;
      const details = { version: VERSION, pid: process.pid, run_by: as, replaces };
      if (leftBehind > 0 && replaces === null)
        unrecorded.write({ type: 'flm.crashed', severity: 'medium', target: null, details: null });
      unrecorded.write({ type: 'flm.started', severity: 'low', target: null, details });
      // What another process has taken over is not stopped.
      undo.push(() => {
        if (daemon.isOwner())
          unrecorded.write({ type: 'flm.stopped', severity: 'low', target: null, details: null });
      });
      undo.push(logEvents(bus, log));
      const opened = createAdmin({
        keys,
        engines,
        config,
        models,
        proxies: guarded,
        daemon: daemon.api,
        status,
        check,
        version: VERSION,
        log,
      });
      opened.listen(paths.adminSocket);
      admin = opened;
      undo.push(opened.close);
      engines.start();
      log.info('FLM can be managed', { socket: paths.adminSocket });
    }

    return {
      keys,
      engines,
      models,
      config,
      trial,
      egress,
      proxies,
      bus,
      firstStart: db.firstStart,
      status,
      open: () => open(),
      check,
      stop: daemon.stop,
      over: daemon.over,
      close,

      async serve(place) {
        if (runBy !== null) throw new FlmError('PROXY_ALREADY_RUNNING', { meta: { pid: process.pid } });
        leftBehind ??= proxies.forgetDead();
        await leftBehind;
        const profile: ProxyProfile = { mode: 'local-http', trustedProxies: [], ...place };
        const proxy = await proxies.open(profile, { isWanted: false, tenancy: 'alone' });
        await begin('foreground', await leftBehind, null);
        return proxy;
      },

      async serveSaved({ first, legacy, runBy: as, isPatient, onReplaced: replaced }) {
        onReplaced = replaced;
        const left = await proxies.forgetDead();
        if (legacy !== null) daemon.inherit(legacy);
        for (const profile of legacy?.proxies ?? [])
          await proxies.open(profile, { isWanted: true, tenancy: 'shared' });
        if (first !== null || (proxies.isEmpty() && legacy === null)) await guarded.start(first ?? {});
        const failure = await proxies.restore();
        if (failure !== null && !isPatient) throw failure;
        await begin(as, left, legacy?.pid ?? null);
        return proxies.first();
      },
    };
  } catch (error) {
    // What went wrong first is what the caller has to hear; what comes of it is in the log.
    await close().catch(() => {});
    throw error;
  }
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
