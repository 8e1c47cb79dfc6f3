/**
 * The TLS front: shakes hands with clients on a port of its own and pipes what they say to a listener on loopback that speaks
 * plain HTTP. The runtime's own server cannot exchange certificates (design §5). Who is at the other end of an inner
 * connection is known by the port that it comes from.
 */
import { connect, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { TlsContextSource } from '../../contract';
import { parseIp } from '../../lib/ip';
import { type ContextFor, createContexts, PROTOCOLS } from './contexts';
import { createHalfOpen } from './half-open';

/** The other end of a connection. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

export interface FrontOptions {
  readonly bind: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Whether other processes may listen there, too. */
  readonly reusePort: boolean;
  readonly source: TlsContextSource;
  /** Where plain HTTP is spoken on loopback. */
  readonly innerPort: () => number;
  readonly handshakeMs?: number;
}

export interface Front {
  readonly port: number;
  /** The client whose inner connection comes from that port of loopback; null: it did not come through here. */
  peerAt(innerPort: number): Peer | null;
  /** Connections of clients, with those that still shake hands. */
  open(): number;
  halfOpen(): number;
  /** Accepts nobody new, and cuts those who have not finished their handshake. */
  leave(): void;
  /** Waits at most `waitMs` until clients have taken their last bytes, and cuts the others. */
  end(waitMs: number): Promise<void>;
}

export const LOOPBACK = '127.0.0.1';
/** RFC 8446 §5.1: the content type of a handshake record, the first byte of every TLS client. */
const HANDSHAKE_RECORD = 22;
const TOO_PLAIN = 'This port speaks HTTPS: write https:// in front of the address.\n';
const PLAIN_ANSWER = [
  'HTTP/1.1 400 Bad Request',
  'Content-Type: text/plain; charset=utf-8',
  `Content-Length: ${TOO_PLAIN.length}`,
  'Connection: close',
  '',
  TOO_PLAIN,
].join('\r\n');
const POLL_MS = 10;

/** @throws the system's error when the port cannot be had */
export async function openFront(options: FrontOptions): Promise<Front> {
  const { bind, port, reusePort, source, innerPort, handshakeMs } = options;
  const contextFor = createContexts(source);
  const halfOpen = createHalfOpen(handshakeMs);
  const clients = new Set<Socket>();
  const peers = new Map<number, Peer>();

  function meet(client: Socket): void {
    const { remoteAddress, remotePort } = client;
    // It has gone before anybody looked.
    if (remoteAddress === undefined || remotePort === undefined) return void client.destroy();
    const peer = { address: parseIp(remoteAddress) ?? remoteAddress, port: remotePort };
    clients.add(client);
    halfOpen.add(client, peer.address);
    client.on('error', () => client.destroy());
    client.once('close', () => {
      clients.delete(client);
      halfOpen.remove(client);
    });
    client.once('data', (first: Buffer) => {
      client.pause();
      if (first[0] !== HANDSHAKE_RECORD) return refusePlain(client);
      client.unshift(first);
      const secure = encrypt(client, contextFor);
      secure.once('secure', () => {
        halfOpen.remove(client);
        join(secure, peer);
      });
    });
  }

  /** Bytes pass both ways from here on; what is read waits while the other side does not take it. */
  function join(secure: TLSSocket, peer: Peer): void {
    const inner = connect({ host: LOOPBACK, port: innerPort(), noDelay: true });
    inner.once('connect', () => {
      const { localPort } = inner;
      if (localPort === undefined || secure.destroyed) return void inner.destroy();
      // Before the first byte of a request.
      peers.set(localPort, peer);
      inner.once('close', () => peers.delete(localPort));
      secure.pipe(inner);
      inner.pipe(secure);
    });
    inner.on('error', () => secure.destroy());
    // What was said to the end may still be on its way to the client.
    inner.once('close', () => inner.readableEnded || secure.destroy());
    secure.once('close', () => inner.destroy());
  }

  const server = createServer({ noDelay: true }, meet);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: bind, port, reusePort, ipv6Only: false }, resolve);
  });
  // A client that cannot be accepted is that client's loss.
  server.on('error', () => {});
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    peerAt: (innerPort) => peers.get(innerPort) ?? null,
    open: () => clients.size,
    halfOpen: halfOpen.count,
    leave() {
      server.close();
      halfOpen.cutAll();
    },
    async end(waitMs) {
      for (let waited = 0; clients.size > 0 && waited < waitMs; waited += POLL_MS) await Bun.sleep(POLL_MS);
      for (const client of clients) client.destroy();
    },
  };
}

function encrypt(client: Socket, contextFor: ContextFor): TLSSocket {
  const address = parseIp(client.localAddress ?? '');
  const secure = new TLSSocket(client, {
    isServer: true,
    secureContext: contextFor(null, address),
    SNICallback: (serverName, done) => done(null, contextFor(serverName, address)),
    ALPNProtocols: PROTOCOLS,
  });
  // A handshake that fails has been answered with an alert by now.
  secure.on('error', () => client.destroy());
  return secure;
}

function refusePlain(client: Socket): void {
  client.end(PLAIN_ANSWER);
  // Nothing that it says is of interest any more, but it has to be taken, or the answer is lost with a reset.
  client.resume();
}
