/**
 * A client that is a bare socket: it sends exactly the bytes it is given, shows exactly what came back, and can read
 * slowly, close half of its connection, leave politely or rudely.
 */
import { connect } from 'node:net';
import { type HeaderPair, parseHead } from '../../fake/message';
import { parseAnswer } from '../../fake/raw-client';

export interface Answer {
  readonly status: number;
  /** In the order and spelling of the wire. */
  readonly headers: readonly HeaderPair[];
  /** The body without its framing. */
  readonly body: Buffer;
  /** Whether the framing said that this is all of it. */
  readonly complete: boolean;
}

export interface RawClient {
  send(bytes: string | Uint8Array): void;
  /** Sends that many bytes as fast as they are taken, or as many as are taken before the server ends it. */
  flood(byteCount: number): Promise<void>;
  /** What has come so far. */
  answer(): Answer;
  /** Everything that came, byte for byte. */
  received(): Buffer;
  /** Resolves when `done` says so, which is asked whenever something has come or ended. @throws after `timeoutMs`. */
  until(done: () => boolean, timeoutMs?: number): Promise<void>;
  /** Waits for one whole answer, or for the end of the connection. `headOnly` for HEAD. */
  read(options?: { readonly timeoutMs?: number; readonly headOnly?: boolean }): Promise<Answer>;
  /** Whether the server has closed its end, or the connection broke. */
  ended(): boolean;
  /** Bytes that the kernel has taken. */
  sentBytes(): number;
  /** Stops reading: the server's bytes pile up on its side. */
  pause(): void;
  resume(): void;
  /** Says that nothing more will be sent, and goes on reading. */
  halfClose(): void;
  /** Leaves politely (FIN). */
  close(): void;
  /** Leaves rudely (RST). */
  reset(): void;
}

/** Less than a test may take, so that it can still say what was missing. */
const TIMEOUT_MS = 4_000;

/** Opens a connection to `http://host:port`, from `localAddress` where one is given (Linux has all of 127.0.0.0/8). */
export async function connectRaw(url: string, localAddress?: string): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({ host, port: Number(port), localAddress, allowHalfOpen: true });
  let pieces: Buffer[] = [];
  let ended = false;
  let look: () => void = () => {};
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => resolve());
  });
  socket.setNoDelay(true);
  socket.on('data', (data: Buffer) => {
    pieces.push(data);
    look();
  });
  const end = (): void => {
    ended = true;
    look();
  };
  for (const event of ['end', 'error', 'close']) socket.on(event, end);

  function received(): Buffer {
    if (pieces.length > 1) pieces = [Buffer.concat(pieces)];
    return pieces[0] ?? Buffer.alloc(0);
  }

  function answer(headOnly = false): Answer {
    const { status, headers, body, complete } = parseAnswer(received(), headOnly);
    const known = headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name));
    // RFC 9112 §6.3: these have no body; without a framing the end of the connection is the end of the body.
    const all = complete || status === 204 || status === 304 || (!known && ended && status > 0);
    return { status, headers, body, complete: all };
  }

  function until(done: () => boolean, timeoutMs = TIMEOUT_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        look = () => {};
        const seen = received().toString('latin1').slice(-600);
        reject(new Error(`not within ${timeoutMs} ms; what came ends with: ${JSON.stringify(seen)}`));
      }, timeoutMs);
      look = () => {
        if (!done()) return;
        look = () => {};
        clearTimeout(timer);
        resolve();
      };
      look();
    });
  }

  socket.setMaxListeners(0);
  return {
    send: (bytes) => void socket.write(bytes),
    async flood(byteCount) {
      const piece = Buffer.alloc(65_536, 'x');
      for (let sent = 0; sent < byteCount && !ended; sent += piece.length) {
        // Called back when the kernel has taken it, or when nobody will.
        await new Promise<void>((resolve) => {
          socket.once('close', resolve);
          socket.write(piece.subarray(0, byteCount - sent), () => {
            socket.off('close', resolve);
            resolve();
          });
        });
      }
    },
    answer,
    received,
    until,
    async read({ timeoutMs = TIMEOUT_MS, headOnly = false } = {}) {
      await until(() => ended || (hasHead(received()) && answer(headOnly).complete), timeoutMs);
      return answer(headOnly);
    },
    ended: () => ended,
    sentBytes: () => socket.bytesWritten - socket.writableLength,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    halfClose: () => void socket.end(),
    close: () => void socket.destroy(),
    reset: () => void socket.resetAndDestroy(),
  };
}

function hasHead(bytes: Buffer): boolean {
  return parseHead(bytes) !== null;
}

export interface WireRequest {
  /** Default POST with a body, GET without. */
  readonly method?: string;
  readonly target: string;
  /** Null leaves it out. Default 127.0.0.1. */
  readonly host?: string | null;
  readonly headers?: readonly HeaderPair[];
  readonly body?: string | Uint8Array;
  /** `length` announces the body's length; `chunked` sends it in chunks of this many bytes. */
  readonly framing?: 'length' | { readonly chunkBytes: number };
}

/** The bytes of a request. Adds Host, the framing and, for a body, its media type. */
export function wireRequest(request: WireRequest): Buffer {
  const { target, host = '127.0.0.1', headers = [], framing = 'length' } = request;
  const body = request.body === undefined ? null : Buffer.from(request.body);
  const all: HeaderPair[] = host === null ? [...headers] : [['Host', host], ...headers];
  if (body !== null) {
    if (!headers.some(([name]) => name.toLowerCase() === 'content-type'))
      all.push(['Content-Type', 'application/json']);
    all.push(
      framing === 'length' ? ['Content-Length', String(body.length)] : ['Transfer-Encoding', 'chunked'],
    );
  }
  const method = request.method ?? (body === null ? 'GET' : 'POST');
  const head = `${method} ${target} HTTP/1.1\r\n${all.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`;
  if (body === null) return Buffer.from(head, 'latin1');
  const sent = framing === 'length' ? body : inChunks(body, framing.chunkBytes);
  return Buffer.concat([Buffer.from(head, 'latin1'), sent]);
}

function inChunks(body: Buffer, chunkBytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += chunkBytes) {
    const piece = body.subarray(at, at + chunkBytes);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** The answer to one request on a connection of its own. */
export async function ask(
  url: string,
  request: WireRequest | Uint8Array,
  timeoutMs = TIMEOUT_MS,
): Promise<Answer> {
  const client = await connectRaw(url);
  try {
    const headOnly = !(request instanceof Uint8Array) && request.method === 'HEAD';
    client.send(request instanceof Uint8Array ? request : wireRequest(request));
    return await client.read({ timeoutMs, headOnly });
  } finally {
    client.close();
  }
}

/** The first header of that name, in any case. */
export function headerOf(answer: Pick<Answer, 'headers'>, name: string): string | null {
  return answer.headers.find(([key]) => key.toLowerCase() === name)?.[1] ?? null;
}
