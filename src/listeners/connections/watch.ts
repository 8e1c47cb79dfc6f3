/**
 * Watches the connections of clients and cuts those that cost more than they bring: that do not finish a request, do not
 * take their answer, or are more than one source or all together may have. Whoever has a request under way is never cut
 * here, so among too many it hits those that have waited longest: an honest client asks as soon as it is connected.
 */
import { type IpSet, parseIp } from '../../lib/ip';
import { Connection, type Source, type State } from './connection';
import type { Limits } from './limits';
import type { Ends, Sockets } from './sockets';

/** Why a connection was cut. */
export const CUT_REASONS = [
  'silent',
  'slow_request',
  'unread_answer',
  'address_limit',
  'total_limit',
] as const;
export type CutReason = (typeof CUT_REASONS)[number];

export interface WatchOptions {
  readonly sockets: Sockets;
  /** Null while connections are left alone. */
  readonly limits: () => Limits | null;
  /** How many may be open in all. */
  readonly maxOpen: () => number;
  /** The ports of the proxies. */
  readonly ports: () => readonly number[];
  /** Those of them where a word in the open would mean nothing, or bytes that come are not only those of requests. */
  readonly frontPorts: () => readonly number[];
  /** Who has come, for the other end of a connection as the system tells it; null: nobody knows yet. */
  readonly clientOf: (ends: Ends) => { readonly address: string; readonly port: number } | null;
  /** How many connections one source may have. */
  readonly maxFrom: (source: Source, limits: Limits) => number;
  /** Who may have any number of connections, besides those that the policy names. */
  readonly trusted: () => IpSet;
  /** `ipBucket`, of an address that parseIp wrote. */
  readonly bucketOf: (ip: string) => string;
  /** False when no request from that port is under way. */
  readonly mayServe: (port: number) => boolean;
  /** Calls `visit` for the other end of every connection whose request is under way, as the runtime writes it. */
  readonly visitServed: (visit: (address: string, port: number) => void) => void;
  readonly onCut: (reason: CutReason, connection: Connection) => void;
}

export interface Watch {
  /** Looks at the next part of all descriptors, and returns after how many milliseconds it wants to be called again. */
  step(nowMs: number): number;
  /** Connections that are open. */
  open(): number;
}

/** All descriptors are looked at twice a second; where they are thousands, less often. */
const STEP_MS = 50;
const SMALL_TABLE = 1_024;
const SMALL_SLICE = 128;
/** What one step costs must not be felt by a request: beside ten thousand connections it is a twentieth of a millisecond. */
const LARGE_STEP_MS = 10;
const LARGE_SLICE = 64;
const MAX_LOOKS = 50;
/** Whoever is cut comes again, which costs more than to leave them for some seconds more: 400 a second are enough. */
const MAX_CUTS = 4;
/** When there are more than allowed by a tenth, descriptors may run out before anything else: then it is done faster. */
const HURRY = 10;
/** Whoever has just come has not had the time to ask. */
const FRESH_MS = 1_000;
/** A client may take this many times as long over taking anything of its answer as over its request. */
const UNREAD_FACTOR = 4;
/** After a pause of the whole process nobody is blamed for what the process has not read yet. */
const PAUSE_MS = 1_000;
const CALM_MS = 2_000;

/** Something else that has a descriptor: a file, an engine, another listener. */
interface Foreign {
  readonly identity: number;
  readonly source: null;
}

const FAREWELLS: Readonly<Record<CutReason, string | null>> = {
  silent: null,
  slow_request: '408 Request Timeout',
  unread_answer: null,
  address_limit: '429 Too Many Requests',
  total_limit: '503 Service Unavailable',
};

