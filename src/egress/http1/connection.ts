/** One connection to an engine: carries one request at a time, and is used again while both sides agree. */
import type { Socket } from 'bun';
import type { Cancel } from '../../contract';
import { EgressError, translateFailure } from '../errors';
import type { EgressResponse } from '../transport';
import { type Flow, IncomingResponse } from './incoming';
import { MalformedResponse, ResponseParser } from './parser';

/** Where to connect to, or who does that. */
export type Place =
  | { readonly hostname: string; readonly port: number }
  | { readonly unix: string }
  | { readonly dial: Dial };

/** What carries the bytes: a socket of the runtime, or one through a tunnel. */
export interface Wire {
  /** Returns how many bytes were taken; what was not is written again after `onDrain`. */
  write(data: string | Uint8Array): number;
  pause(): void;
  resume(): void;
  terminate(): void;
}

/** What is told of a wire. */
export interface WireEvents {
  /** Told as soon as there is something to terminate, and again when another wire takes its place. */
  onOpen(wire: Wire): void;
  onData(bytes: Uint8Array): void;
  onDrain(): void;
  onPeerEnd(): void;
  onSocketClosed(error: unknown): void;
}

/** Connects by other means than a plain socket; resolves when a request can be sent. */
export type Dial = (events: WireEvents) => Promise<void>;

/** Thrown when a connection that had been idle broke before it said anything: the other side had closed it meanwhile. */
export class StaleConnection extends EgressError {
  constructor(cause: unknown) {
    super('closed', 'the connection had been closed', cause);
  }
}

export class Connection implements Flow, WireEvents {
  /** Requests it has carried. */
  uses = 0;
  readonly #onIdle: (connection: Connection) => void;
  readonly #parser = new ResponseParser({
    onHead: (head) => this.#incoming?.onHead(head),
    onData: (bytes) => this.#incoming?.onData(bytes),
    onEnd: (reusable) => this.#finish(reusable),
  });
  #socket: Wire | null = null;
  #incoming: IncomingResponse | null = null;
  #opening: PromiseWithResolvers<void> | null = null;
  /** Bytes of the request that the kernel has not taken yet. */
  #unsent: Uint8Array | null = null;
  #signal: Cancel | null = null;
  /** Whether a request waits for the end of the turn. */
  #isLeaving = false;
  /** Why it was closed, once it is; null inside when there was no more use for it. */
  #closed: { readonly reason: unknown } | null = null;

  /** `onIdle` is called whenever it is free for another request. */
  constructor(onIdle: (connection: Connection) => void) {
    this.#onIdle = onIdle;
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  /**
   * Connects, for a request that follows at once: until then, aborting the signal closes it.
   * @throws EgressError when nobody answers there; the signal's reason when it aborts.
   */
  async open(place: Place, signal: Cancel | null): Promise<void> {
    if (signal?.aborted) throw signal.reason;
    this.#watch(signal);
    const opening = Promise.withResolvers<void>();
    this.#opening = opening;
    connect(place, this).then(() => opening.resolve(), opening.reject);
    try {
      await opening.promise;
    } catch (error) {
      this.#unwatch();
      throw translateFailure(error, signal);
    } finally {
      this.#opening = null;
    }
  }

  /** Sends a request; resolves with its answer's head. The bytes are all of it: head and body. */
  send(request: string | Uint8Array, signal: Cancel | null): Promise<EgressResponse> {
    this.uses++;
    this.#parser.reset();
    const incoming = new IncomingResponse(this);
    if (this.#closed !== null) {
      // Accepted and closed at once, or aborted since it was opened.
      incoming.fail(this.#closed.reason);
      return incoming.response;
    }
    this.#incoming = incoming;
    this.#watch(signal);
    this.#isLeaving = true;
    leave(this, request);
    return incoming.response;
  }

  /** Writes what `send` was given. Never throws: others leave in the same turn. */
  depart(request: string | Uint8Array): void {
    this.#isLeaving = false;
    if (this.#closed !== null) return;
    try {
      this.#write(request);
    } catch (error) {
      this.close(error);
    }
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
    if (this.#closed !== null) return;
    this.#closed = { reason };
    this.#unsent = null;
    this.#socket?.terminate();
    this.#opening?.reject(reason);
    this.#fail(reason);
  }

  /** The signal aborted (EventListener). */
  handleEvent(): void {
    this.close(this.#signal?.reason);
  }

  onOpen(wire: Wire): void {
    this.#socket = wire;
    if (this.#closed !== null) wire.terminate();
  }

  onData(bytes: Uint8Array): void {
    if (this.#closed !== null) return;
    if (this.#incoming === null || this.#isLeaving) {
      const unasked = new EgressError('malformed', 'it spoke without being asked');
      // What is about to leave can leave on another.
      this.close(this.uses > 1 ? new StaleConnection(unasked) : unasked);
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
    if (reusable && this.#closed === null && this.#unsent === null) this.#onIdle(this);
    else this.close(null);
  }

  #fail(reason: unknown): void {
    const incoming = this.#incoming;
    this.#incoming = null;
    this.#unwatch();
    incoming?.fail(reason);
  }

  #watch(signal: Cancel | null): void {
    if (signal === this.#signal) return;
    this.#unwatch();
    this.#signal = signal;
    signal?.addEventListener('abort', this);
  }

  #unwatch(): void {
    this.#signal?.removeEventListener('abort', this);
    this.#signal = null;
  }
}

function connect(place: Place, connection: Connection): Promise<unknown> {
  if ('dial' in place) return place.dial(connection);
  // Bun.connect takes either kind of place; its types want to know which.
  const target = place as { hostname: string; port: number };
  return Bun.connect({ ...target, socket: HANDLERS, data: connection });
}

/** Requests that were made in this turn. They leave together: an engine is woken for each otherwise (ADR 0011). */
let leaving: { readonly connection: Connection; readonly request: string | Uint8Array }[] = [];

function leave(connection: Connection, request: string | Uint8Array): void {
  if (leaving.push({ connection, request }) === 1) setImmediate(departAll);
}

function departAll(): void {
  const all = leaving;
  leaving = [];
  for (const { connection, request } of all) connection.depart(request);
}

/** One set for all sockets: each finds its connection in `data`. */
const HANDLERS = {
  open: (socket: Socket<Connection>) => socket.data.onOpen(socket),
  data: (socket: Socket<Connection>, bytes: Uint8Array) => socket.data.onData(bytes),
  drain: (socket: Socket<Connection>) => socket.data.onDrain(),
  end: (socket: Socket<Connection>) => socket.data.onPeerEnd(),
  close: (socket: Socket<Connection>, error?: Error) => socket.data.onSocketClosed(error),
  /** A handler above threw: whoever waits for the answer is told, instead of waiting for ever. */
  error: (socket: Socket<Connection>, error: unknown) => socket.data.close(error),
  // Followed by the rejection of Bun.connect, which says the same.
  connectError: () => {},
};
