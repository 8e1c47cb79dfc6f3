/**
 * What stands before every admin request, in this order: whose page sent it, which method, who asks, how large the body is,
 * whether it was answered before. Past this file a request has a principal and an actor, and its body is in memory.
 */
import type { Principal } from '../contract';
import { type Actor, actingAs } from '../lib/actor';
import { FlmError } from '../lib/errors';
import { newId } from '../lib/ids';
import type { Log } from '../lib/log';
import { SECURITY_HEADERS } from '../lib/security-headers';
import { formatTraceparent, newSpanId, newTraceparent, parseTraceparent } from '../lib/trace';
import { readCookie } from './cookie';
import { adminError } from './errors';
import type { Idempotency } from './idempotency';
import { readBody, requireShallow } from './request-body';
import { checkHost, checkOrigin } from './same-origin';
import { OWNER } from './scopes';
import type { Sessions } from './sessions';

/** By which door a request came. */
export type Door =
  /** The unix socket, which only the owner can open. */
  | { readonly via: 'socket' }
  /** The loopback port. */
  | { readonly via: 'tcp'; readonly port: number; readonly ip: string | null };

export interface EdgeOptions {
  /** Answers what the edge lets through; errors come back as answers. */
  readonly routes: (request: Request, principal: Principal | null) => Promise<Response>;
  /** Answers `/swagger` and what lies under it. */
  readonly pages: (path: string) => Promise<Response | null>;
  /** The methods of a path, or null when there is nothing. */
  readonly methodsAt: (path: string) => readonly string[] | null;
  readonly sessions: Pick<Sessions, 'identify' | 'onClosed' | 'list'>;
  readonly idempotency: Idempotency;
  readonly log: Log;
}

export interface AdminEdge {
  /** Answers one request. `onBody` is told when its body has arrived: what comes now may take long. */
  fetch(request: Request, door: Door, onBody?: () => void): Promise<Response>;
  /** Ends what is under way for sessions whose time is over. */
  endExpired(): Promise<void>;
}

/** A request with what the edge has found out about it. */
interface Incoming {
  readonly request: Request;
  readonly url: URL;
  readonly door: Door;
  readonly onBody: () => void;
}