export function createWatch(options: WatchOptions): Watch {
  const { sockets, visitServed, onCut, bucketOf } = options;
  const farewells = new Map<CutReason, Uint8Array | null>(
    CUT_REASONS.map((reason) => [reason, farewellOf(FAREWELLS[reason])]),
  );
  let entries: (Connection | Foreign | undefined)[] = [];
  const sources = new Map<string, Source>();
  let open = 0;
  let cursor = 0;
  let bound = 0;
  let haste = 1;
  let ports: ReadonlySet<number> = new Set();
  /** Those that are too many. */
  let surplus: { readonly connection: Connection; readonly reason: CutReason }[] = [];
  let lastStepMs: number | null = null;
  let calmUntilMs = Number.NEGATIVE_INFINITY;

  function forget(descriptor: number): void {
    const entry = entries[descriptor];
    entries[descriptor] = undefined;
    if (!(entry instanceof Connection)) return;
    open--;
    entry.source.open--;
    if (entry.source.open === 0) sources.delete(entry.source.bucket);
  }

  /** The connection behind a descriptor, or null for anything else. */
  function meet(descriptor: number, nowMs: number, limits: Limits): Connection | null {
    const identity = sockets.identify(descriptor);
    const known = entries[descriptor];
    if (known !== undefined) {
      if (known.identity === identity) return known.source === null ? null : known;
      forget(descriptor);
    }
    if (identity === 0) return null;
    const ends = sockets.endsOf(descriptor);
    if (ends === null || !ports.has(ends.localPort)) {
      entries[descriptor] = { identity, source: null };
      return null;
    }
    const client = options.clientOf(ends);
    // Whoever is to say it has a time of its own for that. Nobody is blamed meanwhile.
    if (client === null) return null;
    const { address, port: peerPort } = client;
    const bucket = bucketOf(address);
    const source = sources.get(bucket) ?? { bucket, address, open: 0 };
    sources.set(bucket, source);
    const isPlain = !options.frontPorts().includes(ends.localPort);
    const from = { address, peerPort, source, isPlain };
    const connection = new Connection({ descriptor, identity }, from, nowMs, nowMs + limits.headerTimeoutMs);
    entries[descriptor] = connection;
    open++;
    source.open++;
    return connection;
  }

  function beginPass(): void {
    const now = options.ports();
    // What was none of ours may have come to a port that is ours since.
    if (now.length !== ports.size || now.some((port) => !ports.has(port))) {
      ports = new Set(now);
      entries = entries.map((entry) => (entry?.source === null ? undefined : entry));
    }
    bound = sockets.bound();
    haste = open > 1.1 * options.maxOpen() ? HURRY : 1;
  }

  /** Those of `connections` on whose requests nobody works. */
  function unserved(connections: readonly Connection[], nowMs: number): Connection[] {
    const byPort = new Map<number, Connection[]>();
    for (const connection of connections) {
      if (!options.mayServe(connection.peerPort)) continue;
      const same = byPort.get(connection.peerPort);
      if (same === undefined) byPort.set(connection.peerPort, [connection]);
      else same.push(connection);
    }
    if (byPort.size === 0) return [...connections];
    const served = new Set<Connection>();
    visitServed((address, port) => {
      // A listener on :: sees IPv4 clients as ::ffff:192.0.2.1.
      for (const connection of byPort.get(port) ?? [])
        if (connection.address === parseIp(address)) served.add(connection);
    });
    for (const connection of served) connection.isServed(nowMs);
    return connections.filter((connection) => !served.has(connection));
  }

  /** Looks at what has passed. False when it is over or somebody else has its descriptor. */
  function look(connection: Connection, nowMs: number, limits: Limits): boolean {
    const { descriptor, identity } = connection;
    if (sockets.identify(descriptor) !== identity) return false;
    const passed = sockets.passed(descriptor);
    if (passed === null) return false;
    connection.see(passed, nowMs);
    connection.dueMs = dueOf(connection, nowMs, limits);
    return true;
  }

  function cut(connection: Connection, reason: CutReason): void {
    // Words are only for those who are about to read some.
    const { descriptor, isBegun, isPlain } = connection;
    sockets.cut(descriptor, isBegun && isPlain ? (farewells.get(reason) ?? null) : null);
    onCut(reason, connection);
    forget(connection.descriptor);
  }

  /** Cuts those that are late, unless somebody works on their request. */
  function endLate(late: readonly Connection[], nowMs: number, limits: Limits): void {
    const doomed = new Set(unserved(late, nowMs));
    for (const connection of late) {
      if (doomed.has(connection)) cut(connection, reasonFor(connection));
      else connection.dueMs = dueOf(connection, nowMs, limits);
    }
  }

  function endSurplus(nowMs: number, limits: Limits): void {
    const now = surplus.splice(0, MAX_CUTS * haste).filter(({ connection }) => {
      const { state } = connection;
      // What has moved since it was chosen is not the worst any more.
      return look(connection, nowMs, limits) && connection.state === state;
    });
    const connections = now.map(({ connection }) => connection);
    const doomed = new Set(unserved(connections, nowMs));
    for (const { connection, reason } of now) if (doomed.has(connection)) cut(connection, reason);
  }

  /** Chooses those that are more than one source, or all together, may have. */
  function choose(nowMs: number, limits: Limits): void {
    surplus = [];
    const excess = open - options.maxOpen();
    const crowded = crowdedSources(limits);
    if (excess <= 0 && crowded.size === 0) return;
    const all = entries.filter((entry): entry is Connection => entry instanceof Connection);
    const isOld = ({ state, sinceMs }: Connection) => state === 'idle' || nowMs - sinceMs >= FRESH_MS;
    const chosen = new Set<Connection>();
    // Whoever has a request under way does not count against its source.
    const ofCrowded = Map.groupBy(
      unserved(crowded.size === 0 ? [] : all.filter(({ source }) => crowded.has(source)), nowMs),
      ({ source }) => source,
    );
    for (const [source, own] of ofCrowded) {
      for (const connection of worstOf(own.filter(isOld), own.length - options.maxFrom(source, limits))) {
        chosen.add(connection);
        surplus.push({ connection, reason: 'address_limit' });
      }
    }
    const others = excess > chosen.size ? all.filter((each) => !chosen.has(each) && isOld(each)) : [];
    for (const connection of worstOf(others, excess - chosen.size))
      surplus.push({ connection, reason: 'total_limit' });
  }

  function crowdedSources(limits: Limits): Set<Source> {
    const crowded = new Set<Source>();
    let trusted: IpSet | null = null;
    for (const source of sources.values()) {
      if (source.open <= options.maxFrom(source, limits)) continue;
      trusted ??= options.trusted();
      if (!trusted.has(source.address) && !limits.isExempt(source.address)) crowded.add(source);
    }
    return crowded;
  }

  return {
    step(nowMs) {
      const limits = options.limits();
      if (limits === null) {
        for (let descriptor = 0; descriptor < entries.length; descriptor++) forget(descriptor);
        entries = [];
        cursor = 0;
        lastStepMs = null;
        return STEP_MS;
      }
      if (lastStepMs !== null && nowMs - lastStepMs > PAUSE_MS) calmUntilMs = nowMs + CALM_MS;
      lastStepMs = nowMs;
      const isCalm = nowMs < calmUntilMs;
      if (cursor === 0) beginPass();
      const isLarge = bound > SMALL_TABLE;
      const end = Math.min(bound, cursor + (isLarge ? LARGE_SLICE * haste : SMALL_SLICE));
      const late: Connection[] = [];
      for (let looks = 0; cursor < end; cursor++) {
        const connection = meet(cursor, nowMs, limits);
        if (connection === null || nowMs < connection.dueMs || isCalm) continue;
        // Those beyond remain due, for the next time round.
        if (looks++ >= MAX_LOOKS || late.length >= MAX_CUTS * haste) continue;
        if (look(connection, nowMs, limits) && isLate(connection, nowMs, limits)) late.push(connection);
      }
      endLate(late, nowMs, limits);
      if (cursor >= bound) {
        cursor = 0;
        choose(nowMs, limits);
      }
      if (!isCalm) endSurplus(nowMs, limits);
      return isLarge ? LARGE_STEP_MS : STEP_MS;
    },
    open: () => open,
  };
}

