/** How a process starts to serve: with one proxy until it ends, or with those that are saved; and the record of both ends. */
import type { Admin } from '../admin';
import type { Keys } from '../admission';
import type { Audit } from '../audit';
import type { Daemon, Legacy, RunBy } from '../daemon';
import type { Engines, Trial } from '../engines';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import type {
  ClientCertificates,
  Mode,
  Proxies,
  ProxiesApi,
  ProxyInput,
  ProxyProfile,
  ProxyView,
} from '../listeners';
import type { Alerts } from '../telemetry';
import { VERSION } from '../version';
import type { AdminDoors } from './admin-doors';
import type { ChooseEgress } from './egress';
import { logEvents } from './logs';
import { rotateKeys } from './rotation';
import type { Undo } from './undo';

export interface ServeOptions {
  readonly bind: string;
  readonly port: number;
  /** Lets a public address be bound without TLS. */
  readonly allowPlaintext: boolean;
  /** Default: local-http. */
  readonly mode?: Mode;
  readonly httpsPort?: number;
  readonly clientCertificates?: ClientCertificates;
  readonly proxyProtocol?: boolean;
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

export interface ServingOptions {
  readonly audit: Audit;
  readonly keys: Keys;
  readonly alerts: Alerts;
  readonly trial: Trial;
  readonly engines: Engines;
  readonly proxies: Proxies;
  readonly daemon: Daemon;
  /** Starts what is told of requests, before there are any. */
  readonly startObservers: () => Promise<void>;
  readonly chooseEgress: ChooseEgress;
  /** Finds out whether there is a way out; `isPatient`: one that is not there yet is waited for. */
  readonly startTunnel: (isPatient: boolean) => Promise<void>;
  readonly openAdmin: (proxies: ProxiesApi) => Admin;
  readonly doors: AdminDoors;
  /** Takes what undoes all that is started here. */
  readonly undo: Undo;
  readonly bus: Bus;
  readonly log: Log;
}

export interface Serving {
  /** As App says. */
  serve(options: ServeOptions): Promise<ProxyView>;
  serveSaved(order: SavedOrder): Promise<ProxyView | null>;
  /** Who starts this process again when it dies; null before it serves. */
  runBy(): RunBy | null;
  /** Another process has taken the place of this one. */
  replaced(): void;
}

export function createServing(options: ServingOptions): Serving {
  const { audit, keys, alerts, trial, engines, proxies, daemon, doors, undo, bus, log } = options;
  let runBy: RunBy | null = null;
  let onReplaced = (): void => {};
  let forgotten: Promise<unknown> | null = null;

  /** Ends FLM with its last proxy: there is nothing left to do, and commands work without it. */
  const guarded: ProxiesApi = {
    ...proxies,
    async start(input) {
      if (daemon.isStopping()) throw new FlmError('SHUTTING_DOWN');
      await options.chooseEgress(input);
      return proxies.start(input);
    },
    async stop(selector) {
      const stopped = await proxies.stop(selector);
      if (proxies.isEmpty()) void daemon.stop();
      return stopped;
    },
  };

  /** `replaces`: the process that has left the data directory to this one, so that nothing has ended unexpectedly. */
  async function begin(as: RunBy, replaces: number | null): Promise<void> {
    runBy = as;
    const details = { version: VERSION, pid: process.pid, run_by: as, replaces };
    await audit
      .started(details, { isSuccession: replaces !== null })
      .catch((error: unknown) => log.error('that FLM started could not be put on record', { error }));
    undo.push(async () => {
      // What another process has taken over is not stopped.
      if (daemon.isOwner()) await recordStop(audit, log);
    });
    undo.push(logEvents(bus, log), rotateKeys(keys, daemon.isOwner, log));
    const admin = options.openAdmin(guarded);
    undo.push(admin.close);
    await doors.open(admin);
    alerts.start();
    engines.start();
  }

  return {
    async serve(place) {
      if (runBy !== null) throw new FlmError('PROXY_ALREADY_RUNNING', { meta: { pid: process.pid } });
      forgotten ??= proxies.forgetDead();
      await forgotten;
      await options.startObservers();
      await options.startTunnel(false);
      const profile: ProxyProfile = { mode: 'local-http', trustedProxies: [], ...place };
      const proxy = await proxies.open(profile, { isWanted: false, tenancy: 'alone' });
      await begin('foreground', null);
      return proxy;
    },

    async serveSaved({ first, legacy, runBy: as, isPatient, onReplaced: replaced }) {
      onReplaced = replaced;
      await proxies.forgetDead();
      await options.startObservers();
      if (first !== null) await options.chooseEgress(first);
      await options.startTunnel(isPatient || legacy !== null);
      if (legacy !== null) daemon.inherit(legacy);
      // FLM serves other engines meanwhile, and also when this one does not start.
      if (trial.state().installed)
        engines
          .startTrial()
          .catch((error: unknown) => log.error('the trial engine does not start', { error }));
      for (const profile of legacy?.proxies ?? [])
        await proxies.open(profile, { isWanted: true, tenancy: 'shared', isPatient: true });
      if (first !== null || (proxies.isEmpty() && legacy === null)) await guarded.start(first ?? {});
      const failure = await proxies.restore();
      // One that has a free port serves; the others are tried again.
      if (failure !== null && !isPatient && proxies.first() === null) throw failure;
      await begin(as, legacy?.pid ?? null);
      return proxies.first();
    },

    runBy: () => runBy,
    replaced: () => onReplaced(),
  };
}

/** The last thing that is put on record; an FLM that cannot write it stops all the same. */
async function recordStop(audit: Audit, log: Log): Promise<void> {
  try {
    await audit.record({ type: 'flm.stopped', severity: 'low', target: null, details: null });
  } catch (error) {
    log.warn('that FLM stopped could not be put on record', { error });
  }
}
