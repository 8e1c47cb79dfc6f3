/** What the policy says of connections, with its defaults (FLM-115 as design §6 changes it). */
import { parseIpSet } from '../../lib/ip';
import type { CurrentPolicy, Policy } from '../../policy';

export interface Limits {
  readonly maxPerAddress: number;
  readonly headerTimeoutMs: number;
  /** Null: bodies may take their time. */
  readonly minBodyBytesPerSecond: number | null;
  /** Addresses that may have any number of connections. */
  readonly isExempt: (ip: string) => boolean;
}

const MAX_PER_ADDRESS = 256;
/** The runtime itself closes a connection without a word twelve seconds after its first request began. */
const HEADER_TIMEOUT_S = 10;
const MIN_BODY_BYTES_PER_S = 1_024;

export interface LimitsOptions {
  readonly policy: CurrentPolicy;
  /** Whether a listener can be reached from other machines. */
  readonly isExposed: () => boolean;
}

/** The limits in force, read anew when the policy is another one; null while connections are left alone. */
export function createLimits({ policy, isExposed }: LimitsOptions): () => Limits | null {
  let seen: Policy | null | undefined;
  let isEnabled: boolean | undefined;
  let limits: Limits;
  return () => {
    const current = policy();
    if (current !== seen) {
      seen = current;
      // A policy that cannot be read lets nobody do anything; how long they may take over it is as by default.
      const { connections = {}, ip_blocklist: blocklist } = current?.document ?? {};
      isEnabled = connections.enabled;
      const rate = connections.min_body_bytes_per_s ?? MIN_BODY_BYTES_PER_S;
      const never = parseIpSet(blocklist?.never ?? []);
      limits = {
        maxPerAddress: connections.max_per_address ?? MAX_PER_ADDRESS,
        headerTimeoutMs: (connections.header_timeout_s ?? HEADER_TIMEOUT_S) * 1_000,
        minBodyBytesPerSecond: rate === 0 ? null : rate,
        isExempt: (ip) => never.has(ip),
      };
    }
    return (isEnabled ?? isExposed()) ? limits : null;
  };
}