/** How long it may remain in its state. */
function patienceMs(state: State, { headerTimeoutMs }: Limits): number {
  if (state === 'waiting') return headerTimeoutMs;
  return state === 'blocked' ? UNREAD_FACTOR * headerTimeoutMs : Number.POSITIVE_INFINITY;
}

function isLate({ state, sinceMs }: Connection, nowMs: number, limits: Limits): boolean {
  return nowMs - sinceMs >= patienceMs(state, limits);
}

function dueOf({ state, sinceMs }: Connection, nowMs: number, limits: Limits): number {
  // Looked at in between, to see when an idle one begins a request.
  return Math.min(sinceMs + patienceMs(state, limits), nowMs + limits.headerTimeoutMs / 2);
}

function reasonFor({ state, isBegun, isPlain }: Connection): CutReason {
  if (state === 'blocked') return 'unread_answer';
  // The bytes of a handshake look like those of a request, and browsers shake hands ahead of need: nobody is blamed for it.
  return isBegun && isPlain ? 'slow_request' : 'silent';
}

/**
 * The `count` worst: first those who have not finished a request, the slowest first, then those who have nothing to ask.
 * Thousands are gone through twice a second, so they are not sorted.
 */
function worstOf(connections: readonly Connection[], count: number): Connection[] {
  if (count <= 0) return [];
  const rankOf = ({ state, sinceMs }: Connection) => (state === 'idle' ? AFTER_ALL_OTHERS : 0) + sinceMs;
  const ranks = new Float64Array(connections.length);
  for (const [index, connection] of connections.entries()) ranks[index] = rankOf(connection);
  ranks.sort();
  const last = ranks[Math.min(count, ranks.length) - 1] ?? 0;
  return connections.filter((connection) => rankOf(connection) <= last).slice(0, count);
}

/** More milliseconds than any machine runs. */
const AFTER_ALL_OTHERS = 1e15;

function farewellOf(status: string | null): Uint8Array | null {
  if (status === null) return null;
  return new TextEncoder().encode(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}
