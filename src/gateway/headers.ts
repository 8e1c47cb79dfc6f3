/** Which headers travel in which direction. Both ways are lists of what passes or what never does; see design §5. */
import type { EgressHeaders } from '../egress';
import { SECURITY_HEADERS } from '../lib/security-headers';

/**
 * Request headers that reach an engine. Everything else stays here: hop-by-hop headers break pooling and framing,
 * credentials and cookies are FLM's business, and addresses of clients are nobody's.
 */
const FORWARDED = ['accept', 'x-request-id'];

/** The headers of a request to an engine; `more` are those that its API knows beside these (Dialect). */
export function engineHeaders(request: Request, more: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': mediaType(request.headers.get('content-type')),
    // The answer is read along; a compressed one could not be.
    'accept-encoding': 'identity',
    'user-agent': 'flm',
  };
  for (const name of FORWARDED) forward(request, name, headers);
  for (const name of more) forward(request, name, headers);
  return headers;
}

/**
 * What the body is said to be, without parameters: FLM has read it as UTF-8, and an engine that believed another charset
 * would read something else.
 */
function mediaType(value: string | null): string {
  if (value === null || value === 'application/json') return 'application/json';
  const type = value.split(';', 1)[0]?.trim() ?? '';
  return MEDIA_TYPE.test(type) ? type : 'application/json';
}

/** RFC 9110 §8.3.1, one of them. */
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+$/;

function forward(request: Request, name: string, headers: Record<string, string>): void {
  const value = request.headers.get(name);
  if (value !== null) headers[name] = value;
}

/** Response headers of an engine that end here: of one connection (RFC 9110 §7.6.1), or FLM's own to say. */
const NOT_RELAYED = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length', // the runtime counts what is really sent
  'date',
  'server',
  'set-cookie', // an engine has no session with FLM's clients
  'strict-transport-security',
  'alt-svc',
  'x-request-id',
  'x-flm-engine', // an engine may be another FLM
]);

/** The headers of a relayed answer: the engine's, and which request and engine this was. */
export function relayedHeaders(
  from: EgressHeaders,
  requestId: string,
  engineId: string,
): Record<string, string> {
  const headers: Record<string, string> = {
    'x-request-id': requestId,
    server: 'flm',
    'x-flm-engine': engineId,
  };
  const named = namedInConnection(from.get('connection'));
  for (const [name, value] of from) {
    // Who may read answers across origins is decided by FLM, not by the engine behind it.
    if (NOT_RELAYED.has(name) || named.has(name) || name.startsWith('access-control-')) continue;
    // An engine may call a header "constructor".
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

const NONE: ReadonlySet<string> = new Set();

function namedInConnection(connection: string | null): ReadonlySet<string> {
  if (connection === null) return NONE;
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
}

/** The headers of an answer that FLM itself gives (FLM-084). Made anew each time: callers add to it. */
export function ownHeaders(requestId: string): Record<string, string> {
  return { 'x-request-id': requestId, server: 'flm', ...SECURITY_HEADERS };
}
