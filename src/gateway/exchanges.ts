/**
 * The requests that are being served. One sweep, a few times a second, does for all of them what a timer each would:
 * deadlines, and asking engines that have gone silent whether they are still there. Ending one aborts its engine call.
 */
import type { ConfigSnapshot } from '../config';
import type { Cancel, Clock, EngineRef } from '../contract';
import { CancelSource } from '../lib/cancel';
import { FlmError } from '../lib/errors';
import type { Door } from './edge';
import type { Intake } from './intake';
import type { Peer, PeerPorts } from './peers';
import type { RequestRecord } from './record';

/** `unsure`: it did not answer in time, which a busy engine does too. */
export type Liveness = 'alive' | 'unsure' | 'gone';

/** One request from authentication to its last byte. */
export interface Exchange {
  readonly id: string;
  readonly principalId: string;
  readonly startedMs: number;
  /** What will be told of it once it is over. */
  readonly record: RequestRecord;
  /** Through which listener it came. */
  readonly door: Door;
  readonly peer: Peer;
  /**
   * Aborts when the client leaves, a deadline passes, the key is revoked or FLM stops, and when the engine that works on
   * it is gone; its reason is an FlmError. Only in the last case a new one takes its place: another engine may be asked.
   */
  readonly signal: Cancel;
  abort(reason: FlmError): void;
  /**
   * The engine that works on it from now on, or null when none does; and whether another could be asked instead. Returns the
   * monotonic time.
   */
  workingOn(engine: EngineRef | null, replaceable: boolean): number;
  /** Something came from the engine. Returns the monotonic time. */
  heard(): number;
  /** From now on, until it is called with null, sweeps look after the body of the request, too. */
  whileReading(intake: Intake | null): void;
  /** From now on the limit for streams counts, and every sweep calls `onSweep`. */
  becomeStream(onSweep: (nowMs: number) => void): void;
  /** Ends the book-keeping. Doing it twice does nothing. */
  close(): void;
}

export interface Exchanges {
  /** Starts one for a request of `principalId`. The client's leaving aborts it. @throws SHUTTING_DOWN */
  open(record: RequestRecord, principalId: string, client: AbortSignal, door: Door, peer: Peer): Exchange;
  /** Calls `visit` for the other end of the connection of each. */
  visitPeers(visit: (address: string, port: number) => void): void;
  /** How many came through `door` and are under way. */
  through(door: Door): number;
  /** Aborts every exchange that `select` names. */
  abortWhere(select: (exchange: Exchange) => boolean, reason: () => FlmError): void;
  /** Aborts all of them and lets no other start. */
  shutDown(): void;
  /** Looks after all of them; called on a timer, and by tests. */
  sweep(): void;
  readonly size: number;
}

export interface ExchangesOptions {
  readonly clock: Clock;
  readonly config: () => ConfigSnapshot;
  readonly liveness: (engine: EngineRef) => Promise<Liveness>;
  readonly peerPorts: PeerPorts;
}

/**
 * A busy engine may miss a probe or two; one that misses three in a row has hung. Only when it works on an answer in
 * one piece and nobody else could be asked, the request's own limit decides: it may have to finish before it answers anybody.
 */
const MAX_UNSURE = 3;
/** Whoever is cut off comes again: all at once they would hold up everybody else. */
const MAX_SLOW_PER_SWEEP = 20;
const APART_MS = 10;
/** After this a request is told of before its end. */
const LONG_MS = 30_000;

export function createExchanges(options: ExchangesOptions): Exchanges {
  const open = new Set<OpenExchange>();
  let shut = false;

  return {
    open(record, principalId, client, door, peer) {
      if (shut) throw new FlmError('SHUTTING_DOWN');
      return new OpenExchange(record, principalId, client, door, peer, options, open);
    },
    visitPeers(visit) {
      for (const { peer } of open) visit(peer.address, peer.port);
    },
    through: (door) => [...open].filter((exchange) => exchange.door === door).length,
    abortWhere(select, reason) {
      for (const exchange of [...open]) if (select(exchange)) exchange.abort(reason());
    },
    shutDown() {
      shut = true;
      for (const exchange of [...open]) exchange.abort(new FlmError('SHUTTING_DOWN'));
    },
    sweep() {
      const nowMs = options.clock.monotonicMs();
      let slow = 0;
      for (const exchange of [...open]) {
        exchange.sweep(nowMs);
        if (!exchange.isTooSlow(nowMs) || slow >= MAX_SLOW_PER_SWEEP) continue;
        setTimeout(() => exchange.giveUpReading(), slow++ * APART_MS);
      }
    },
    get size() {
      return open.size;
    },
  };
}

