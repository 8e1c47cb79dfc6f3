/**
 * A listener behind a front: between front and gateway there is one on loopback that knows only those who came through the
 * front, and hands on who they are.
 */
import { isShared, listeningSockets, steerToLatest, stopListeningOnly } from '../hand-on';
import {
  bindError,
  type Handler,
  inUse,
  type Listener,
  type ListenOptions,
  listen,
  probe,
  type Visitor,
} from '../proxy';
import { noticeTheVanished } from '../vanished';
import { type Front, type FrontOptions, LOOPBACK, openFront, type Speech } from './front';
import type { Peer } from './proxy-header';

export { type Front, openFront, type Speech } from './front';
export type { Peer } from './proxy-header';

export interface FrontedOptions
  extends ListenOptions,
    Pick<FrontOptions, 'speech' | 'proxyProtocol' | 'trustedProxies'> {}

export interface FrontedListener extends Listener {
  /** Who has come from that end of a connection to `localPort`; null: nobody knows yet. */
  clientAt(outer: Peer, localPort: number): Peer | null;
}

/** Clients say what they have to say at once, in the clear. */
export const PLAIN: Speech = {
  isBegunBy: () => true,
  otherwise: '',
  open: (client, then) => then(client, null),
  mayGoOn: () => true,
  onChange: () => () => {},
};

/** @throws PROXY_PORT_IN_USE (without knowing by whom), PROXY_INVALID_CONFIG */
export async function listenBehindFront(options: FrontedOptions): Promise<FrontedListener> {
  const { bind, handler } = options;
  let front: Front | null = null;
  const inner = listen({ bind: LOOPBACK, port: 0, handler: onlyThrough(() => front, handler) });
  try {
    const opened = await openAt(options, () => inner.port);
    front = opened.front;
    const { port, clientAt, leave, end } = front;
    return {
      bind,
      port,
      clientAt,
      async stop(drain, waitMs) {
        leave();
        await inner.stop(drain, waitMs);
        await end(waitMs);
      },
      leave: () => stopListeningOnly(opened.sockets),
    };
  } catch (error) {
    await inner.stop(async () => {}, 0);
    throw error;
  }
}

interface OpenedFront {
  readonly front: Front;
  /** The descriptors that listen. */
  readonly sockets: readonly number[];
}

async function openAt(options: FrontedOptions, innerPort: () => number): Promise<OpenedFront> {
  const { bind, port, tenancy = 'alone', isExposed = false } = options;
  try {
    if (tenancy === 'shareable') probe(bind, port);
    const others = port === 0 ? [] : listeningSockets(port);
    // Elsewhere no port is handed on, and some systems do not know the option.
    const reusePort = tenancy !== 'alone' && process.platform === 'linux';
    const front = await openFront({ ...options, reusePort, innerPort });
    const sockets = listeningSockets(front.port).filter((socket) => !others.includes(socket));
    // Two that looked at the same moment both found the port free.
    if (tenancy === 'shareable' && isShared(front.port)) {
      front.leave();
      await front.end(0);
      throw inUse(bind, port);
    }
    if (tenancy === 'shared') steerToLatest(sockets);
    if (isExposed) noticeTheVanished(sockets);
    return { front, sockets };
  } catch (error) {
    throw bindError(bind, port, error);
  }
}

/** Hands requests on with the client at the other end of the front, and refuses whoever has not come through it. */
function onlyThrough(front: () => Front | null, handler: Handler): Handler {
  return {
    async fetch(request, connection) {
      const from = connection.requestIP(request);
      const guest = from?.address === LOOPBACK ? front()?.guestAt(from.port) : null;
      if (guest === null || guest === undefined)
        return new Response('Not here.\n', { status: 403, headers: { connection: 'close' } });
      const { address, port, certificate } = guest;
      const outer: Visitor = {
        // Each request has an object of its own, as from the runtime.
        requestIP: () => ({ address, port }),
        timeout: (answered, seconds) => connection.timeout(answered, seconds),
        clientCertificate: certificate,
      };
      return handler.fetch(request, outer);
    },
  };
}
