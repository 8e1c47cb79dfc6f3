/** Who guards the door before a key is looked at: the security room's work, called by the gateway. */
import type { ClientCertificate } from './tls';

/** A request that has come in. */
export interface Visit {
  /** As in `x-request-id`. */
  readonly id: string;
  /** The client's address, as far as trusted proxies tell (FLM-086). */
  readonly ip: string;
  readonly request: Request;
  /** What the client has shown in its handshake, verified; null: nothing. No header says it. */
  readonly certificate: ClientCertificate | null;
}

/** Why somebody was not recognised (FLM-108). */
export type RefusalReason =
  | 'missing_authorization_header'
  | 'invalid_authorization_format'
  | 'invalid_or_revoked_api_key'
  /** No key of any FLM: another shape, or a checksum that tells of a slip of the finger. */
  | 'mistyped_api_key'
  /** A genuine key that is expired or revoked: its holder has guessed nothing. */
  | 'ended_api_key';

/** The screen in front of all routes. Called for every request: each call takes microseconds and waits for nothing. */
export interface Screen {
  /**
   * Before any key is looked at.
   * @throws POLICY_UNREADABLE, IP_NOT_ALLOWED, IP_BLOCKED (by the owner; by itself where no key is shown), RESOURCE_THROTTLE
   */
  arrive(visit: Visit): void;
  /**
   * Somebody is not recognised. Throws what they get in place of 401 when their address is banned (automatic bans hold
   * only for those who do not authenticate) or asks too much.
   * @throws IP_BLOCKED, RATE_LIMITED
   */
  stranger(visit: Visit, reason: RefusalReason): void;
  /**
   * Somebody who was not recognised is about to get an answer with that status: looks at what they did, and says how long
   * the answer is kept back (tarpit); null: not at all.
   */
  hold(visit: Visit, status: number): Promise<void> | null;
  /** Somebody is recognised: what their address has done counts less from now on. */
  known(visit: Visit): void;
}