const MAX_BODY_BYTES = 1_048_576;
/** A token and little else. */
const MAX_ANONYMOUS_BYTES = 4_096;
/** The one operation for people whom nobody knows yet. */
const OPENS_SESSION = 'POST /api/v1/session';
/** Statuses of bodies that were given up. */
const CUT_SHORT: ReadonlySet<number> = new Set([408, 413]);
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createAdminEdge(options: EdgeOptions): AdminEdge {
  const { routes, pages, methodsAt, sessions, idempotency, log } = options;
  /** By session: what of it is under way is ended with it. */
  const endings = new Map<string, AbortController>();
  sessions.onClosed((id) => {
    endings.get(id)?.abort(new FlmError('UNAUTHENTICATED'));
    endings.delete(id);
  });

  async function answer({ request, url, door, onBody }: Incoming, actor: Actor): Promise<Response> {
    if (door.via === 'tcp') {
      checkHost(request, door.port);
      checkOrigin(request, url);
    }
    const path = url.pathname;
    const page = READING.has(request.method) ? await pageAt(path) : null;
    if (page !== null) return page;
    const opensSession = `${request.method} ${path}` === OPENS_SESSION;
    const principal = opensSession ? null : await principalOf(request, door);
    const allowed = methodsAt(path);
    if (allowed === null) throw new FlmError('NOT_FOUND', { meta: { path } });
    if (request.method === 'OPTIONS')
      return new Response(null, { status: 204, headers: { allow: allowed.join(', ') } });
    if (!allowed.includes(request.method)) {
      const method = request.method.slice(0, 20);
      throw new FlmError('METHOD_NOT_ALLOWED', { meta: { path, method, allow: allowed.join(', ') } });
    }
    const body = await readBody(request, principal === null ? MAX_ANONYMOUS_BYTES : MAX_BODY_BYTES);
    onBody();
    requireShallow(body);
    const inner = innerRequest(request, url, body, signalFor(request, principal));
    if (principal === null) return routes(inner, null);
    const work = () =>
      actingAs({ ...actor, kind: principal.kind, id: principal.id }, () => routes(inner, principal));
    const key = request.headers.get('idempotency-key');
    if (key === null || READING.has(request.method)) return work();
    const change = { method: request.method, path, query: url.searchParams, principalId: principal.id, body };
    return idempotency.run(key, change, work);
  }

  /** Aborts when the client leaves, and when the session ends by which it came. */
  function signalFor(request: Request, principal: Principal | null): AbortSignal {
    if (principal === null || principal.id === 'owner') return request.signal;
    const ending = endings.get(principal.id) ?? new AbortController();
    endings.set(principal.id, ending);
    return AbortSignal.any([request.signal, ending.signal]);
  }

  async function pageAt(path: string): Promise<Response | null> {
    // Constant: whoever watches over FLM learns that this process answers, and nothing else.
    if (path === '/health' || path === '/ready') return Response.json({ status: 'ok' });
    return path.startsWith('/swagger') ? pages(path) : null;
  }

  /** @throws UNAUTHENTICATED, ADMIN_LOCKED, ORIGIN_REFUSED */
  async function principalOf(request: Request, door: Door): Promise<Principal> {
    if (door.via === 'socket') return OWNER;
    const bearer = /^Bearer +(\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    if (bearer !== undefined) return sessions.identify(bearer);
    const cookie = readCookie(request.headers.get('cookie'));
    if (cookie === null) throw new FlmError('UNAUTHENTICATED');
    const principal = await sessions.identify(cookie);
    if (!READING.has(request.method)) requireOwnPage(request);
    return principal;
  }

  return {
    async endExpired() {
      if (endings.size === 0) return;
      const open = new Set((await sessions.list()).items.map(({ id }) => id));
      for (const [id, ending] of endings) {
        if (open.has(id)) continue;
        endings.delete(id);
        ending.abort(new FlmError('UNAUTHENTICATED'));
      }
    },

    async fetch(request, door, onBody = () => {}) {
      const requestId = newId();
      const trace = parseTraceparent(request.headers.get('traceparent')) ?? newTraceparent(requestId);
      const { traceId } = trace;
      const ip = door.via === 'tcp' ? door.ip : null;
      const actor: Actor = { kind: 'anonymous', id: 'anonymous', via: door.via, requestId, traceId, ip };
      const response = await actingAs(actor, async () => {
        try {
          // A malformed Host leaves the path alone for a URL, or makes one that is none (design §5).
          const url = /^https?:\/\//.test(request.url) ? URL.parse(request.url) : null;
          if (url === null)
            throw new FlmError('INVALID_REQUEST', { meta: { reason: 'its target is not a path' } });
          return await answer({ request, url, door, onBody }, actor);
        } catch (error) {
          return adminError(error, requestId, log);
        }
      });
      const { headers } = response;
      headers.set('x-request-id', requestId);
      headers.set('traceparent', formatTraceparent({ ...trace, spanId: newSpanId() }));
      // Pages have a policy of their own.
      for (const [name, value] of Object.entries(SECURITY_HEADERS))
        if (!headers.has(name)) headers.set(name, value);
      if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
      // The rest of a refused body is not worth waiting for.
      const isCutShort = CUT_SHORT.has(response.status) || !request.bodyUsed;
      if (response.status >= 400 && request.body !== null && isCutShort) headers.set('connection', 'close');
      return request.method === 'HEAD' ? new Response(null, { status: response.status, headers }) : response;
    },
  };
}

/** Cookies go along with what any page of this machine sends, SameSite or not: only pages of ours may change something. */
function requireOwnPage({ headers }: Request): void {
  // Where there is an Origin, it was held against our own before.
  if (headers.get('origin') !== null || headers.get('sec-fetch-site') === 'same-origin') return;
  throw new FlmError('ORIGIN_REFUSED', { meta: { reason: 'nothing says which page sent this' } });
}

/** What the routes see: the same request with its body in memory, under a host that their router can read. */
function innerRequest({ method, headers }: Request, url: URL, body: string, signal: AbortSignal): Request {
  return new Request(`http://localhost${url.pathname}${url.search}`, {
    method: method === 'HEAD' ? 'GET' : method,
    headers,
    signal,
    ...(body === '' ? {} : { body }),
  });
}
