/**
 * A circuit breaker (HL-072): after failures in a row an engine is left alone for a while, then one request at a time
 * tries it, and successes in a row close it again. Ends that say nothing about the engine count for nothing.
 */
import type { Clock, LeaseOutcome } from '../contract';

export type BreakerState = 'closed' | 'open' | 'half-open';

export interface BreakerLimits {
  /** 0: it never opens. */
  readonly failuresToOpen: number;
  readonly openMs: number;
}

/** HL-072's pick. */
const SUCCESSES_TO_CLOSE = 2;

export class Breaker {
  readonly #clock: Clock;
  readonly #limits: () => BreakerLimits;
  #failures = 0;
  #successes = 0;
  /** Monotonic time at which it opened, or null while it is closed. */
  #openedMs: number | null = null;
  /** Since when one request tries it, or null when none does. */
  #triedMs: number | null = null;

  constructor(clock: Clock, limits: () => BreakerLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get state(): BreakerState {
    if (this.#openedMs === null) return 'closed';
    return this.#waitMs() > 0 ? 'open' : 'half-open';
  }

  /** Milliseconds until a request may try it, or 0 when one may now. */
  get retryAfterMs(): number {
    return this.#openedMs === null ? 0 : Math.max(this.#waitMs(), this.#tryMs());
  }

  /** Whether a request may go to the engine now; true takes the one place there is while it is half open. */
  enter(): boolean {
    if (this.#openedMs === null) return true;
    if (this.#waitMs() > 0 || this.#tryMs() > 0) return false;
    this.#triedMs = this.#clock.monotonicMs();
    return true;
  }

  /** Tells how a request that had entered came out. */
  leave(outcome: LeaseOutcome): void {
    this.#triedMs = null;
    if (outcome === 'aborted') return;
    if (outcome === 'done') this.#succeeded();
    else this.#failed();
  }

  /** Closes it: the engine is known to be another one than the one that failed, or the owner says so. */
  reset(): void {
    this.#failures = 0;
    this.#successes = 0;
    this.#openedMs = null;
    this.#triedMs = null;
  }

  #succeeded(): void {
    // While it is open, what ends well went out before, as what fails did: that is no news.
    if (this.#waitMs() > 0) return;
    this.#failures = 0;
    if (this.#openedMs === null) return;
    this.#successes++;
    if (this.#successes >= SUCCESSES_TO_CLOSE) this.reset();
  }

  #failed(): void {
    const { failuresToOpen } = this.#limits();
    this.#failures++;
    this.#successes = 0;
    if (failuresToOpen === 0) return;
    // While it is open, what fails went out before: that is no news.
    if (this.#openedMs !== null && this.#waitMs() > 0) return;
    if (this.#openedMs !== null || this.#failures >= failuresToOpen) {
      this.#openedMs = this.#clock.monotonicMs();
    }
  }

  /** How long whoever tries it keeps others away: no longer than it was left alone, however long a stream lasts. */
  #tryMs(): number {
    if (this.#triedMs === null) return 0;
    return Math.max(0, this.#triedMs + this.#limits().openMs - this.#clock.monotonicMs());
  }

  #waitMs(): number {
    if (this.#openedMs === null) return 0;
    return Math.max(0, this.#openedMs + this.#limits().openMs - this.#clock.monotonicMs());
  }
}
