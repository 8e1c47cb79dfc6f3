/**
 * One connection as it is seen from outside, now and then: what it waits for, and since when. Only how many bytes have
 * passed each way is known, which is enough: an answer is something sent, and a request that is not complete is something
 * received after the last answer while nobody works on it.
 */
import type { Passed } from './sockets';

/**
 * `waiting`: for the rest of a request, or for its first byte. `blocked`: the client does not take its answer. `idle`: between
 * two requests. `served`: somebody works on its request.
 */
export type State = 'waiting' | 'blocked' | 'idle' | 'served';

/** Connections of one source: an IPv4 address or an IPv6 /64. */
export interface Source {
  readonly bucket: string;
  /** One of its addresses. */
  readonly address: string;
  open: number;
}

export class Connection {
  readonly descriptor: number;
  /** See Sockets.identify. */
  readonly identity: number;
  readonly address: string;
  readonly peerPort: number;
  readonly source: Source;
  state: State = 'waiting';
  sinceMs: number;
  /** When it is looked at next. */
  dueMs: number;
  /** Whether bytes have come since the last answer. */
  isBegun = false;
  #sent = 0;
  /** As of the last answer. */
  #received = 0;

  constructor(
    at: { readonly descriptor: number; readonly identity: number },
    from: { readonly address: string; readonly peerPort: number; readonly source: Source },
    nowMs: number,
    dueMs: number,
  ) {
    this.descriptor = at.descriptor;
    this.identity = at.identity;
    this.address = from.address;
    this.peerPort = from.peerPort;
    this.source = from.source;
    this.sinceMs = nowMs;
    this.dueMs = dueMs;
  }

  /** Takes note of what has passed. Whatever was sent since the last look was an answer, or a piece of one. */
  see({ sent, received, isBlocked }: Passed, nowMs: number): void {
    const isAnswered = sent !== this.#sent;
    if (isAnswered) {
      this.#sent = sent;
      this.#received = received;
    }
    this.isBegun = received !== this.#received;
    if (isAnswered) this.#become(isBlocked ? 'blocked' : 'idle', nowMs);
    else if (isBlocked) this.#remain('blocked', nowMs);
    else this.#remain(this.isBegun || sent === 0 ? 'waiting' : 'idle', nowMs);
  }

  /** Somebody works on its request, and sees to its end. */
  isServed(nowMs: number): void {
    this.#become('served', nowMs);
  }

  #remain(state: State, nowMs: number): void {
    if (state !== this.state) this.#become(state, nowMs);
  }

  #become(state: State, nowMs: number): void {
    this.state = state;
    this.sinceMs = nowMs;
  }
}
