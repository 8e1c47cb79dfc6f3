/**
 * The front of a listener: takes connections on a port of its own, learns who is at the other end, and pipes what they say to
 * a listener on loopback. The runtime's own server can exchange no certificates and shows none of a client's (design §5), and
 * it does not let anybody speak before the first request, as proxies do. Who is at the other end of an inner connection is
 * known by the port that it comes from.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ClientCertificate } from '../../contract';
import { parseIp } from '../../lib/ip';
import { type Announced, createAnnounced } from './announced';
import { createHalfOpen } from './half-open';
import { isProxyHeader, type Peer } from './proxy-header';

/** What clients speak to a front. */
export interface Speech {
  /** Whether this is how a client begins that speaks it. */
  isBegunBy(first: Buffer): boolean;
  /** What somebody is answered who begins otherwise. */
  readonly otherwise: string;
  /**
   * What the client says in the clear, once a handshake is over, and who it has proved to be. A connection that comes to
   * nothing is ended here, and `then` not called.
   */
  open(client: Socket, then: (plain: Duplex, certificate: ClientCertificate | null) => void): void;
  /** Whether a connection that was opened before may go on. */
  mayGoOn(certificate: ClientCertificate | null): boolean;
  /** Calls `listener` when `mayGoOn` may have another answer, until the returned function is called. */
  onChange(listener: () => void): () => void;
}

export interface FrontOptions {
  readonly bind: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Whether other processes may listen there, too. */
  readonly reusePort: boolean;
  readonly speech: Speech;
  /** Where plain HTTP is spoken on loopback. */
  readonly innerPort: () => number;
  /** Whether reverse proxies first say who has come to them (PROXY protocol). */
  readonly proxyProtocol?: boolean;
  /** Reverse proxies, as addresses and networks. */
  readonly trustedProxies?: () => readonly string[];
  readonly handshakeMs?: number;
}

/** Who is at the other end of a connection that came through a front. */
export interface Guest extends Peer {
  readonly certificate: ClientCertificate | null;
}

export interface Front {
  readonly port: number;
  /** The client whose inner connection comes from that port of loopback; null: it did not come through here. */
  guestAt(innerPort: number): Guest | null;
  /** Who has come from that end of an outer connection; null: nobody knows yet. */
  clientAt(outer: Peer): Peer | null;
  /** Connections of clients, with those that still shake hands. */
  open(): number;
  halfOpen(): number;
  /** Accepts nobody new, and cuts those who have not finished their handshake. */
  leave(): void;
  /** Waits at most `waitMs` until clients have taken their last bytes, and cuts the others. */
  end(waitMs: number): Promise<void>;
}

export const LOOPBACK = '127.0.0.1';
const POLL_MS = 10;

/** @throws the system's error when the port cannot be had */
export async function openFront(options: FrontOptions): Promise<Front> {
  const { bind, port, reusePort, speech, innerPort, handshakeMs, proxyProtocol = false } = options;
  const { trustedProxies = () => [] } = options;
  const halfOpen = createHalfOpen(handshakeMs);
  const clients = new Set<Socket>();
  const guests = new Map<number, Guest & { readonly client: Socket }>();
  const announced: Announced = createAnnounced({ isSpoken: proxyProtocol, trustedProxies });

  function meet(client: Socket): void {
    const { remoteAddress, remotePort } = client;
    // It has gone before anybody looked.
    if (remoteAddress === undefined || remotePort === undefined) return void client.destroy();
    const outer = { address: parseIp(remoteAddress) ?? remoteAddress, port: remotePort };
    clients.add(client);
    halfOpen.add(client, announced.isTrusted(outer.address) ? null : outer.address);
    client.on('error', () => client.destroy());
    client.once('close', () => {
      clients.delete(client);
      halfOpen.remove(client);
    });
    announced.read(client, outer, (peer) => {
      // Of one that others come through, the handshakes of each count for themselves.
      if (peer !== outer) halfOpen.attribute(client, peer.address);
      if (!client.destroyed) begin(client, peer);
    });
  }

  function begin(client: Socket, peer: Peer): void {
    client.once('data', (first: Buffer) => {
      client.pause();
      // Whoever may not speak for others does not get to say that it is somebody else.
      if (isProxyHeader(first)) return void client.destroy();
      if (!speech.isBegunBy(first)) return refuse(client, speech.otherwise);
      client.unshift(first);
      speech.open(client, (plain, certificate) => {
        halfOpen.remove(client);
        join(client, plain, { ...peer, certificate });
      });
    });
    client.resume();
  }

  /** Bytes pass both ways from here on; what is read waits while the other side does not take it. */
  function join(client: Socket, plain: Duplex, guest: Guest): void {
    const inner = connect({ host: LOOPBACK, port: innerPort(), noDelay: true });
    inner.once('connect', () => {
      const { localPort } = inner;
      if (localPort === undefined || plain.destroyed) return void inner.destroy();
      // Before the first byte of a request.
      guests.set(localPort, { ...guest, client });
      inner.once('close', () => guests.delete(localPort));
      plain.pipe(inner);
      inner.pipe(plain);
    });
    inner.on('error', () => plain.destroy());
    // What was said to the end may still be on its way to the client.
    inner.once('close', () => inner.readableEnded || plain.destroy());
    plain.once('close', () => inner.destroy());
  }

  const stopWatching = speech.onChange(() => {
    for (const { client, certificate } of guests.values()) if (!speech.mayGoOn(certificate)) client.destroy();
  });
  const server = createServer({ noDelay: true }, meet);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: bind, port, reusePort, ipv6Only: false }, resolve);
    });
  } catch (error) {
    stopWatching();
    throw error;
  }
  // A client that cannot be accepted is that client's loss.
  server.on('error', () => {});
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    guestAt(innerPort) {
      const guest = guests.get(innerPort);
      return guest === undefined || !speech.mayGoOn(guest.certificate) ? null : guest;
    },
    clientAt: announced.clientAt,
    open: () => clients.size,
    halfOpen: halfOpen.count,
    leave() {
      server.close();
      halfOpen.cutAll();
    },
    async end(waitMs) {
      for (let waited = 0; clients.size > 0 && waited < waitMs; waited += POLL_MS) await Bun.sleep(POLL_MS);
      for (const client of clients) client.destroy();
      stopWatching();
    },
  };
}

function refuse(client: Socket, answer: string): void {
  client.end(answer);
  // Nothing that it says is of interest any more, but it has to be taken, or the answer is lost with a reset.
  client.resume();
}
