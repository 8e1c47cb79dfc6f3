/**
 * Connections before, between and after requests: how many there are, how many one source may have, and how long they may
 * take over a request. On Linux; elsewhere the system does not let FLM see connections that are no request yet.
 */
import type { Clock } from '../../contract';
import type { Bus } from '../../lib/bus';
import { ipBucket, parseIpSet } from '../../lib/ip';
import type { Log } from '../../lib/log';
import type { CurrentPolicy } from '../../policy';
import type { Peer } from '../front';
import { ONION_PEER } from '../onion';
import type { Connection } from './connection';
import { createLimits } from './limits';
import { openSockets } from './sockets';
import { CUT_REASONS, type CutReason, createWatch, type Watch } from './watch';

export type { CutReason } from './watch';

export interface ConnectionsOptions {
  readonly policy: CurrentPolicy;
  /** Whether a listener can be reached from other machines: then the limits hold unless the policy says otherwise. */
  readonly isExposed: () => boolean;
  readonly config: () => { readonly 'proxy.max_connections': number };
  /** Reverse proxies: all their clients share one address. */
  readonly trustedProxies: () => readonly string[];
  /** The ports of the proxies, and those to which a tor leads the visitors of onion services. */
  readonly ports: () => readonly number[];
  /** Those of them that have a front. */
  readonly frontPorts: () => readonly number[];
  /** Who has come from that end of a connection to one of them; null: nobody knows yet. */
  readonly clientAt: (outer: Peer, localPort: number) => Peer | null;
  readonly onionPorts: () => readonly number[];
  /** False when no request from that port is under way. */
  readonly mayServe: (port: number) => boolean;
  /** Calls `visit` for the other end of every connection whose request is under way. */
  readonly visitServed: (visit: (address: string, port: number) => void) => void;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
}

export interface Connections {
  /** Open connections of clients; null where the system does not tell, or while they are left alone. */
  open(): number | null;
  /** How many were cut since the start. */
  readonly cut: Readonly<Record<CutReason, number>>;
  /** The rate below which a request's body is given up; null: none. */
  minBodyBytesPerSecond(): number | null;
  /** `off`: nobody can come from elsewhere, or the policy says so. `unavailable`: they hold, but this system lacks what it takes. */
  guard(): 'on' | 'off' | 'unavailable';
  close(): void;
}

/** A source is told of once in this time, with how many were cut meanwhile. */
const TELL_MS = 60_000;
const MAX_TOLD = 4_096;
/** Descriptors for everything that is no client: databases, engines that are probed, the admin API. */
const RESERVED = 256;

export function createConnections(options: ConnectionsOptions): Connections {
  const { clock, bus, config, ports, frontPorts, clientAt, onionPorts, mayServe, visitServed, log } = options;
  const limits = createLimits(options);
  const sockets = openSockets();
  const cut = Object.fromEntries(CUT_REASONS.map((reason) => [reason, 0])) as Record<CutReason, number>;
  const told = new Map<string, { atMs: number; cut: number; total: number }>();

  /** Each request under way needs a second one, to its engine, and two more between a front and the gateway. */
  function maxOpen(most: number): number {
    const each = frontPorts().length > 0 ? 4 : 2;
    return Math.min(config()['proxy.max_connections'], Math.max(1, Math.floor((most - RESERVED) / each)));
  }

  function onCut(reason: CutReason, { address, source: { bucket } }: Connection): void {
    cut[reason]++;
    // Browsers open connections ahead of need.
    if (reason === 'silent') return;
    const nowMs = clock.monotonicMs();
    const entry = told.get(bucket) ?? { atMs: Number.NEGATIVE_INFINITY, cut: 0, total: 0 };
    entry.cut++;
    entry.total++;
    told.delete(bucket);
    told.set(bucket, entry);
    if (told.size > MAX_TOLD) for (const oldest of told.keys()) if (told.delete(oldest)) break;
    if (nowMs - entry.atMs < TELL_MS) return;
    bus.publish({
      name: 'security.signal',
      requestId: null,
      ip: address,
      kind: 'resource',
      pattern: reason,
      score: entry.cut,
      total: entry.total,
      severity: reason === 'slow_request' || reason === 'unread_answer' ? 'low' : 'medium',
    });
    entry.atMs = nowMs;
    entry.cut = 0;
  }

  let watch: Watch | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  if (sockets === null) log.info('slow connections cannot be cut on this system');
  else {
    const made = createWatch({
      sockets,
      limits,
      maxOpen: () => maxOpen(sockets.most),
      frontPorts,
      ports: () => [...ports(), ...onionPorts()],
      clientOf: ({ address, peerPort: port, localPort }) =>
        onionPorts().includes(localPort)
          ? { address: ONION_PEER, port }
          : clientAt({ address, port }, localPort),
      // Many who have nothing to do with each other; with everything they have, half of the room is left to the others.
      maxFrom: ({ address }, { maxPerAddress }) =>
        address === ONION_PEER ? Math.max(maxPerAddress, maxOpen(sockets.most) / 2) : maxPerAddress,
      trusted: () => parseIpSet(options.trustedProxies()),
      bucketOf: (ip) => (ip.includes(':') ? ipBucket(ip) : ip),
      mayServe,
      visitServed,
      onCut,
    });
    watch = made;
    const step = (): void => {
      timer = setTimeout(step, made.step(clock.monotonicMs()));
      timer.unref();
    };
    step();
  }

  return {
    open: () => (watch === null || limits() === null ? null : watch.open()),
    cut,
    minBodyBytesPerSecond: () => limits()?.minBodyBytesPerSecond ?? null,
    guard() {
      if (limits() === null) return 'off';
      return sockets === null ? 'unavailable' : 'on';
    },
    close() {
      if (timer !== null) clearTimeout(timer);
      sockets?.close();
    },
  };
}
