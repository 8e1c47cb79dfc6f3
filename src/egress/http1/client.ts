/**
 * FLM's own HTTP/1.1 client for engines on plain HTTP, for unix sockets, and for everything that goes through a tunnel: a
 * pool of connections per place. It exists because fetch is most of what relaying costs (ADR 0005), and because it knows
 * what fetch does not tell: whether a connection was a used one, so that only a request the engine never saw is sent again.
 */
import type { Cancel } from '../../contract';
import { EgressError, translateFailure } from '../errors';
import type { EgressRequest, EgressResponse } from '../transport';
import { Connection, type Dial, type Place, StaleConnection } from './connection';

export interface Http1Client {
  /** @throws EgressError; the signal's reason when it aborts. */
  send(request: EgressRequest): Promise<EgressResponse>;
  /** Closes idle connections; those in use close when they are done. */
  close(): void;
}

export interface Http1Limits {
  /** How long an idle connection is used again. Engines close theirs after five seconds (vLLM, llama.cpp): FLM is first. */
  readonly idleMs: number;
  /** How long to wait for a host that does not answer at all. */
  readonly connectTimeoutMs: number;
}

/** Where a request through a tunnel is to end up. */
export interface Destination {
  /** A name, or an address without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** The name its certificate has to be for; null: it speaks plain HTTP. */
  readonly tlsName: string | null;
  /** What it is asked for. Nothing else shares its connections. */
  readonly purpose: string;
}

/** Makes the way to a destination. With one, the client speaks HTTPS too. */
export type Dialer = (destination: Destination) => Dial;

const LIMITS: Http1Limits = { idleMs: 4_000, connectTimeoutMs: 10_000 };
/**
 * A connection that the engine had closed breaks as soon as something is sent. One that breaks later carried the
 * request to an engine that then fell over its work: asking for it again is for the caller to decide.
 */
const STALE_MS = 1_000;
/** Places whose URL is not parsed again; more than any owner has, and a bound on what image URLs of clients leave. */
const MAX_ORIGINS = 1_000;

interface Idle {
  readonly connection: Connection;
  readonly sinceMs: number;
}

interface Origin {
  readonly key: string;
  readonly place: Place;
  /** The value of Host. */
  readonly host: string;
}

