/**
 * A small raw HTTP/1.1 server for tests: it parses requests, keeps connections alive, and leaves every byte of
 * the answer, and every way a connection can end, to its handler. Not Bun.serve, which would repair faults.
 */
import { createServer, type Socket } from 'node:net';
import { findHeader, type HeaderPair, parseHead, readBody } from './message';

export type { HeaderPair } from './message';

export interface RecordedRequest {
  readonly method: string;
  /** The request target as sent, with its query. */
  readonly path: string;
  readonly version: '1.0' | '1.1';
  /** In the order and spelling of the wire. */
  readonly headers: readonly HeaderPair[];
  /** The body without its framing, otherwise byte for byte. */
  readonly body: Buffer;
  /** Which connection it came on, counted from 1: shows pooling and retries. */
  readonly connection: number;
  /** Which request of its connection it is, counted from 1. */
  readonly turn: number;
}

/** What happens to the connection after an answer. */
export type Ending = 'keep-alive' | 'close' | 'reset';

/** The client's end of one request, as the handler sees it. */
export interface Wire {
  /** Aborts when the client goes away, politely or not. */
  readonly gone: AbortSignal;
  /** Sends bytes and waits until the kernel has taken them. @throws ClientGone */
  write(bytes: Buffer): Promise<void>;
  /** Waits; for ever without a time. @throws ClientGone as soon as the client leaves. */
  wait(ms?: number): Promise<void>;
}

export type Handler = (request: RecordedRequest, wire: Wire) => Promise<Ending>;

export interface RawServer {
  readonly port: number;
  /** How many connections are open now. */
  connections(): number;
  /** Stops listening and resets what is open. */
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** How long an idle connection is kept. */
  readonly keepAliveMs: number;
}

/** Thrown into a handler when the client went away before the end of its answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** Listens, and hands each whole request to the handler; requests of one connection come one after the other. */
export async function listenRaw(options: ServerOptions, handler: Handler): Promise<RawServer> {
  const open = new Set<Socket>();
  let count = 0;
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.setNoDelay(true);
    count += 1;
    serveConnection(socket, count, options.keepAliveMs, handler);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.hostname, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    port,
    connections: () => open.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function serveConnection(socket: Socket, connection: number, keepAliveMs: number, handler: Handler): void {
  const gone = new AbortController();
  let pieces: Buffer[] = [];
  let size = 0;
  let wanted = 0;
  let turn = 0;
  let answering = false;
  let continued = false;
  let closing = false;
  let idle = setTimeout(() => socket.end(), keepAliveMs);
  const leave = (): void => {
    clearTimeout(idle);
    gone.abort(new ClientGone('the client went away'));
  };
  socket.on('error', leave);
  socket.on('end', leave);
  socket.on('close', leave);
  socket.on('data', (data: Buffer) => {
    // As the engines: what arrives after the last answer is never looked at.
    if (closing) return;
    clearTimeout(idle);
    pieces.push(data);
    size += data.length;
    // A large body of known length is put together once, not once per packet.
    if (!answering && size >= wanted) next();
  });

  function next(): void {
    const buffer = pieces.length === 1 ? (pieces[0] ?? Buffer.alloc(0)) : Buffer.concat(pieces);
    const head = parseHead(buffer);
    if (head === null) {
      hold(buffer, 0);
      return;
    }
    const body = readBody(buffer, head.bytes, head, 'request');
    if (!body.complete) {
      if (!continued && /100-continue/i.test(findHeader(head.headers, 'expect') ?? '')) {
        continued = true;
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      }
      hold(buffer, head.bytes + Number(findHeader(head.headers, 'content-length') ?? 0));
      return;
    }
    hold(buffer.subarray(body.end), 0);
    const [method = '', path = '', version = ''] = head.start.split(' ');
    turn += 1;
    continued = false;
    void answer({
      method,
      path,
      version: version === 'HTTP/1.0' ? '1.0' : '1.1',
      headers: head.headers,
      body: Buffer.from(body.bytes),
      connection,
      turn,
    });
  }

  function hold(rest: Buffer, enough: number): void {
    pieces = rest.length > 0 ? [rest] : [];
    size = rest.length;
    wanted = enough;
  }

  async function answer(request: RecordedRequest): Promise<void> {
    answering = true;
    clearTimeout(idle);
    let ending: Ending = 'reset';
    try {
      ending = await handler(request, wire);
    } catch (error) {
      if (!(error instanceof ClientGone)) console.error(error);
    }
    answering = false;
    if (ending === 'reset') socket.resetAndDestroy();
    else if (ending === 'close' || gone.signal.aborted) {
      closing = true;
      socket.end();
    } else {
      idle = setTimeout(() => socket.end(), keepAliveMs);
      if (size > 0) next();
    }
  }

  const wire: Wire = {
    gone: gone.signal,
    write: (bytes) =>
      untilGone(gone.signal, (resolve) => {
        socket.write(bytes, () => resolve());
        return () => {};
      }),
    wait: (ms) =>
      untilGone(gone.signal, (resolve) => {
        const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
        return () => clearTimeout(timer);
      }),
  };
}

/** Starts something that ends by itself or with the signal; `start` returns how to clean up. */
function untilGone(signal: AbortSignal, start: (resolve: () => void) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    let cleanUp: () => void = () => {};
    const onGone = (): void => {
      cleanUp();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onGone, { once: true });
    cleanUp = start(() => {
      signal.removeEventListener('abort', onGone);
      resolve();
    });
  });
}
