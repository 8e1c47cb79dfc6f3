/** A TCP or unix-socket server that does nothing by itself: every byte, and every end, is the test's. */
import { createServer, type Socket } from 'node:net';

export interface TcpServer extends AsyncDisposable {
  /** 0 on a unix socket. */
  readonly port: number;
  /** `http://host:port`, without a slash at the end; empty on a unix socket. */
  readonly url: string;
  /** Connections that are open now. */
  open(): number;
  /** Connections that were ever made. */
  accepted(): number;
  /** Resolves when no connection is open. */
  deserted(): Promise<void>;
}

export interface TcpOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** A unix socket instead. */
  readonly path?: string;
  /** Default: a free one. */
  readonly port?: number;
}

/** Listens. `serve` is told each connection and its number, from 1; errors of sockets are nobody's concern. */
export async function listenTcp(
  serve: (socket: Socket, connection: number) => void,
  { host = '127.0.0.1', path, port = 0 }: TcpOptions = {},
): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  let waiting: (() => void)[] = [];
  const server = createServer((socket) => {
    accepted++;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size > 0) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    });
    serve(socket, accepted);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path === undefined ? { host, port } : { path }, resolve);
  });
  const address = server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port: bound,
    url: path === undefined ? `http://${host.includes(':') ? `[${host}]` : host}:${bound}` : '',
    open: () => sockets.size,
    accepted: () => accepted,
    deserted: () =>
      sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export interface TcpRequest {
  /** Request line and headers, without the empty line. */
  readonly head: string;
  readonly body: Buffer;
  readonly socket: Socket;
  readonly connection: number;
  /** Which request of its connection it is, from 1. */
  readonly turn: number;
}

export interface RequestServer extends TcpServer {
  /** Whole requests that arrived. */
  requests(): number;
  /** How often something arrived while an answer was not done. */
  pipelined(): number;
}

/**
 * A server that reads whole requests and leaves the answer to the test. A request that arrives before the last one's
 * answer was finished (by `done`) is counted as pipelined.
 */
export async function listenRequests(
  answer: (request: TcpRequest, done: () => void) => void,
  options: TcpOptions = {},
): Promise<RequestServer> {
  let requests = 0;
  let pipelined = 0;
  const server = await listenTcp((socket, connection) => {
    let pieces: Buffer[] = [];
    let size = 0;
    let wanted = 0;
    let turn = 0;
    let busy = false;
    socket.on('data', (data) => {
      if (busy) pipelined++;
      pieces.push(Buffer.from(data));
      size += data.length;
      if (size < wanted) return;
      const all = Buffer.concat(pieces);
      pieces = [all];
      const end = all.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = all.toString('latin1', 0, end);
      wanted = end + 4 + Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      if (size < wanted) return;
      const body = all.subarray(end + 4, wanted);
      pieces = [all.subarray(wanted)];
      size = all.length - wanted;
      wanted = 0;
      requests++;
      turn++;
      busy = true;
      answer({ head, body, socket, connection, turn }, () => {
        busy = false;
      });
    });
  }, options);
  return { ...server, requests: () => requests, pipelined: () => pipelined };
}
