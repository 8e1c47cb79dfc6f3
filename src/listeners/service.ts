/**
 * The proxies of this FLM: several at once, each on a port of its own, started, stopped and read anew while it runs. Those
 * that the owner started run again after the next start of FLM, until the owner stops them.
 */
import type { Clock } from '../contract';
import { FlmError, toFlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import { checkExposure, type Exposure, requireKeyFor } from './exposure';
import type { Peer } from './front';
import { isShared } from './hand-on';
import {
  isTls,
  type ProxiesApi,
  type ProxyHandle,
  type ProxyInput,
  type ProxyProfile,
  type ProxySelector,
  type ProxyView,
  type TlsMode,
} from './model';
import type { OnionDoor } from './onion';
import { addressOf, checkProfile, idOf, portsOf, profileFrom } from './profile';
import type { Tenancy } from './proxy';
import type { ProxyStore } from './store';
import { type Certifies, restingView, runningView } from './views';
import { createWaysIn, type Opened, type WaysInOptions } from './ways-in';

export interface ProxiesOptions extends WaysInOptions {
  readonly store: ProxyStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether anybody has a key that can be used. */
  readonly hasKey: () => boolean;
  /** How requests leave this machine: a proxy's profile does not say, because all of them leave the same way. */
  readonly egress: () => ProxyView['egress'];
  readonly certifies: Certifies;
  /** Called when a proxy with TLS has begun to listen. Returns at once. */
  readonly onTlsListening: (mode: TlsMode) => void;
  /** Reads the security policy again, and says which version is in force; null when it cannot be read. */
  readonly policyVersion: () => Promise<number | null>;
}

export interface StartOptions {
  /** Whether it is to be started again with FLM. */
  readonly isWanted: boolean;
  readonly tenancy: Tenancy;
  /** Whether it starts also while tor is away, and its onion service follows. */
  readonly isPatient?: boolean;
}

export interface Proxies extends ProxiesApi {
  /** Starts a proxy with a whole profile; port 0 lets the system choose. @throws as start */
  open(profile: ProxyProfile, options: StartOptions): Promise<ProxyView>;
  /** Starts those that are wanted and do not run. Returns the first failure; what failed is told by list and tried again. */
  restore(): Promise<FlmError | null>;
  /** As list, at once. */
  all(): ProxyView[];
  /** How those that run and are saved were started: what another process is to go on with. */
  legacy(): Legacy[];
  /** Removes from the records what another process left there, and says how much that was: after a crash, something. */
  forgetDead(): Promise<number>;
  /** Whether there is nothing to do: none runs, and none is to be tried again. */
  isEmpty(): boolean;
  /** The ports on which this FLM listens. */
  ports(): readonly number[];
  /** Those of them that have a front: there a connection begins with more than a request. */
  frontPorts(): readonly number[];
  /** Who has come from that end of a connection to one of them; null: nobody knows yet. */
  clientAt(outer: Peer, localPort: number): Peer | null;
  /** The ports of this machine to which a tor leads the visitors of onion services. */
  onionPorts(): readonly number[];
  /** Reverse proxies whose word is believed, at one of them or by the settings. */
  trustedProxies(): readonly string[];
  /** Whether one of them can be reached from other machines, by its address or through Tor. */
  isExposed(): boolean;
  /** Whether the process before this one still listens on one of them. */
  areShared(): boolean;
  /** The first of those that run, or null. */
  first(): ProxyView | null;
  /** What the owner meant by leaving things out. @throws PROXY_INVALID_CONFIG, CONFIG_INVALID */
  profileOf(input: ProxyInput): ProxyProfile;
  /** From now on another process takes new connections. */
  leave(): void;
  /** Refuses new requests and waits at most `waitMs` for those under way. */
  drain(waitMs: number): Promise<void>;
  /** Ends listening: waits for `drain` and at most `waitMs` longer. */
  close(drain: () => Promise<void>, waitMs: number): Promise<void>;
}

type Legacy = Omit<ProxyProfile, 'trustedProxies' | 'onion'> & {
  trustedProxies: string[];
  onion?: { clients: string[] } | null;
};

interface Running extends Opened {
  readonly handle: ProxyHandle;
  profile: ProxyProfile;
  readonly exposure: Exposure;
  readonly isWanted: boolean;
  onion: OnionDoor | null;
  stopping: Promise<void> | null;
}

/** How long requests that were cut off may take to say goodbye. */
const GOODBYE_MS = 2_000;
const POLL_MS = 10;
/** How often proxies that could not be started are tried again. */
const RETRY_MS = 5_000;
/** As long as this from its start on, an FLM tries them again this soon. */
const EARLY_MS = 5_000;
const SOON_MS = 100;
/** How long the old process still takes connections that reached it before the new one listened. */
const SHARED_MS = 1_000;

export async function createProxies(options: ProxiesOptions): Promise<Proxies> {
  const { store, config, clock, log, hasKey, egress, onions } = options;
  const openWaysIn = createWaysIn(options);
  const running = new Map<string, Running>();
  /** Why wanted ones do not run. */
  const failed = new Map<string, string>();
  let wanted = await store.wanted();
  let retry: ReturnType<typeof setTimeout> | null = null;
  let isOver = false;
  const bornMs = clock.monotonicMs();
  let starting: Promise<unknown> = Promise.resolve();
  let isLeft = false;

  /** One after the other: two that want the same port must not both find it free. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = starting.then(work, work);
    starting = result.catch(() => {});
    return result;
  }

  async function open(
    profile: ProxyProfile,
    { isWanted, tenancy, isPatient = false }: StartOptions,
  ): Promise<ProxyView> {
    const { bind, port, mode } = profile;
    if (running.has(idOf(port))) throw new FlmError('PROXY_EXISTS', { meta: { port, id: idOf(port) } });
    const exposure = checkExposure(bind, profile);
    checkProfile(profile, config.current());
    const isExposed = exposure !== 'loopback';
    const ways = await openWaysIn(profile, { tenancy, isExposed, isPatient });
    const { listener, httpsPort } = ways;
    const handle: ProxyHandle = {
      id: idOf(listener.port),
      pid: process.pid,
      port: listener.port,
      mode,
      listenAddr: addressOf(bind, listener.port),
      httpsPort,
      startedAtMs: clock.nowMs(),
    };
    const opened: Running = {
      ...ways,
      handle,
      profile: { ...profile, port: listener.port, ...(httpsPort === null ? {} : { httpsPort }) },
      exposure,
      isWanted,
      stopping: null,
    };
    try {
      await store.started(handle, opened.profile, isWanted);
    } catch (error) {
      await listener.stop(async () => {}, 0);
      throw error;
    }
    running.set(handle.id, opened);
    failed.delete(handle.id);
    wanted = await store.wanted();
    if (isExposed && httpsPort === null)
      log.warn('FLM listens beyond this machine, without TLS', { bind, exposure });
    log.info('FLM listens', { listenAddr: handle.listenAddr, httpsPort, pid: handle.pid });
    if (isTls(mode)) options.onTlsListening(mode);
    return viewOf(opened);
  }

  /** As open, where nobody is about to make the first key. */
  async function openGuarded(profile: ProxyProfile, isPatient: boolean): Promise<ProxyView> {
    checkExposure(profile.bind, profile);
    if (profile.allowNoKey !== true) requireKeyFor(profile, hasKey());
    return open(profile, { isWanted: true, tenancy: 'shareable', isPatient });
  }

  function viewOf({ stopping, entrance, ...rest }: Running): ProxyView {
    return runningView(
      { ...rest, isStopping: stopping !== null, requests: entrance.busy() },
      egress(),
      options.certifies,
    );
  }

  function all(): ProxyView[] {
    const others = resting().map((profile) =>
      restingView(profile, failed.get(idOf(profile.port)) ?? null, egress(), options.certifies),
    );
    return [...[...running.values()].map(viewOf), ...others];
  }

  /** Those that are wanted and do not run. */
  function resting(): ProxyProfile[] {
    return wanted.filter(({ port }) => !running.has(idOf(port)));
  }

  function select(selector: ProxySelector): string[] {
    const all = [...running.keys(), ...resting().map(({ port }) => idOf(port))];
    if ('all' in selector) return all;
    const id = 'id' in selector ? selector.id : idOf(selector.port);
    if (all.includes(id)) return [id];
    const proxy = 'id' in selector ? `"${id}"` : `on port ${selector.port}`;
    throw new FlmError('PROXY_NOT_FOUND', { meta: { proxy } });
  }

  async function stopOne(id: string): Promise<void> {
    await store.stopped(id);
    failed.delete(id);
    wanted = await store.wanted();
    const found = running.get(id);
    if (found === undefined) return;
    found.stopping ??= end(found);
    await found.stopping;
  }

  /** Lets requests under way finish, for a while, and gives the port back. */
  async function end({ handle, listener, entrance }: Running): Promise<void> {
    entrance.become('draining');
    await waitFor(() => entrance.busy() === 0, config.current()['proxy.drain_ms']);
    await listener.stop(async () => {
      entrance.abort();
      await waitFor(() => entrance.busy() === 0, GOODBYE_MS);
    }, GOODBYE_MS);
    running.delete(handle.id);
    log.info('a proxy was stopped', { id: handle.id });
  }

  async function waitFor(holds: () => boolean, withinMs: number): Promise<void> {
    const untilMs = clock.monotonicMs() + withinMs;
    while (!holds() && clock.monotonicMs() < untilMs) await Bun.sleep(POLL_MS);
  }

  /** A port that another process of this FLM is just letting go of is free in a moment; any other is looked at now and then. */
  function schedule(): void {
    if (isOver) return;
    const isEarly = clock.monotonicMs() - bornMs < EARLY_MS;
    retry = setTimeout(() => void restore(), failed.size > 0 && isEarly ? SOON_MS : RETRY_MS);
    retry.unref();
  }

  async function restore(): Promise<FlmError | null> {
    let failure: FlmError | null = null;
    for (const profile of resting()) {
      const id = idOf(profile.port);
      try {
        await inTurn(() => openGuarded(profile, true));
      } catch (error) {
        failure ??= toFlmError(error);
        const reason = toFlmError(error).message;
        if (failed.get(id) !== reason) log.error('a proxy could not be started', { id, error });
        failed.set(id, reason);
      }
    }
    schedule();
    return failure;
  }

  return {
    async list() {
      return { items: all(), next: null };
    },
    all,

    async start(input) {
      const profile = profileFrom(input, config.current());
      return inTurn(() => openGuarded(profile, false));
    },

    open: (profile, how) => inTurn(() => open(profile, how)),

    async stop(selector) {
      const ids = select(selector);
      await Promise.all(ids.map(stopOne));
      return { status: 'stopped', stopped: ids };
    },

    async rotateOnion({ id }) {
      const found = requireOnion(id);
      await found.onion.publication.rotate();
      return viewOf(found);
    },

    async removeOnion({ id }) {
      const found = requireOnion(id);
      const { publication, entrance, listener } = found.onion;
      publication.close();
      entrance.abort();
      await listener.stop(async () => {}, GOODBYE_MS);
      await onions.forget(id);
      const changed: Running = Object.assign(found, {
        onion: null,
        profile: { ...found.profile, onion: null },
      });
      await store.changed(id, changed.profile);
      return viewOf(changed);
    },

    async reload(selector) {
      const ids = select(selector).filter((id) => running.has(id));
      if (ids.length === 0) throw new FlmError('PROXY_NOT_RUNNING');
      const { changed, waits } = await config.reload();
      const policyVersion = await options.policyVersion();
      for (const id of ids) await store.reloaded(id, changed);
      return {
        status: 'reloaded',
        reloaded: ids.length,
        total: ids.length,
        handle_ids: ids,
        changed: [...changed],
        restart_required: [...waits],
        policy_version: policyVersion,
        errors: [],
      };
    },

    restore,
    legacy: () =>
      [...running.values()]
        .filter(({ isWanted, stopping }) => isWanted && stopping === null)
        .map(({ profile: { onion, ...profile } }) => ({
          ...profile,
          trustedProxies: [...profile.trustedProxies],
          onion: onion === undefined || onion === null ? null : { clients: [...onion.clients] },
        })),
    forgetDead: store.clear,
    isEmpty: () => running.size === 0 && resting().length === 0,
    ports: () => [...running.values()].flatMap(({ handle }) => portsOf(handle)),
    frontPorts: () =>
      [...running.values()].flatMap(({ profile, handle }) =>
        profile.proxyProtocol ? portsOf(handle) : (handle.httpsPort ?? []),
      ),
    clientAt(outer, localPort) {
      for (const { front, handle } of running.values())
        if (front !== null && portsOf(handle).includes(localPort)) return front.clientAt(outer, localPort);
      return outer;
    },
    onionPorts: () => [...running.values()].flatMap(({ onion }) => onion?.listener.port ?? []),
    trustedProxies: () => [
      ...config.current()['proxy.trusted_proxies'],
      ...[...running.values()].flatMap(({ profile }) => profile.trustedProxies),
    ],
    isExposed() {
      // Asked for every body that is being read, several times a second.
      for (const { exposure, onion } of running.values())
        if (exposure !== 'loopback' || onion !== null) return true;
      return false;
    },
    areShared: () => [...running.values()].some(({ handle }) => portsOf(handle).some(isShared)),
    first() {
      const [first] = running.values();
      return first === undefined ? null : viewOf(first);
    },

    profileOf: (input) => profileFrom(input, config.current()),

    leave() {
      isLeft = true;
      isOver = true;
      if (retry !== null) clearTimeout(retry);
      for (const { listener, entrance } of running.values()) {
        entrance.become('leaving');
        const timer = setTimeout(() => {
          if (!listener.leave()) log.warn('idle connections were closed', { port: listener.port });
        }, SHARED_MS);
        timer.unref();
      }
    },

    async drain(waitMs) {
      isOver = true;
      if (retry !== null) clearTimeout(retry);
      for (const { entrance } of running.values()) entrance.become('draining');
      await waitFor(() => [...running.values()].every(({ entrance }) => entrance.busy() === 0), waitMs);
    },

    async close(drain, waitMs) {
      isOver = true;
      if (retry !== null) clearTimeout(retry);
      const drained = drain();
      await Promise.all(
        [...running.values()].map(async ({ handle, listener }) => {
          await listener.stop(() => drained, waitMs);
          await forget(handle.id);
        }),
      );
      running.clear();
    },
  };

  function requireOnion(id: string): Running & { readonly onion: OnionDoor } {
    const found = running.get(id);
    if (found === undefined) throw new FlmError('PROXY_NOT_FOUND', { meta: { proxy: `"${id}"` } });
    const { onion } = found;
    if (onion === null) throw new FlmError('NO_ONION', { meta: { proxy: id } });
    return Object.assign(found, { onion });
  }

  /** Takes the handle of a proxy that ends out of the records. One that stays is removed by the next start. */
  async function forget(id: string): Promise<void> {
    // Another process has written its own by now.
    if (isLeft) return;
    try {
      await store.ended(id);
    } catch (error) {
      log.warn('that FLM stopped could not be written down', { error });
    }
  }
}