export function createHttp1Client(
  monotonicMs: () => number,
  limits: Http1Limits = LIMITS,
  dialer: Dialer | null = null,
): Http1Client {
  const pools = new Map<string, Idle[]>();
  const origins = new Map<string, Origin>();
  let sweeper: ReturnType<typeof setTimeout> | null = null;
  let closed = false;

  /** One that can be used, or null. Those the other side has closed are dropped here. */
  function takeIdle(key: string): Connection | null {
    const pool = pools.get(key);
    if (pool === undefined) return null;
    // The one used last is the likeliest to be alive.
    for (let idle = pool.pop(); idle !== undefined; idle = pool.pop()) {
      if (idle.connection.closed) continue;
      if (monotonicMs() - idle.sinceMs < limits.idleMs) return idle.connection;
      idle.connection.close(null);
    }
    return null;
  }

  function keepIdle(key: string, connection: Connection): void {
    if (closed) {
      connection.close(null);
      return;
    }
    const pool = pools.get(key);
    const idle = { connection, sinceMs: monotonicMs() };
    if (pool === undefined) pools.set(key, [idle]);
    else pool.push(idle);
    sweeper ??= startSweeper();
  }

  function startSweeper(): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      const oldestMs = monotonicMs() - limits.idleMs;
      for (const [key, pool] of pools) {
        const young = pool.filter(({ connection, sinceMs }) => !connection.closed && sinceMs > oldestMs);
        for (const { connection, sinceMs } of pool) if (sinceMs <= oldestMs) connection.close(null);
        if (young.length > 0) pools.set(key, young);
        else pools.delete(key);
      }
      sweeper = pools.size > 0 ? startSweeper() : null;
    }, limits.idleMs / 4);
    timer.unref();
    return timer;
  }

  async function connect({ key, place }: Origin, signal: Cancel | null): Promise<Connection> {
    const connection = new Connection((idle) => keepIdle(key, idle));
    const timer = setTimeout(() => {
      connection.close(new EgressError('timeout', 'it did not accept the connection in time'));
    }, limits.connectTimeoutMs);
    try {
      await connection.open(place, signal);
      return connection;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Where a URL leads, and what to ask for there. Most need no parsing: they are like one before. */
  function locate(request: EgressRequest): { origin: Origin; target: string } {
    const { url } = request;
    // A host has a character at least, so this finds the path behind https:// too.
    const pathStart = url.indexOf('/', 'https://'.length);
    const target = url.slice(pathStart);
    const known = pathStart === -1 ? undefined : origins.get(keyOf(url.slice(0, pathStart), request));
    if (known !== undefined && TARGET.test(target)) return { origin: known, target };
    const parsed = URL.parse(url);
    const speaks = parsed?.protocol === 'http:' || (parsed?.protocol === 'https:' && dialer !== null);
    if (parsed === null || !speaks) throw new EgressError('other', 'its address is not a URL of plain HTTP');
    const origin = originOf(parsed, request, dialer);
    if (origins.size >= MAX_ORIGINS) origins.clear();
    origins.set(origin.key, origin);
    return { origin, target: parsed.pathname + parsed.search };
  }

  return {
    async send(request) {
      const { signal } = request;
      if (signal?.aborted) throw signal.reason;
      const { origin, target } = locate(request);
      const bytes = serialize(request, target, origin.host);
      const used = takeIdle(origin.key);
      if (used !== null) {
        const sentMs = monotonicMs();
        try {
          return await used.send(bytes, signal);
        } catch (error) {
          const stale = error instanceof StaleConnection && monotonicMs() - sentMs < STALE_MS;
          if (!stale) throw translateFailure(error, signal);
        }
      }
      const connection = await connect(origin, signal);
      return connection.send(bytes, signal);
    },

    close() {
      closed = true;
      if (sweeper !== null) clearTimeout(sweeper);
      for (const pool of pools.values()) for (const { connection } of pool) connection.close(null);
      pools.clear();
    },
  };
}

/** What has to be the same for a connection to be used again. */
function keyOf(start: string, { unixSocket, tlsName, purpose }: EgressRequest): string {
  if (unixSocket === undefined && tlsName === undefined && purpose === undefined) return start;
  return `${unixSocket ?? ''} ${tlsName ?? ''} ${purpose ?? ''} ${start}`;
}

function originOf(parsed: URL, request: EgressRequest, dialer: Dialer | null): Origin {
  return { key: keyOf(parsed.origin, request), place: placeOf(parsed, request, dialer), host: parsed.host };
}

function placeOf(
  { hostname: name, port: text, protocol }: URL,
  { unixSocket, tlsName, purpose = 'engine' }: EgressRequest,
  dialer: Dialer | null,
): Place {
  if (unixSocket !== undefined) return { unix: unixSocket };
  const hostname = name.replace(/^\[(.*)\]$/, '$1');
  const secure = protocol === 'https:';
  const port = text === '' ? (secure ? 443 : 80) : Number(text);
  if (dialer === null) return { hostname, port };
  // Certificates name hosts without the dot that ends a full name.
  const certified = tlsName ?? hostname.replace(/\.$/, '');
  return { dial: dialer({ hostname, port, tlsName: secure ? certified : null, purpose }) };
}

/** The request as it goes over the wire: a string while it is all ASCII before the body, else bytes. */
function serialize(
  { method, headers, body }: EgressRequest,
  target: string,
  host: string,
): string | Uint8Array {
  let head = `${method} ${target} HTTP/1.1\r\nhost: ${headers.host ?? host}\r\n`;
  for (const name in headers) {
    const value = headers[name] ?? '';
    // A line break inside a value would begin a header, or a request, of somebody else's making.
    if (!FIELD_VALUE.test(value))
      throw new EgressError('other', `the header ${name} holds a control character`);
    if (name !== 'host') head += `${name}: ${value}\r\n`;
  }
  if (body !== null)
    head += `content-length: ${typeof body === 'string' ? Buffer.byteLength(body) : body.length}\r\n`;
  // RFC 9110 §8.6: where a body is expected, its absence is said.
  else if (method === 'POST' || method === 'PUT') head += 'content-length: 0\r\n';
  head += '\r\n';
  const content = body ?? '';
  if (typeof content === 'string' && ASCII.test(head)) return head + content;
  return Buffer.concat([
    Buffer.from(head, 'latin1'),
    typeof content === 'string' ? Buffer.from(content) : content,
  ]);
}

/** What needs no escaping in a request target: RFC 3986 §3.3 and §3.4. */
const TARGET = /^[\w\-.~!$&'()*+,;=:@%/?]+$/;
/** RFC 9110 §5.5, with Latin-1 and DEL as they may come from a client. */
const FIELD_VALUE = /^[\t\x20-\xff]*$/;
const ASCII = /^[\t\r\n\x20-\x7f]*$/;
