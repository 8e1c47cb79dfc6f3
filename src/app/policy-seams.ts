/** What the policy is told of by rooms it may not look into: what is on record of it, and who uses FLM from where. */
import type { Audit } from '../audit';
import type { Clock } from '../contract';
import type { Bus } from '../lib/bus';
import { isLoopback, parseIp } from '../lib/ip';
import { isRecord } from '../lib/json';
import type { Proxies } from '../listeners';
import type { Known, Surroundings } from '../policy';

/** The last version of the policy in the audit chain, or null when none was ever changed. */
export async function policyOnRecord(audit: Pick<Audit, 'list'>): Promise<Known | null> {
  const types = ['policy.set', 'policy.rolled_back'] as const;
  const lists = await Promise.all(types.map((type) => audit.list({ type, limit: 1 })));
  const known = lists
    .flatMap(({ items }) => items)
    .flatMap(({ details }) => {
      const { version, seal } = isRecord(details) ? details : {};
      return typeof version === 'number' && typeof seal === 'string' ? [{ version, seal }] : [];
    });
  return known.reduce<Known | null>(
    (last, next) => (last === null || next.version > last.version ? next : last),
    null,
  );
}

/** For how long an address counts as one that uses FLM, and how many are remembered. */
const LATELY_MS = 3_600_000;
const MAX_CLIENTS = 1_000;

export interface RecentClients {
  /** Addresses from which somebody with a key came within the last hour. */
  list(): string[];
  close(): void;
}

export function createRecentClients(bus: Bus, clock: Clock): RecentClients {
  /** When each was last seen; the one that was not seen for longest comes first. */
  const seen = new Map<string, number>();
  const stop = bus.subscribe('request.finished', ({ request: { ip, principalId } }) => {
    if (principalId === null) return;
    seen.delete(ip);
    seen.set(ip, clock.monotonicMs());
    const [oldest] = seen.keys();
    if (seen.size > MAX_CLIENTS && oldest !== undefined) seen.delete(oldest);
  });
  return {
    list: () => [...seen].filter(([, ms]) => clock.monotonicMs() - ms < LATELY_MS).map(([ip]) => ip),
    close: stop,
  };
}

/** This machine itself is never shut out, so it does not count. */
export function surroundingsOf(proxies: Pick<Proxies, 'all'>, clients: RecentClients): Surroundings {
  const isPublic = proxies.all().some(({ endpoints }) => endpoints.public.length > 0);
  return { isPublic, clients: clients.list().filter((ip) => parseIp(ip) !== null && !isLoopback(ip)) };
}
