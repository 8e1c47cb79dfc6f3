/** The listener of a proxy with TLS: HTTPS through a front, and a plain HTTP port that sends everybody there. */
import type { TlsContextSource } from '../../contract';
import { type FrontedListener, type FrontedOptions, listenBehindFront, PLAIN } from '../front';
import { type Listener, listen } from '../proxy';
import { createRedirect, type RedirectOptions } from './redirect';
import { type ClientDemand, createTlsSpeech } from './speech';

export type { ClientDemand } from './speech';

export interface TlsOptions
  extends Omit<FrontedOptions, 'speech'>,
    Pick<RedirectOptions, 'trustPage' | 'allowedHosts'> {
  readonly source: TlsContextSource;
  /** 0 lets the system choose. */
  readonly httpsPort: number;
  /** Null or left out: clients are asked for no certificate. */
  readonly clients?: ClientDemand | null;
}

export interface TlsListener extends FrontedListener {
  readonly httpsPort: number;
}

/** @throws PROXY_PORT_IN_USE for either port (without knowing by whom), PROXY_INVALID_CONFIG */
export async function listenTls(options: TlsOptions): Promise<TlsListener> {
  const { bind, source, trustPage, allowedHosts, clients = null } = options;
  const speech = createTlsSpeech(source, clients);
  const front = await listenBehindFront({ ...options, port: options.httpsPort, speech });
  const { port: httpsPort } = front;
  try {
    const handler = createRedirect({ httpsPort: () => httpsPort, source, trustPage, allowedHosts });
    const fronted = options.proxyProtocol
      ? await listenBehindFront({ ...options, handler, speech: PLAIN })
      : null;
    const redirect: Listener = fronted ?? listen({ ...options, handler });
    return {
      bind,
      port: redirect.port,
      httpsPort,
      clientAt(outer, localPort) {
        if (localPort === httpsPort) return front.clientAt(outer, localPort);
        return fronted === null ? outer : fronted.clientAt(outer, localPort);
      },
      async stop(drain, waitMs) {
        await Promise.all([redirect.stop(async () => {}, 0), front.stop(drain, waitMs)]);
      },
      leave() {
        const isLeft = front.leave();
        return redirect.leave() && isLeft;
      },
    };
  } catch (error) {
    await front.stop(async () => {}, 0);
    throw error;
  }
}
