/**
 * The edge: a plain fetch wrapper around the routes that refuses what no route should see. The runtime hands over
 * requests with a bare path for a URL, two Hosts joined by a comma, and any method (design §5); past this file a request
 * has one Host, an absolute URL and a method some route could have.
 */
import type { ConfigSnapshot } from '../config';
import type { ClientCertificate, Clock, Entrant, Screen, Visit } from '../contract';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import { hostIn, isLocalName } from '../lib/host';
import { newId } from '../lib/ids';
import { clientIp, parseIpSet } from '../lib/ip';
import type { Log } from '../lib/log';
import type { Cors } from './cors';
import { errorResponse } from './errors';
import { ownHeaders } from './headers';
import { NOBODY, type Peer, type PeerPorts } from './peers';
import { showQuota } from './quota';
import { RequestRecord } from './record';
import type { Tracing } from './tracing';

/**
 * `open`: serves. `leaving`: serves too, but closes each connection after its answer, since another process takes the next
 * ones. `draining`: FLM stops, and nobody new is served.
 */
export type Stance = 'open' | 'leaving' | 'draining';

/** The way in through one listener. Requests that came through it are known by it. */
export interface Door {
  stance: Stance;
  /** Whether clients speak TLS there. */
  readonly isTls?: boolean;
  /** Reverse proxies of this listener, besides those of the settings. */
  readonly trustedProxies?: readonly string[];
}

/** What the edge knows of a request before any route sees it. */
export interface RequestContext extends Visit, Entrant {
  readonly id: string;
  readonly ip: string;
  /** What will be told of it once it is over. */
  readonly record: RequestRecord;
  /** The other end of the connection: the client's, or that of a proxy in between. */
  readonly peer: Peer;
  readonly door: Door;
  /** Switches off the runtime's idle time-out for this connection: engines think for minutes. */
  readonly keepOpen: () => void;
}

/** The part of Bun's server that the edge uses. */
export interface Connection {
  requestIP(request: Request): Peer | null;
  timeout(request: Request, seconds: number): void;
  /** What the client has shown in its handshake, verified. */
  readonly clientCertificate?: ClientCertificate | null;
}

export interface EdgeOptions {
  /** Answers what the edge lets through. A route that throws has its error rendered by `failed`. */
  readonly screen: Screen;
  readonly cors: Cors;
  readonly routes: (context: RequestContext) => Response | Promise<Response>;
  readonly config: () => ConfigSnapshot;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  /** Null where FLM keeps no traces. */
  readonly tracing: Tracing | null;
  /** Requests that are under way, streams until their last byte; `fetch` alone only sees them begin. */
  readonly busy: () => number;
  /** Whether the listener is on loopback, where Host is the only thing that stands between web pages and FLM. */
  readonly loopback: boolean;
  /** Reverse proxies of this listener, besides those of the settings. */
  readonly trustedProxies?: readonly string[];
  readonly door: Door;
  readonly peerPorts: PeerPorts;
}

export interface Edge {
  fetch(request: Request, connection: Connection): Promise<Response>;
  /** Calls `visit` for the other end of the connection of each request that has no answer yet. */
  visitPeers(visit: (address: string, port: number) => void): void;
}

/** Paths by which others learn that FLM is stopping. */
const PROBES = /^https?:\/\/[^/]+\/(?:health|ready)(?:\?|$)/;

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** The runtime reads the rest of a refused body before the next request; more than this is not worth reading. */
const SWALLOW_BYTES = 1024 * 1024;

