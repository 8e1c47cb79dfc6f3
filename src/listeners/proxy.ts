/** The plain HTTP listener of a proxy: binds a port, or says who has it. */
import { FlmError, reasonOf } from '../lib/errors';

/** What answers the requests of a listener. */
export interface Handler {
  fetch(request: Request, connection: Bun.Server<undefined>): Promise<Response>;
}

export interface Listener {
  readonly bind: string;
  readonly port: number;
  /**
   * Accepts nobody new, waits for `drain` and then at most `waitMs` for answers that are still being written, and cuts
   * whatever is connected after that.
   */
  stop(drain: () => Promise<void>, waitMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly bind: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly handler: Handler;
}

/** Silent connections are closed after this, until a route takes its request out of it. */
const IDLE_SECONDS = 60;
const POLL_MS = 10;
/** FLM's own limit is a setting and answers properly; the runtime's would close the connection without a word. */
const RUNTIME_BODY_LIMIT = 2 ** 40;

/** @throws PROXY_PORT_IN_USE (without knowing by whom), PROXY_INVALID_CONFIG when the address is not this machine's. */
export function listen({ bind, port, handler }: ListenOptions): Listener {
  try {
    const server = Bun.serve({
      hostname: bind,
      port,
      development: false,
      // Outside development the runtime lets another process listen on the same port and take half of the requests.
      reusePort: false,
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: RUNTIME_BODY_LIMIT,
      fetch: (request, connection) => handler.fetch(request, connection),
    });
    return {
      bind,
      port: server.port ?? port,
      async stop(drain, waitMs) {
        // Resolves only when the last connection is gone, which idle ones never are by themselves.
        void server.stop(false);
        await drain();
        for (let waited = 0; server.pendingRequests > 0 && waited < waitMs; waited += POLL_MS)
          await Bun.sleep(POLL_MS);
        await server.stop(true);
      },
    };
  } catch (error) {
    if (isInUse(error))
      throw new FlmError('PROXY_PORT_IN_USE', { meta: { port, bind, by: 'another program' }, cause: error });
    const reason = `it cannot listen on ${bind} port ${port} (${reasonOf(error)})`;
    throw new FlmError('PROXY_INVALID_CONFIG', { meta: { reason }, cause: error });
  }
}

function isInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}
