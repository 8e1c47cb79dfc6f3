/** The right to ask an engine: one Ticket per request, one Lease per attempt, each closed exactly once. */
import type { Cancel } from './cancel';
import type { Candidate, Plan } from './plan';
import type { Principal } from './principal';

/** Token counts as the engine reported them. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Part of the prompt that was in a cache, where the engine tells. */
  readonly cachedTokens: number | null;
  /** Part of the completion that was thinking, where the engine tells. */
  readonly reasoningTokens: number | null;
}

/** What an attempt showed of the engine, as far as it came. */
export interface Seen {
  /** From the request's leaving for the engine to the first words of a stream; null for an answer in one piece. */
  readonly firstTokenMs: number | null;
  readonly usage: Usage | null;
  /** The HTTP status it answered with. */
  readonly status: number;
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
  /** The engine has begun to answer: its breaker need not wait for the end to know that it is well. At most once. */
  answered(): void;
  /**
   * Gives the slot back, and tells the engine's breaker how it went.
   * @throws INTERNAL_ERROR when called twice: a Lease belongs to one attempt.
   */
  close(outcome: LeaseOutcome, seen: Seen | null): void;
}

/** Where a key stands with one of its limits, as its answers tell. */
export interface Allowance {
  readonly perMinute: number;
  readonly burst: number;
  readonly remaining: number;
  /** Until everything is free again, if nothing more is asked for. */
  readonly resetMs: number;
}

/** Where a key stands; null for a limit that it has not. */
export interface Quota {
  readonly requests: Allowance | null;
  readonly tokens: Allowance | null;
}

/** A request of somebody who is recognised, at the door of the engines. */
export interface Entrant {
  /** As in `x-request-id`. */
  readonly id: string;
  /** The client's address. */
  readonly ip: string;
  /** Filled in by whoever counts, let in or not; null while nothing was counted, and for somebody without limits. */
  quota: Quota | null;
}

export interface Ticket {
  /** The request's id, as in `x-request-id`. */
  readonly id: string;
  readonly principal: Principal;
  readonly plan: Plan;
  /**
   * Waits for a slot of the candidate's engine.
   * @throws QUEUE_FULL when too many already wait; ENGINE_UNAVAILABLE while its breaker is open; the signal's reason when
   * it aborts first.
   */
  lease(candidate: Candidate, signal: Cancel): Lease | Promise<Lease>;
  /**
   * Ends the request. `sent`: pieces of an answer that a client has who left before its end; each was a token at least.
   * @throws INTERNAL_ERROR when called twice or while a Lease is open or waited for.
   */
  close(outcome: TicketOutcome, usage: Usage | null, sent?: number): void;
}

/** The breakers of the engines: nobody gets a Lease without passing, and every Lease tells how it went. */
export interface EngineGate {
  /** Takes a place at the engine. @throws ENGINE_UNAVAILABLE while its breaker is open */
  enter(candidate: Candidate): void;
  /** The engine has begun to answer, which is all that a breaker wants to know of a success. */
  answered(candidate: Candidate): void;
  /** Gives the place back, after `durationMs`; `answered` says whether that was told before. */
  leave(
    candidate: Candidate,
    outcome: LeaseOutcome,
    durationMs: number,
    seen: Seen | null,
    answered: boolean,
  ): void;
}