export function createEdge(options: EdgeOptions): Edge {
  const {
    screen,
    cors,
    routes,
    config,
    clock,
    bus,
    log,
    busy,
    loopback,
    tracing,
    door,
    peerPorts,
    trustedProxies: own = [],
  } = options;
  let active = 0;
  const unanswered = new Set<Peer>();
  let trustedNames: readonly string[] = [];
  let trusted = parseIpSet(own);
  let goodHost: string | null = null;
  let goodNames: readonly string[] = [];

  /**
   * Whom proxies say that they ask for; null where there are none. `X-Real-IP` counts where there is no `X-Forwarded-For`
   * (FLM-086), `Forwarded` never: a proxy that is not told to set it passes on whatever a client says there.
   */
  function forwardedFor({ headers }: Request): string | null {
    const names = config()['proxy.trusted_proxies'];
    // The list is parsed again only when it is another one.
    if (names !== trustedNames) {
      trustedNames = names;
      trusted = parseIpSet([...own, ...names]);
    }
    if (own.length === 0 && names.length === 0) return null;
    return headers.get('x-forwarded-for') ?? headers.get('x-real-ip');
  }

  function contextFor(request: Request, connection: Connection): RequestContext {
    const id = newId();
    // Later the connection may be gone, and its address with it.
    const peer = connection.requestIP(request) ?? NOBODY;
    const ip = clientIp(peer.address, forwardedFor(request), trusted);
    const certificate = connection.clientCertificate ?? null;
    const record = new RequestRecord(id, request, ip, clock, bus, tracing);
    record.certificate = certificate?.fingerprint ?? null;
    return {
      request,
      id,
      ip,
      quota: null,
      certificate,
      record,
      peer,
      door,
      keepOpen: () => connection.timeout(request, 0),
    };
  }

  function refuse(request: Request): void {
    if (!METHODS.has(request.method)) {
      throw new FlmError('METHOD_NOT_ALLOWED', {
        meta: { method: request.method.slice(0, 20), path: 'FLM', allow: [...METHODS].join(', ') },
      });
    }
    const host = request.headers.get('host') ?? '';
    const names = config()['proxy.allowed_hosts'];
    // Clients send the same Host again and again: it is taken apart when it is another one.
    if (host !== goodHost || names !== goodNames) {
      checkHost(host, loopback ? names : null);
      goodHost = host;
      goodNames = names;
    }
    if (!/^https?:\/\//.test(request.url)) {
      throw new FlmError('INVALID_REQUEST', { meta: { reason: 'its target is not a path' } });
    }
  }

  async function answer(context: RequestContext): Promise<Response> {
    active++;
    try {
      const limit = config()['proxy.max_connections'];
      if (active > limit || busy() >= limit)
        throw new FlmError('TOO_MANY_REQUESTS_OPEN', { meta: { limit, retryAfterSeconds: 1 } });
      refuse(context.request);
      if (door.stance === 'draining' && !PROBES.test(context.request.url))
        throw new FlmError('SHUTTING_DOWN', { meta: { retryAfterSeconds: 1 } });
      screen.arrive(context);
      // Before authentication: browsers send no credentials with a preflight.
      if (context.request.method === 'OPTIONS') {
        const headers = { ...ownHeaders(context.id), ...cors.preflight(context.request) };
        return new Response(null, { status: 204, headers });
      }
      cors.admit(context.request);
      return await routes(context);
    } catch (error) {
      return failed(error, context, log);
    } finally {
      active--;
    }
  }

  return {
    async fetch(request, connection) {
      const context = contextFor(request, connection);
      const { peer } = context;
      unanswered.add(peer);
      peerPorts.add(peer.port);
      try {
        const response = await answer(context);
        if (context.record.principalId === null) await screen.hold(context, response.status);
        if (context.quota !== null) showQuota(response.headers, context.quota, clock.nowMs());
        cors.mark(request, response);
        if (door.stance !== 'open') response.headers.set('connection', 'close');
        context.record.answered(response.status);
        return response;
      } finally {
        unanswered.delete(peer);
        peerPorts.remove(peer.port);
      }
    },
    visitPeers(visit) {
      for (const { address, port } of unanswered) visit(address, port);
    },
  };
}

/** The answer to a request that failed in a route or before one. Closes the connection rather than read a large body. */
export function failed(error: unknown, { request, id, record }: RequestContext, log: Log): Response {
  record.failed(error);
  // What is FLM's own fault is an error; that an engine fails or lacks something is news.
  if (!(error instanceof FlmError) || error.exit === 2)
    log.error('a request failed', { requestId: id, error });
  else if (error.status >= 500)
    log.info('a request was refused', { requestId: id, code: error.code, reason: error.message });
  const response = errorResponse(error, id, request);
  const isSlow = error instanceof FlmError && error.code === 'BODY_TOO_SLOW';
  // After a CONNECT the runtime takes whatever comes for the tunnel's, and answers nothing.
  if (isSlow || hasLargeBody(request) || request.method === 'CONNECT')
    response.headers.set('connection', 'close');
  return response;
}

/** @throws INVALID_REQUEST when it is not one host; HOST_NOT_ALLOWED when `allowed` (null = any) does not hold it. */
function checkHost(header: string, allowed: readonly string[] | null): void {
  const host = hostIn(header);
  if (host === null) {
    throw new FlmError('INVALID_REQUEST', { meta: { reason: 'its Host header is not one host name' } });
  }
  if (allowed !== null && !isLocalName(host) && !allowed.includes(host)) {
    throw new FlmError('HOST_NOT_ALLOWED', { meta: { host } });
  }
}

/** Whether a failed request may have more body to come than is worth swallowing. How much has come, nobody tells. */
function hasLargeBody(request: Request): boolean {
  if (request.body === null) return false;
  const length = request.headers.get('content-length');
  return length === null || Number(length) > SWALLOW_BYTES;
}
