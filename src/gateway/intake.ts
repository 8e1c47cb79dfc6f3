/**
 * How the body of a request comes in, and whether it is too slow: somebody who sends a byte now and then would keep a
 * connection and a place among the requests for ever. Answers are another matter: an engine may think as long as it likes.
 */
import type { Clock } from '../contract';
import { FlmError } from '../lib/errors';

export interface IntakeLimits {
  readonly clock: Clock;
  /** The rate below which a body is given up; null: it may take its time. */
  readonly minBodyBytesPerSecond: () => number | null;
}

/** How long a body may lag behind the rate: honest pauses are shorter. */
const GRACE_MS = 15_000;
/** More time than this has not passed between two looks: then FLM itself has paused, and has read nothing meanwhile. */
const MAX_STEP_MS = 5_000;

/** A class, because there is one for every request and methods on a prototype cost nothing to make. */
export class Intake {
  readonly #limits: IntakeLimits;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #seenMs: number;
  /** By how much the body lags behind. Never less than 0 once pieces come: nobody saves up an hour of silence. */
  #lateMs = 0;

  constructor(limits: IntakeLimits) {
    this.#limits = limits;
    this.#seenMs = limits.clock.monotonicMs();
  }

  /** It is read at once, so nobody sees it move: it has the time that it would take at the slowest rate. */
  expect(byteCount: number): void {
    const bytesPerSecond = this.#limits.minBodyBytesPerSecond();
    if (bytesPerSecond !== null) this.#lateMs = -(byteCount / bytesPerSecond) * 1_000;
  }

  /** It is read with this, and `came` is told of each piece. */
  follow(reader: ReadableStreamDefaultReader<Uint8Array>): void {
    this.#reader = reader;
  }

  came(byteCount: number): void {
    const bytesPerSecond = this.#limits.minBodyBytesPerSecond();
    if (bytesPerSecond !== null)
      this.#lateMs = Math.max(0, this.#lateMs - (byteCount / bytesPerSecond) * 1_000);
  }

  /** Stops reading. */
  giveUp(): void {
    this.#reader?.cancel().catch(() => {});
  }

  /** Called several times a second. */
  isTooSlow(nowMs: number): boolean {
    this.#lateMs += Math.min(nowMs - this.#seenMs, MAX_STEP_MS);
    this.#seenMs = nowMs;
    return this.#lateMs >= GRACE_MS && this.#limits.minBodyBytesPerSecond() !== null;
  }

  slowness(): FlmError {
    return new FlmError('BODY_TOO_SLOW', { meta: { bytesPerSecond: this.#limits.minBodyBytesPerSecond() } });
  }
}
