/** A SOCKS5 server (RFC 1928, RFC 1929) for tests: knows names that nobody else does, and fails in every way there is. */
import { connect, type Socket } from 'node:net';
import { listenTcp, type TcpServer } from './tcp';

export interface SocksRequest {
  readonly host: string;
  readonly port: number;
  /** How the destination was named: an address of four bytes or sixteen, or a name. */
  readonly kind: 'ipv4' | 'ipv6' | 'name';
  readonly user: string | null;
  readonly password: string | null;
}

export interface SocksOptions {
  readonly port?: number;
  /** Who may use it; without one, everybody, and whoever offers a name has to give it. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Where a request leads; null: it is refused with `code`. Default: to its port on 127.0.0.1. */
  readonly lead?: (request: SocksRequest) => { readonly host: string; readonly port: number } | null;
  /** RFC 1928 §6. */
  readonly code?: number;
  /**
   * `mute`: takes connections and says nothing; `stranger`: speaks something else; `stuck`: takes requests and does not
   * answer them; `hangs-up`: closes each connection; `drops`: closes it after the request.
   */
  readonly fault?: 'mute' | 'stranger' | 'stuck' | 'hangs-up' | 'drops';
}

export interface SocksServer extends TcpServer {
  /** `127.0.0.1:port` */
  readonly endpoint: string;
  readonly requests: SocksRequest[];
  /** Closes every connection that is open. */
  cut(): void;
}

export async function listenSocks(options: SocksOptions = {}): Promise<SocksServer> {
  const { login, fault, code = 5 } = options;
  const lead = options.lead ?? (({ port }: SocksRequest) => ({ host: '127.0.0.1', port }));
  const requests: SocksRequest[] = [];
  const sockets = new Set<Socket>();

  async function serve(socket: Socket): Promise<void> {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    if (fault === 'mute' || fault === 'stranger') socket.resume();
    if (fault === 'mute') return;
    if (fault === 'hangs-up') return void socket.destroy();
    if (fault === 'stranger') return void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    const read = readerOf(socket);
    const [, count = 0] = await read(2);
    const offered = [...(await read(count))];
    const method = offered.includes(2) ? 2 : login === undefined ? 0 : 255;
    socket.write(Buffer.from([5, method]));
    let user: string | null = null;
    let password: string | null = null;
    if (method === 2) {
      const [, userLength = 0] = await read(2);
      user = (await read(userLength)).toString();
      const [passwordLength = 0] = await read(1);
      password = (await read(passwordLength)).toString();
      const isKnown = login === undefined || (login.user === user && login.password === password);
      socket.write(Buffer.from([1, isKnown ? 0 : 1]));
      if (!isKnown) return void socket.end();
    }
    const [, , , type = 0] = await read(4);
    const kind = type === 1 ? 'ipv4' : type === 4 ? 'ipv6' : 'name';
    const length = kind === 'ipv4' ? 4 : kind === 'ipv6' ? 16 : ((await read(1))[0] ?? 0);
    const bytes = await read(length);
    const host =
      kind === 'name' ? bytes.toString() : kind === 'ipv4' ? [...bytes].join('.') : bytes.toString('hex');
    const request = { host, port: (await read(2)).readUInt16BE(), kind, user, password } as const;
    requests.push(request);
    if (fault === 'stuck') return;
    if (fault === 'drops') return void socket.destroy();
    const place = lead(request);
    const answer = (reply: number) => socket.write(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]));
    if (place === null) {
      answer(code);
      return void socket.end();
    }
    const there = connect(place.port, place.host);
    there.on('error', () => {
      answer(5);
      socket.end();
    });
    there.on('connect', () => {
      answer(0);
      socket.pipe(there);
      there.pipe(socket);
    });
    socket.on('close', () => there.destroy());
    there.on('close', () => socket.destroySoon());
  }

  const server = await listenTcp((socket) => void serve(socket).catch(() => socket.destroy()), {
    ...(options.port === undefined ? {} : { port: options.port }),
  });
  return {
    ...server,
    endpoint: `127.0.0.1:${server.port}`,
    requests,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Reads so many bytes and leaves the rest in the socket. Rejects when it ends before. */
function readerOf(socket: Socket): (count: number) => Promise<Buffer> {
  return async (count) => {
    if (count === 0) return Buffer.alloc(0);
    for (;;) {
      const bytes: unknown = socket.read(count);
      if (Buffer.isBuffer(bytes) && bytes.length === count) return bytes;
      if (socket.readableEnded || socket.destroyed) throw new Error('it ended');
      await new Promise<void>((resolve, reject) => {
        socket.once('readable', resolve);
        socket.once('close', () => reject(new Error('it was closed')));
      });
    }
  };
}
