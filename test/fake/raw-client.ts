/**
 * A client that sends bytes and shows exactly what came back: status line, headers, chunks, and how the
 * connection ended. It forgives nothing and hides nothing, unlike fetch.
 */
import { connect, type Socket } from 'node:net';
import { type Head, type HeaderPair, parseHead, readBody } from './message';

/** What became of the connection: the server closed it (FIN), reset it (RST), left it open, or said nothing in time. */
export type Ending = 'open' | 'fin' | 'reset' | 'timeout';

export interface RawAnswer {
  /** Everything that came, byte for byte, from the status line on. */
  readonly wire: Buffer;
  /** Null when what came is not HTTP. */
  readonly head: Head | null;
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  /** The body without its framing. */
  readonly body: Buffer;
  readonly chunks: readonly Buffer[] | null;
  /** Whether the framing said that the body is all there. */
  readonly complete: boolean;
  readonly ending: Ending;
}

export interface RawConnection {
  send(bytes: string | Uint8Array): void;
  /** Waits for one whole answer, then `watchMs` longer to see whether the server closes. */
  read(options?: ReadOptions): Promise<RawAnswer>;
  /** Waits for the first bytes of an answer and returns what has come so far. */
  readSome(timeoutMs?: number): Promise<Buffer>;
  /** Leaves politely (FIN). */
  close(): void;
  /** Leaves rudely (RST). */
  reset(): void;
}

export interface ReadOptions {
  /** How long to watch a finished answer's connection. Default 40 ms. */
  readonly watchMs?: number;
  /** How long to wait for the next byte of an unfinished answer. Default 5000 ms. */
  readonly timeoutMs?: number;
  /** The answer to HEAD and the like: headers announce a body that never comes. */
  readonly headOnly?: boolean;
}

/** Opens a connection to `http://host:port` (the path is ignored). */
export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = await dial(hostname.replace(/^\[|\]$/g, ''), Number(port));
  let received = Buffer.alloc(0);
  let ended: Ending | null = null;
  let wake: () => void = () => {};
  const note = (ending: Ending): void => {
    ended ??= ending;
    wake();
  };
  socket.on('data', (data: Buffer) => {
    received = Buffer.concat([received, data]);
    wake();
  });
  socket.on('end', () => note('fin'));
  socket.on('error', () => note('reset'));
  socket.on('close', () => note('fin'));

  const change = (timeoutMs: number): Promise<boolean> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });

  async function read(options: ReadOptions = {}): Promise<RawAnswer> {
    for (;;) {
      const seen = received.length;
      const answer = parseAnswer(received, options.headOnly ?? false);
      if (ended !== null) return take(answer, ended);
      const moved = await change(answer.complete ? (options.watchMs ?? 40) : (options.timeoutMs ?? 5000));
      if (!moved && received.length === seen) return take(answer, answer.complete ? 'open' : 'timeout');
    }
  }
  function take(answer: Omit<RawAnswer, 'ending'>, ending: Ending): RawAnswer {
    received = Buffer.alloc(0);
    return { ...answer, ending };
  }
  return {
    send: (bytes) => void socket.write(bytes),
    read,
    readSome: async (timeoutMs = 5000) => {
      if (received.length === 0 && ended === null) await change(timeoutMs);
      return received;
    },
    close: () => void socket.destroy(),
    reset: () => void socket.resetAndDestroy(),
  };
}

/** Sends one request on a fresh connection, reads the answer and closes. */
export async function exchange(
  url: string,
  bytes: string | Uint8Array,
  options: ReadOptions = {},
): Promise<RawAnswer> {
  const connection = await connectRaw(url);
  try {
    connection.send(bytes);
    return await connection.read(options);
  } finally {
    connection.close();
  }
}

/** Builds a request: `Host`, and for a body `Content-Type` and `Content-Length`, before the headers given. */
export function buildRequest(
  method: string,
  path: string,
  body?: unknown,
  headers: readonly HeaderPair[] = [],
): Buffer {
  const bytes =
    body === undefined ? null : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const framing: HeaderPair[] = bytes
    ? [
        ['Content-Type', 'application/json'],
        ['Content-Length', String(bytes.length)],
      ]
    : [];
  const all: HeaderPair[] = [['Host', 'engine.test'], ...framing, ...headers];
  const head = `${method} ${path} HTTP/1.1\r\n${all.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head), bytes ?? Buffer.alloc(0)]);
}

/** The same request to `localhost`: an Ollama on loopback answers no other name with a dot in it. */
export function asLocal(request: Buffer): Buffer {
  const text = request.toString('latin1');
  return Buffer.from(text.replace(/^Host: engine\.test\r$/m, 'Host: localhost\r'), 'latin1');
}

/** Reads the bytes of an answer, whole or cut short; interim answers (100 Continue) before it are skipped. */
export function parseAnswer(wire: Buffer, headOnly = false): Omit<RawAnswer, 'ending'> {
  const message = skipInterim(wire);
  const head = parseHead(message);
  const status = readStatus(message);
  if (!head || status === 0) {
    return { wire, head: null, status: 0, headers: [], body: wire, chunks: null, complete: false };
  }
  // A 204 has no body and says nothing about it.
  if (headOnly || status === 204) {
    const body = message.subarray(head.bytes);
    return { wire, head, status, headers: head.headers, body, chunks: null, complete: true };
  }
  const { bytes, chunks, complete } = readBody(message, head.bytes, head, 'response');
  return { wire, head, status, headers: head.headers, body: bytes, chunks, complete };
}

function skipInterim(wire: Buffer): Buffer {
  const status = readStatus(wire);
  const end = wire.indexOf('\r\n\r\n');
  return status >= 100 && status < 200 && end >= 0 ? skipInterim(wire.subarray(end + 4)) : wire;
}

function readStatus(message: Buffer): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(message.toString('latin1', 0, 12))?.[1] ?? 0);
}

function dial(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}
