/** Opens the ways in to a proxy: its ports, as its mode and its clients want them, and an onion service beside them. */
import type { Config } from '../config';
import type { ClientTrust, TlsContextSource, TrustPage } from '../contract';
import { FlmError } from '../lib/errors';
import { type FrontedListener, listenBehindFront, PLAIN } from './front';
import { type ClientCertificates, isTls, type ProxyProfile, type TlsMode } from './model';
import { joinDoors, type OnionDoor, type OnionPublisher, openOnionDoor } from './onion';
import { httpsPortFor, idOf } from './profile';
import { type Handler, type Listener, type ListenOptions, listen } from './proxy';
import { type ClientDemand, listenTls, type TlsListener } from './tls';

/** What answers the requests of one proxy, and what stopping it needs. */
export interface Entrance extends Handler {
  /** `leaving`: connections are closed after their answer. `draining`: new requests are refused. */
  become(stance: 'leaving' | 'draining'): void;
  /** Requests under way. */
  busy(): number;
  /** Ends them. */
  abort(): void;
}

export interface WaysInOptions {
  readonly config: Config;
  readonly openEntrance: (options: {
    readonly loopback: boolean;
    readonly isTls: boolean;
    readonly trustedProxies: readonly string[];
  }) => Entrance;
  /** Publishes onion services. */
  readonly onions: OnionPublisher;
  /** Names the program that listens there, for an error. */
  readonly whoListens: (bind: string, port: number) => Promise<string>;
  /** The certificates of a mode: made when a proxy first needs them. */
  readonly certificates: (mode: TlsMode) => Promise<TlsContextSource>;
  readonly trustPage: (mode: TlsMode) => TrustPage;
  /** Reads whose certificates clients may show. @throws PROXY_INVALID_CONFIG */
  readonly clientTrust: (files: Pick<ClientCertificates, 'caFile' | 'crlFile'>) => Promise<ClientTrust>;
}

export interface Opened {
  readonly entrance: Entrance;
  readonly listener: Listener;
  readonly httpsPort: number | null;
  /** What knows who has come, where others speak for them; null: whoever is at the other end. */
  readonly front: Pick<FrontedListener, 'clientAt'> | null;
  readonly onion: OnionDoor | null;
}

type Listening = Pick<ListenOptions, 'tenancy' | 'isExposed'> & { readonly isPatient: boolean };

export function createWaysIn(options: WaysInOptions) {
  const { config, openEntrance, onions, whoListens, certificates, trustPage, clientTrust } = options;

  /** @throws PROXY_PORT_IN_USE, PROXY_INVALID_CONFIG, ONION_UNAVAILABLE */
  async function open(profile: ProxyProfile, listening: Listening): Promise<Opened> {
    const { bind, port, mode, trustedProxies } = profile;
    const { tenancy, isExposed = false, isPatient } = listening;
    const main = openEntrance({ loopback: !isExposed, isTls: isTls(mode), trustedProxies });
    const place: ListenOptions = { bind, port, handler: main, isExposed, ...(tenancy ? { tenancy } : {}) };
    const listener = await listenOrExplain(profile, place);
    const opened: Opened = {
      entrance: main,
      listener,
      httpsPort: 'httpsPort' in listener ? listener.httpsPort : null,
      front: 'clientAt' in listener ? listener : null,
      onion: null,
    };
    return withOnion(profile, opened, isPatient);
  }

  /** What visitors of an onion service come through, beside the others, where the profile wants one. */
  async function withOnion({ port, onion }: ProxyProfile, main: Opened, isPatient: boolean): Promise<Opened> {
    if (onion === undefined || onion === null) return main;
    try {
      const door = await openOnionDoor({
        proxyId: idOf(port),
        clients: onion.clients,
        entrance: openEntrance({ loopback: false, isTls: false, trustedProxies: [] }),
        publisher: onions,
        isPatient,
      });
      return { ...main, ...joinDoors(main, door), onion: door };
    } catch (error) {
      await main.listener.stop(async () => {}, 0);
      throw error;
    }
  }

  /** Binds, and says who has the port where somebody does. */
  async function listenOrExplain(
    profile: ProxyProfile,
    place: ListenOptions,
  ): Promise<Listener | FrontedListener | TlsListener> {
    try {
      return await listenAs(profile, place);
    } catch (error) {
      // Whoever looks for a free port says by itself who has the first.
      const isTaken = error instanceof FlmError && error.code === 'PROXY_PORT_IN_USE';
      if (!isTaken || place.tenancy === 'alone') throw error;
      const { bind } = place;
      const port = typeof error.meta.port === 'number' ? error.meta.port : place.port;
      const by = await whoListens(bind, port);
      throw new FlmError('PROXY_PORT_IN_USE', { meta: { port, bind, by }, cause: error });
    }
  }

  async function listenAs(profile: ProxyProfile, place: ListenOptions): Promise<Listener> {
    const { mode, proxyProtocol = false } = profile;
    const announced = {
      proxyProtocol,
      trustedProxies: () => [...profile.trustedProxies, ...config.current()['proxy.trusted_proxies']],
    };
    if (!isTls(mode))
      return proxyProtocol ? listenBehindFront({ ...place, ...announced, speech: PLAIN }) : listen(place);
    const clients = await demandOf(profile);
    const listener = await listenTls({
      ...place,
      ...announced,
      // Where the system chooses one port, it chooses both.
      httpsPort: place.port === 0 ? 0 : (httpsPortFor(profile, profile.httpsPort ?? null) ?? 0),
      source: await certificates(mode),
      trustPage: trustPage(mode),
      allowedHosts: () => config.current()['proxy.allowed_hosts'],
      clients,
    }).catch((error: unknown) => {
      clients?.trust.close();
      throw error;
    });
    if (clients === null) return listener;
    return {
      ...listener,
      async stop(drain, waitMs) {
        await listener.stop(drain, waitMs);
        clients.trust.close();
      },
    };
  }

  async function demandOf({ clientCertificates }: ProxyProfile): Promise<ClientDemand | null> {
    if (clientCertificates === undefined || clientCertificates === null) return null;
    const { demand, caFile, crlFile } = clientCertificates;
    return { trust: await clientTrust({ caFile, crlFile }), isRequired: demand === 'required' };
  }

  return open;
}
