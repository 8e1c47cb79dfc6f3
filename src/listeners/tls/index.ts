/**
 * The listener of a proxy with TLS: HTTPS through the front, a plain HTTP port that sends everybody there, and between front
 * and gateway a listener on loopback that knows only those who came through the front.
 */
import { FlmError, reasonOf } from '../../lib/errors';
import { isShared, listeningSockets, steerToLatest, stopListeningOnly } from '../hand-on';
import {
  type Handler,
  inUse,
  isInUse,
  type Listener,
  type ListenOptions,
  listen,
  probe,
  type Visitor,
} from '../proxy';
import { noticeTheVanished } from '../vanished';
import { type Front, LOOPBACK, openFront } from './front';
import { createRedirect, type RedirectOptions } from './redirect';

export interface TlsOptions
  extends ListenOptions,
    Pick<RedirectOptions, 'source' | 'trustPage' | 'allowedHosts'> {
  /** 0 lets the system choose. */
  readonly httpsPort: number;
}

export interface TlsListener extends Listener {
  readonly httpsPort: number;
}

/** @throws PROXY_PORT_IN_USE for either port (without knowing by whom), PROXY_INVALID_CONFIG */
export async function listenTls(options: TlsOptions): Promise<TlsListener> {
  const { bind, handler, source, trustPage, allowedHosts } = options;
  const undo: (() => unknown)[] = [];
  let front: Front | null = null;
  try {
    const inner = listen({ bind: LOOPBACK, port: 0, handler: onlyThrough(() => front, handler) });
    undo.push(() => inner.stop(async () => {}, 0));
    const opened = await openFrontAt(options, () => inner.port);
    undo.push(opened.front.leave);
    front = opened.front;
    const { port: httpsPort } = front;
    const redirect = listen({
      ...options,
      handler: createRedirect({ httpsPort: () => httpsPort, source, trustPage, allowedHosts }),
    });
    return {
      bind,
      port: redirect.port,
      httpsPort,
      async stop(drain, waitMs) {
        opened.front.leave();
        await Promise.all([redirect.stop(async () => {}, 0), inner.stop(drain, waitMs)]);
        await opened.front.end(waitMs);
      },
      leave() {
        const isLeft = stopListeningOnly(opened.sockets);
        return redirect.leave() && isLeft;
      },
    };
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

interface OpenedFront {
  readonly front: Front;
  /** The descriptors that listen. */
  readonly sockets: readonly number[];
}

async function openFrontAt(
  { bind, httpsPort: port, tenancy = 'alone', isExposed = false, source }: TlsOptions,
  innerPort: () => number,
): Promise<OpenedFront> {
  try {
    if (tenancy === 'shareable') probe(bind, port);
    const others = listeningSockets(port);
    // Elsewhere no port is handed on, and some systems do not know the option.
    const reusePort = tenancy !== 'alone' && process.platform === 'linux';
    const front = await openFront({ bind, port, reusePort, source, innerPort });
    const sockets = listeningSockets(front.port).filter((socket) => !others.includes(socket));
    // Two that looked at the same moment both found the port free.
    if (tenancy === 'shareable' && isShared(front.port)) {
      front.leave();
      throw inUse(bind, port);
    }
    if (tenancy === 'shared') steerToLatest(sockets);
    if (isExposed) noticeTheVanished(sockets);
    return { front, sockets };
  } catch (error) {
    if (error instanceof FlmError) throw error;
    if (isInUse(error)) throw inUse(bind, port, error);
    const reason = `it cannot listen on ${bind} port ${port} (${reasonOf(error)})`;
    throw new FlmError('PROXY_INVALID_CONFIG', { meta: { reason }, cause: error });
  }
}

/** Hands requests on with the client at the other end of the front, and refuses whoever has not come through it. */
function onlyThrough(front: () => Front | null, handler: Handler): Handler {
  return {
    async fetch(request, connection) {
      const from = connection.requestIP(request);
      const peer = from?.address === LOOPBACK ? front()?.peerAt(from.port) : null;
      if (peer === null || peer === undefined)
        return new Response('Not here.\n', { status: 403, headers: { connection: 'close' } });
      const outer: Visitor = {
        // Each request has an object of its own, as from the runtime.
        requestIP: () => ({ ...peer }),
        timeout: (answered, seconds) => connection.timeout(answered, seconds),
      };
      return handler.fetch(request, outer);
    },
  };
}