/** A class, because there is one for every request and methods on a prototype cost nothing to make. */
class OpenExchange implements Exchange {
  readonly id: string;
  readonly principalId: string;
  readonly startedMs: number;
  readonly record: RequestRecord;
  readonly door: Door;
  readonly peer: Peer;
  signal = new CancelSource();
  readonly #client: AbortSignal;
  readonly #options: ExchangesOptions;
  readonly #open: Set<OpenExchange>;
  #engine: EngineRef | null = null;
  #heardMs: number;
  #probing = false;
  #unsure = 0;
  #replaceable = false;
  #onSweep: ((nowMs: number) => void) | null = null;
  #intake: Intake | null = null;
  #isAnnounced = false;

  constructor(
    record: RequestRecord,
    principalId: string,
    client: AbortSignal,
    door: Door,
    peer: Peer,
    options: ExchangesOptions,
    open: Set<OpenExchange>,
  ) {
    this.id = record.requestId;
    this.record = record;
    this.principalId = principalId;
    this.door = door;
    this.peer = peer;
    this.startedMs = options.clock.monotonicMs();
    this.#client = client;
    this.#options = options;
    this.#open = open;
    this.#heardMs = this.startedMs;
    open.add(this);
    options.peerPorts.add(peer.port);
    record.workBegins(principalId);
    if (client.aborted) this.handleEvent();
    else client.addEventListener('abort', this);
  }

  /** The client's connection closed (EventListener). */
  handleEvent(): void {
    this.abort(new FlmError('CLIENT_CLOSED_REQUEST'));
  }

  abort(reason: FlmError): void {
    this.signal.abort(reason);
  }

  workingOn(engine: EngineRef | null, replaceable: boolean): number {
    this.#engine = engine;
    this.#replaceable = replaceable;
    return this.heard();
  }

  heard(): number {
    this.#unsure = 0;
    this.#heardMs = this.#options.clock.monotonicMs();
    return this.#heardMs;
  }

  whileReading(intake: Intake | null): void {
    this.#intake = intake;
  }

  becomeStream(onSweep: (nowMs: number) => void): void {
    this.#onSweep = onSweep;
  }

  close(): void {
    if (this.#open.delete(this)) this.#options.peerPorts.remove(this.peer.port);
    this.#client.removeEventListener('abort', this);
    this.record.workEnds();
  }

  sweep(nowMs: number): void {
    if (!this.#isAnnounced && nowMs - this.startedMs >= LONG_MS) {
      this.#isAnnounced = true;
      this.record.announce(nowMs);
    }
    const settings = this.#options.config();
    const streams = this.#onSweep !== null;
    const limitMs = settings[streams ? 'proxy.stream_timeout_ms' : 'proxy.request_timeout_ms'];
    if (nowMs - this.startedMs >= limitMs) {
      this.abort(new FlmError(streams ? 'STREAMING_TIMEOUT' : 'REQUEST_TIMEOUT', { meta: { limitMs } }));
      return;
    }
    const silent = nowMs - this.#heardMs >= settings['proxy.stall_probe_ms'];
    if (silent && this.#engine !== null && !this.#probing) void this.#probe(this.#engine);
    this.#onSweep?.(nowMs);
  }

  /** Whether its body comes too slowly. */
  isTooSlow(nowMs: number): boolean {
    return this.#intake?.isTooSlow(nowMs) === true;
  }

  giveUpReading(): void {
    if (this.#intake !== null) this.abort(this.#intake.slowness());
  }

  async #probe(engine: EngineRef): Promise<void> {
    this.#probing = true;
    const result = await this.#options.liveness(engine).catch((): Liveness => 'unsure');
    this.#probing = false;
    // Somebody else was asked meanwhile, or nobody is.
    if (this.#engine !== engine) return;
    this.#unsure = result === 'unsure' ? this.#unsure + 1 : 0;
    const hung = this.#unsure >= MAX_UNSURE && (this.#onSweep !== null || this.#replaceable);
    if (result === 'gone' || hung) {
      const reason = result === 'gone' ? 'it went away while it worked on this' : 'it has hung';
      this.#giveUp(new FlmError('ENGINE_NETWORK_ERROR', { meta: { engine: engine.id, reason } }));
      return;
    }
    this.#heardMs = this.#options.clock.monotonicMs(); // The next probe is due after another silence.
  }
  /** Ends the engine's work and not the request. */
  #giveUp(reason: FlmError): void {
    const { signal } = this;
    if (signal.aborted) return;
    this.signal = new CancelSource();
    this.#engine = null;
    signal.abort(reason);
  }
}
