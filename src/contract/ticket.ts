/** The right to ask an engine: one Ticket per request, one Lease per attempt, each closed exactly once. */
import type { Cancel } from './cancel';
import type { Candidate, Plan } from './plan';
import type { Principal } from './principal';

/** Token counts as the engine reported them. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/**
 * `done`: the engine answered; `aborted`: the client left or was sent away; `failed`: the engine broke off, answered 5xx or
 * did not answer at all.
 */
export type LeaseOutcome = 'done' | 'aborted' | 'failed';

/** As LeaseOutcome, and `refused`: FLM answered without an engine. */
export type TicketOutcome = LeaseOutcome | 'refused';

export interface Lease {
  readonly candidate: Candidate;
  /** Time spent in the engine's queue. */
  readonly waitedMs: number;
  /**
   * Gives the slot back.
   * @throws INTERNAL_ERROR when called twice: a Lease belongs to one attempt.
   */
  close(outcome: LeaseOutcome): void;
}

export interface Ticket {
  /** The request's id, as in `x-request-id`. */
  readonly id: string;
  readonly principal: Principal;
  readonly plan: Plan;
  /**
   * Waits for a slot of the candidate's engine.
   * @throws QUEUE_FULL when too many already wait; the signal's reason when it aborts first.
   */
  lease(candidate: Candidate, signal: Cancel): Lease | Promise<Lease>;
  /**
   * Ends the request.
   * @throws INTERNAL_ERROR when called twice or while a Lease is open or waited for.
   */
  close(outcome: TicketOutcome, usage: Usage | null): void;
}
