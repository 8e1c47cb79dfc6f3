/** The plain HTTP listener of a proxy: binds a port, or says who has it. */
import type { ClientCertificate } from '../contract';
import { FlmError, reasonOf } from '../lib/errors';
import { isShared, listeningSockets, steerToLatest, stopListeningOnly } from './hand-on';
import { noticeTheVanished } from './vanished';

/** What answers the requests of a listener. */
export interface Handler {
  fetch(request: Request, connection: Visitor): Promise<Response>;
}

/** What is known of the other end of a connection, and done to it. */
export interface Visitor {
  requestIP(request: Request): { readonly address: string; readonly port: number } | null;
  timeout(request: Request, seconds: number): void;
  /** What it has shown in the handshake, verified. Left out or null: nothing. */
  readonly clientCertificate?: ClientCertificate | null;
}

export interface Listener {
  readonly bind: string;
  readonly port: number;
  /**
   * Accepts nobody new, waits for `drain` and then at most `waitMs` for answers that are still being written, and cuts
   * whatever is connected after that.
   */
  stop(drain: () => Promise<void>, waitMs: number): Promise<void>;
  /**
   * Accepts nobody new and leaves those who are connected alone; another process listens on the port by now. False where
   * that cannot be done: then idle connections were closed.
   */
  leave(): boolean;
}

/**
 * `alone`: nobody else may ever listen there. `shareable`: nobody does now, and the next process of this FLM may later.
 * `shared`: this process takes the port over from another one of this FLM.
 */
export type Tenancy = 'alone' | 'shareable' | 'shared';

export interface ListenOptions {
  readonly bind: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly handler: Handler;
  readonly tenancy?: Tenancy;
  /** Whether clients are elsewhere, where they can vanish without a word. */
  readonly isExposed?: boolean;
}

/** Silent connections are closed after this, until a route takes its request out of it. */
export const IDLE_SECONDS = 60;
const POLL_MS = 10;
/** FLM's own limit is a setting and answers properly; the runtime's would close the connection without a word. */
const RUNTIME_BODY_LIMIT = 2 ** 40;

/** @throws PROXY_PORT_IN_USE (without knowing by whom), PROXY_INVALID_CONFIG when the address is not this machine's. */
export function listen({
  bind,
  port,
  handler,
  tenancy = 'alone',
  isExposed = false,
}: ListenOptions): Listener {
  const serve = (reusePort: boolean) =>
    Bun.serve({
      hostname: bind,
      port,
      development: false,
      // Outside development the runtime lets another process listen on the same port and take half of the requests.
      reusePort,
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: RUNTIME_BODY_LIMIT,
      fetch: (request, connection) => handler.fetch(request, connection),
    });
  try {
    if (tenancy === 'shareable') probe(bind, port);
    const others = port === 0 ? [] : listeningSockets(port);
    const server = serve(tenancy !== 'alone');
    const bound = server.port ?? port;
    const sockets = listeningSockets(bound).filter((socket) => !others.includes(socket));
    // Two that looked at the same moment both found the port free.
    if (tenancy === 'shareable' && isShared(bound)) {
      void server.stop(true);
      throw inUse(bind, port);
    }
    if (tenancy === 'shared') steerToLatest(sockets);
    if (isExposed) noticeTheVanished(sockets);
    return {
      bind,
      port: bound,
      async stop(drain, waitMs) {
        // Resolves only when the last connection is gone, which idle ones never are by themselves.
        void server.stop(false);
        await drain();
        for (let waited = 0; server.pendingRequests > 0 && waited < waitMs; waited += POLL_MS)
          await Bun.sleep(POLL_MS);
        await server.stop(true);
      },
      leave() {
        if (stopListeningOnly(sockets)) return true;
        void server.stop(false);
        return false;
      },
    };
  } catch (error) {
    throw bindError(bind, port, error);
  }
}

/** Why a port cannot be had, from what the system says. */
export function bindError(bind: string, port: number, error: unknown): FlmError {
  if (error instanceof FlmError) return error;
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
    return inUse(bind, port, error);
  const reason = `it cannot listen on ${bind} port ${port} (${reasonOf(error)})`;
  return new FlmError('PROXY_INVALID_CONFIG', { meta: { reason }, cause: error });
}

/** Throws when somebody listens there, which a listener that shares would not notice. */
export function probe(bind: string, port: number): void {
  Bun.listen({ hostname: bind, port, socket: { data() {} } }).stop(true);
}

export function inUse(bind: string, port: number, cause?: unknown): FlmError {
  return new FlmError('PROXY_PORT_IN_USE', { meta: { port, bind, by: 'another program' }, cause });
}
