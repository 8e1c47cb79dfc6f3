/** The gateway room: the API for clients, from the edge to the relay. */
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import type { CurrentPolicy } from '../policy';
import { createCors } from './cors';
import { createEdge, type Door, type Edge, type Stance } from './edge';
import { createExchanges, type ExchangesOptions } from './exchanges';
import type { GatewayDeps } from './infer';
import { PeerPorts } from './peers';
import { createRoutes, type RoutesOptions } from './routes';

export type { Connection, Stance } from './edge';
export type { Liveness } from './exchanges';
export { ORDER } from './infer';
export type { Tracing } from './tracing';

/** The edge of one listener, and what whoever stops the listener needs of it. */
export interface Entrance extends Edge {
  /** How it receives requests from now on. */
  become(stance: Stance): void;
  /** Requests that came through it and are under way at an engine or wait for one. */
  busy(): number;
  /** Ends them with SHUTTING_DOWN. */
  abort(): void;
}

export interface EntranceOptions {
  readonly loopback: boolean;
  readonly isTls?: boolean;
  /** Reverse proxies of this listener, besides those of the settings. */
  readonly trustedProxies?: readonly string[];
}

export interface Gateway {
  /** An edge for one listener; all edges share routes and exchanges. */
  edge(options: EntranceOptions): Entrance;
  /** Requests that engines work on, or that wait for one. */
  busy(): number;
  /** False: on no connection from that port. */
  mayServe(port: number): boolean;
  /** Calls `visit` for the other end of every connection on whose request FLM or an engine works. */
  visitServed(visit: (address: string, port: number) => void): void;
  /** Takes no new request, ends every other with SHUTTING_DOWN, and resolves when they are gone or after `waitMs`. */
  drain(waitMs: number): Promise<void>;
  close(): void;
}

export interface GatewayOptions
  extends Omit<GatewayDeps, 'exchanges'>,
    Pick<ExchangesOptions, 'liveness'>,
    Pick<RoutesOptions, 'catalogue' | 'isReady' | 'metrics'> {
  /** Whose pages may read answers. */
  readonly policy: CurrentPolicy;
  readonly bus: Bus;
  readonly log: Log;
}

/** How often deadlines, silences and pings are looked at. Their settings are seconds. */
const SWEEP_MS = 250;

export function createGateway(options: GatewayOptions): Gateway {
  const { clock, config, log, bus, tracing, screen } = options;
  const peerPorts = new PeerPorts();
  const exchanges = createExchanges({ clock, config, liveness: options.liveness, peerPorts });
  const routes = createRoutes({ ...options, deps: { ...options, exchanges } });
  const cors = createCors(options.policy);
  const edges: Edge[] = [];
  const timer = setInterval(() => exchanges.sweep(), SWEEP_MS);
  timer.unref();

  // Revocation works at once for new requests; this is for those under way.
  const stopListening = bus.subscribe('key.revoked', ({ keyId }) =>
    exchanges.abortWhere(
      (exchange) => exchange.principalId === keyId,
      () => new FlmError('INVALID_API_KEY'),
    ),
  );

  return {
    edge(entrance) {
      const { isTls = false, trustedProxies = [] } = entrance;
      const door: Door = { stance: 'open', isTls, trustedProxies };
      const busy = () => exchanges.size;
      const edge = createEdge({
        screen,
        cors,
        routes,
        config,
        clock,
        bus,
        log,
        tracing,
        ...entrance,
        door,
        busy,
        peerPorts,
      });
      edges.push(edge);
      return {
        ...edge,
        become(stance) {
          door.stance = stance;
        },
        busy: () => exchanges.through(door),
        abort: () =>
          exchanges.abortWhere(
            (exchange) => exchange.door === door,
            () => new FlmError('SHUTTING_DOWN'),
          ),
      };
    },
    busy: () => exchanges.size,
    mayServe: (port) => peerPorts.has(port),
    visitServed(visit) {
      for (const edge of edges) edge.visitPeers(visit);
      exchanges.visitPeers(visit);
    },
    async drain(waitMs) {
      exchanges.shutDown();
      const deadlineMs = clock.monotonicMs() + waitMs;
      while (exchanges.size > 0 && clock.monotonicMs() < deadlineMs) await Bun.sleep(10);
    },
    close() {
      clearInterval(timer);
      stopListening();
    },
  };
}
