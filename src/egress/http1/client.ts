/**
 * FLM's own HTTP/1.1 client for engines on plain HTTP and for unix sockets: a pool of connections per place. It exists
 * because fetch is most of what relaying costs (ADR 0005), and because it knows what fetch does not tell: whether a
 * connection was a used one, so that only a request the engine never saw is sent again.
 */
import type { Cancel } from '../../contract';
import { EgressError, translateFailure } from '../errors';
import type { EgressRequest, EgressResponse } from '../transport';
import { Connection, type Place, StaleConnection } from './connection';

export interface Http1Client {
  /** @throws EgressError; the signal's reason when it aborts. */
  send(request: EgressRequest): Promise<EgressResponse>;
  /** Closes idle connections; those in use close when they are done. */
  close(): void;
}

/** Engines close idle connections after five seconds (vLLM, llama.cpp): FLM does so first. */
const IDLE_MS = 4_000;
/** How long to wait for a host that does not answer at all. */
const CONNECT_TIMEOUT_MS = 10_000;

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

export function createHttp1Client(monotonicMs: () => number): Http1Client {
  const pools = new Map<string, Idle[]>();
  const origins = new Map<string, Origin>();
  let sweeper: ReturnType<typeof setTimeout> | null = null;

  function takeIdle(key: string): Connection | null {
    // The one used last is the likeliest to be alive.
    const idle = pools.get(key)?.pop();
    if (idle === undefined) return null;
    if (monotonicMs() - idle.sinceMs < IDLE_MS) return idle.connection;
    idle.connection.close(null);
    return takeIdle(key);
  }

  function createConnection(key: string): Connection {
    return new Connection({
      onIdle(connection) {
        const pool = pools.get(key);
        const idle = { connection, sinceMs: monotonicMs() };
        if (pool === undefined) pools.set(key, [idle]);
        else pool.push(idle);
        sweeper ??= startSweeper();
      },
      onClosed(connection) {
        const pool = pools.get(key);
        const index = pool?.findIndex((idle) => idle.connection === connection) ?? -1;
        if (index !== -1) pool?.splice(index, 1);
      },
    });
  }

  function startSweeper(): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      sweeper = null;
      const oldestMs = monotonicMs() - IDLE_MS;
      for (const [key, pool] of pools) {
        for (const idle of pool.filter(({ sinceMs }) => sinceMs <= oldestMs)) idle.connection.close(null);
        if (pool.length === 0) pools.delete(key);
      }
      if (pools.size > 0) sweeper = startSweeper();
    }, IDLE_MS);
    timer.unref();
    return timer;
  }

  async function connect({ key, place }: Origin, signal: Cancel | null): Promise<Connection> {
    const connection = createConnection(key);
    const timer = setTimeout(() => {
      connection.close(new EgressError('timeout', 'it did not accept the connection in time'));
    }, CONNECT_TIMEOUT_MS);
    try {
      await connection.open(place, signal);
      return connection;
    } finally {
      clearTimeout(timer);
    }
  }

  function originFor(url: string, pathStart: number, unixSocket: string | undefined): Origin {
    const key = unixSocket ?? url.slice(0, pathStart);
    let origin = origins.get(key);
    if (origin === undefined) {
      const { hostname, host, port } = new URL(url);
      const place: Place =
        unixSocket === undefined
          ? { hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? 80 : Number(port) }
          : { unix: unixSocket };
      origin = { key, place, host };
      origins.set(key, origin);
    }
    return origin;
  }

  return {
    async send(request) {
      const { url, signal } = request;
      if (signal?.aborted) throw signal.reason;
      const pathStart = url.indexOf('/', 'http://'.length);
      const origin = originFor(url, pathStart, request.unixSocket);
      const bytes = serialize(request, pathStart === -1 ? '/' : url.slice(pathStart), origin.host);
      const used = takeIdle(origin.key);
      if (used !== null) {
        try {
          return await used.send(bytes, signal);
        } catch (error) {
          if (!(error instanceof StaleConnection)) throw translateFailure(error, signal);
        }
      }
      const connection = await connect(origin, signal);
      return connection.send(bytes, signal);
    },

    close() {
      if (sweeper !== null) clearTimeout(sweeper);
      for (const pool of pools.values()) for (const { connection } of [...pool]) connection.close(null);
      pools.clear();
    },
  };
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
  head += '\r\n';
  if (body === null) return head;
  if (typeof body === 'string' && ASCII.test(head)) return head + body;
  return Buffer.concat([Buffer.from(head, 'latin1'), typeof body === 'string' ? Buffer.from(body) : body]);
}

/** RFC 9110 §5.5, with Latin-1 as it may come from a client. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const ASCII = /^[\t\r\n\x20-\x7e]*$/;
