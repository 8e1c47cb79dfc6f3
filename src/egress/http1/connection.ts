/** One TCP or unix-socket connection to an engine: carries one request at a time, and is used again while both sides agree. */
import type { Socket } from 'bun';
import type { Cancel } from '../../contract';
import { EgressError, translateFailure } from '../errors';
import type { EgressResponse } from '../transport';
import { type Flow, IncomingResponse } from './incoming';
import { MalformedResponse, ResponseParser } from './parser';

/** Where to connect to. */
export type Place = { readonly hostname: string; readonly port: number } | { readonly unix: string };

export interface ConnectionEvents {
  /** It is free for another request. */
  onIdle(connection: Connection): void;
  onClosed(connection: Connection): void;
}

/** Thrown when a connection that had been idle broke before it said anything: the other side had closed it meanwhile. */
export class StaleConnection extends EgressError {
  constructor(cause: unknown) {
    super('closed', 'the connection had been closed', cause);
  }
}

export class Connection implements Flow {
  /** Requests it has carried. */
  uses = 0;
  readonly #events: ConnectionEvents;
  readonly #parser = new ResponseParser({
    onHead: (head) => this.#incoming?.onHead(head),
    onData: (bytes) => this.#incoming?.onData(bytes),
    onEnd: (reusable) => this.#finish(reusable),
  });
  #socket: Socket<Connection> | null = null;
  #incoming: IncomingResponse | null = null;
  #opening: PromiseWithResolvers<void> | null = null;
  /** Bytes of the request that the kernel has not taken yet. */
  #unsent: Uint8Array | null = null;
  #signal: Cancel | null = null;
  #closed = false;

  constructor(events: ConnectionEvents) {
    this.#events = events;
  }

  /** @throws EgressError when nobody answers there; the signal's reason when it aborts. */
  async open(place: Place, signal: Cancel | null): Promise<void> {
    this.#watch(signal);
    const opening = Promise.withResolvers<void>();
    this.#opening = opening;
    // Bun.connect takes either kind of place; its types want to know which.
    const target = place as { hostname: string; port: number };
    Bun.connect({ ...target, socket: HANDLERS, data: this }).then(() => opening.resolve(), opening.reject);
    try {
      await opening.promise;
    } catch (error) {
      throw translateFailure(error, signal);
    } finally {
      this.#opening = null;
      this.#unwatch();
    }
  }

  /** Sends a request; resolves with its answer's head. The bytes are all of it: head and body. */
  send(request: string | Uint8Array, signal: Cancel | null): Promise<EgressResponse> {
    this.uses++;
    this.#parser.reset();
    const incoming = new IncomingResponse(this);
    this.#incoming = incoming;
    this.#watch(signal);
    this.#write(request);
    return incoming.response;
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  abandon(): void {
    this.close(new EgressError('closed', 'nobody reads it any more'));
  }

  /** Closes it at once; a request under way fails with `reason`. */
  close(reason: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.terminate();
    this.#opening?.reject(reason);
    this.#fail(reason);
    this.#events.onClosed(this);
  }

  /** The signal aborted (EventListener). */
  handleEvent(): void {
    this.close(this.#signal?.reason);
  }

  onOpen(socket: Socket<Connection>): void {
    this.#socket = socket;
    if (this.#closed) socket.terminate();
  }

  onData(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#incoming === null) {
      this.close(new EgressError('malformed', 'it spoke without being asked'));
      return;
    }
    try {
      this.#parser.push(bytes);
    } catch (error) {
      const malformed = error instanceof MalformedResponse;
      this.close(malformed ? new EgressError('malformed', error.message, error) : error);
    }
  }

  onDrain(): void {
    const rest = this.#unsent;
    this.#unsent = null;
    if (rest !== null) this.#write(rest);
  }

  /** The other side closed its end. */
  onPeerEnd(): void {
    if (this.#parser.finish()) return;
    this.#broken(undefined);
  }

  onSocketClosed(error: unknown): void {
    this.#broken(error);
  }

  #broken(cause: unknown): void {
    const stale = this.uses > 1 && !this.#parser.started;
    this.close(
      stale ? new StaleConnection(cause) : new EgressError('closed', 'the connection was closed', cause),
    );
  }

  #write(data: string | Uint8Array): void {
    const socket = this.#socket;
    if (socket === null) return;
    const written = socket.write(data);
    if (written < 0) return; // Closing: its close event tells the rest.
    const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (written < length)
      this.#unsent = (typeof data === 'string' ? Buffer.from(data) : data).subarray(written);
  }

  #finish(reusable: boolean): void {
    const incoming = this.#incoming;
    this.#incoming = null;
    this.#unwatch();
    incoming?.end();
    if (reusable && !this.#closed && this.#unsent === null) this.#events.onIdle(this);
    else this.close(null);
  }

  #fail(reason: unknown): void {
    const incoming = this.#incoming;
    this.#incoming = null;
    this.#unwatch();
    incoming?.fail(reason);
  }

  #watch(signal: Cancel | null): void {
    this.#unwatch();
    if (signal === null) return;
    if (signal.aborted) throw signal.reason;
    this.#signal = signal;
    signal.addEventListener('abort', this);
  }

  #unwatch(): void {
    this.#signal?.removeEventListener('abort', this);
    this.#signal = null;
  }
}

/** One set for all sockets: each finds its connection in `data`. */
const HANDLERS = {
  open: (socket: Socket<Connection>) => socket.data.onOpen(socket),
  data: (socket: Socket<Connection>, bytes: Uint8Array) => socket.data.onData(bytes),
  drain: (socket: Socket<Connection>) => socket.data.onDrain(),
  end: (socket: Socket<Connection>) => socket.data.onPeerEnd(),
  close: (socket: Socket<Connection>, error?: Error) => socket.data.onSocketClosed(error),
  // Each of these is followed by `close` or by the rejection of Bun.connect, which say the same.
  error: () => {},
  connectError: () => {},
};
