/**
 * The limits (FLM-110): of each key, of addresses, and of all clients together. What is counted is counted before a Ticket
 * exists, and given back when the request is not let in after all.
 */
import type { Clock, Entrant, Event, Principal, Quota } from '../../contract';
import type { Bus } from '../../lib/bus';
import { FlmError } from '../../lib/errors';
import { ipBucket, parseIp } from '../../lib/ip';
import type { Log } from '../../lib/log';
import type { CurrentPolicy, Policy } from '../../policy';
import type { KeyRules } from '../terms';
import { createAddresses } from './addresses';
import { createMemoryStore } from './memory';
import { type Limit, limitOf, WINDOW_MS } from './meter';
import type { Demand, LimitRow, LimitRows, LimitStore, Standing, Verdict } from './model';

export interface Limits {
  /**
   * Counts a request of somebody who is recognised. `tokens` is what it may use; null where no engine is asked, so that
   * neither tokens nor parallel requests count. Tells the entrant's quota, also when it throws.
   * @throws RATE_LIMITED, TOKENS_LIMITED, TOO_MANY_PARALLEL with `retryAfterSeconds`; POLICY_UNREADABLE
   */
  enter(entrant: Entrant, principal: Principal, tokens: number | null): Pass | Promise<Pass>;
  /**
   * Whether the body is worth reading: not when the requests of this minute are used up, of the key or of all together.
   * Counts nothing; costs two look-ups, and nothing where the store cannot tell at once.
   * @throws RATE_LIMITED, as `enter` would
   */
  precheck(entrant: Entrant, principal: Principal): void;
  /** Tells the entrant's quota and counts nothing. */
  look(entrant: Entrant, principal: Principal): void | Promise<void>;
  /**
   * Counts a request of somebody who is not recognised, by their address. `share`: the part of the limit that they get, for
   * those who look like trouble.
   * @throws RATE_LIMITED
   */
  stranger(visit: Pick<Entrant, 'id' | 'ip'>, share?: number): void;
  /** Whether tokens of a key are counted at all. */
  metersTokens(principal: Principal): boolean;
  /** @throws POLICY_UNREADABLE */
  policy(): Policy;
  /** Requests that hold a place of a key with a limit of parallel ones. */
  parallel(): number;
  pause(): void;
  resume(): void;
  close(): void;
}

/** What a request has taken. Closed once. */
export interface Pass {
  /**
   * Gives its place back, and counts the tokens that were really used; null: nobody has told, so what was reserved stands.
   * At least `atLeast` count in either case.
   */
  close(tokens: number | null, atLeast?: number): void;
}

export interface LimitsOptions {
  readonly rows: LimitRows;
  readonly policy: CurrentPolicy;
  readonly rulesOf: (principal: Principal) => KeyRules | null;
  /** Whether a listener can be reached from other machines. */
  readonly isExposed: () => boolean;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  /** Another place for the counts of keys; default: memory, with `rows`. */
  readonly store?: LimitStore;
}

/** Of an address, when the policy names no number (FLM-109). */
const ADDRESS_PER_MINUTE = 1_000;
const FLUSH_MS = 1_000;
/** Longest wait that is told: nobody plans by more. */
const MAX_RETRY_SECONDS = 3_600;

/** What follows from a policy, derived once for each. */
interface Derived {
  readonly from: Policy;
  readonly requests: Limit | null;
  readonly tokens: Limit | null;
  readonly global: Limit | null;
  readonly address: Limit | null;
  readonly addressCounts: 'everybody' | 'strangers';
  /** Null: as soon as FLM is exposed. */
  readonly addressEnabled: boolean | null;
}

type Exceeded = Extract<Event, { readonly name: 'limit.exceeded' }>;

export function createLimits(options: LimitsOptions): Limits {
  const { rows, rulesOf, isExposed, clock, bus, log } = options;
  const memory = createMemoryStore({ clock, rows, log });
  const store = options.store ?? memory;
  const addresses = createAddresses({ seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 });
  const parallel = new Map<string, number>();
  const now = () => Math.floor(clock.monotonicMs());
  let isPaused = false;
  let derived: Derived | null = null;
  let areAddressesRestored = false;

  function current(): Derived {
    const policy = options.policy();
    if (policy === null) {
      const reason = 'it is damaged, or was changed by somebody else';
      throw new FlmError('POLICY_UNREADABLE', { meta: { reason } });
    }
    if (derived === null || derived.from !== policy) derived = derive(policy);
    return derived;
  }

  function addressLimit({ address, addressEnabled }: Derived): Limit | null {
    if (address === null || !(addressEnabled ?? isExposed())) return null;
    if (!areAddressesRestored) restoreAddresses(address);
    return address;
  }

  /** The limit of addresses where it holds for those who have a key, too. */
  function everybodysAddressLimit(rules: Derived): Limit | null {
    return rules.addressCounts === 'everybody' ? addressLimit(rules) : null;
  }

  function restoreAddresses(limit: Limit): void {
    areAddressesRestored = true;
    const nowMs = now();
    for (const { subject, startedAtMs, count } of memory.strangers) {
      const ageMs = Math.max(0, clock.nowMs() - startedAtMs);
      if (ageMs < WINDOW_MS) addresses.restore(subject, limit, nowMs - ageMs, count, nowMs);
    }
  }

  function countAddress({ id, ip }: Pick<Entrant, 'id' | 'ip'>, limit: Limit): void {
    const bucket = bucketOf(ip);
    const waitMs = addresses.take(bucket, limit, now());
    if (waitMs === 0) return;
    tell(id, 'address', 'requests', `address:${bucket}`);
    throw tooMany('RATE_LIMITED', 'this address', limit, waitMs);
  }

  function tell(
    requestId: string,
    limit: Exceeded['limit'],
    unit: Exceeded['unit'],
    subject: Exceeded['subject'],
  ): void {
    bus.publish({ name: 'limit.exceeded', requestId, limit, unit, subject });
  }

  function demandsOf(principal: Principal, derived: Derived, tokens: number | null, cost: 0 | 1): Demand[] {
    const demands: Demand[] = [];
    const rules = rulesOf(principal);
    const requests = chosen(rules?.requests, derived.requests);
    if (requests !== null) demands.push({ subject: principal.id, unit: 'requests', limit: requests, cost });
    const { global } = derived;
    if (global !== null) demands.push({ subject: GLOBAL, unit: 'requests', limit: global, cost });
    const tokenLimit = chosen(rules?.tokens, derived.tokens);
    if (tokenLimit !== null) {
      // What is larger than the limit itself goes when nothing else has in this minute, and is paid for afterwards.
      const reserved = cost === 0 || tokens === null ? 0 : Math.min(tokens, tokenLimit.perMinute);
      demands.push({ subject: principal.id, unit: 'tokens', limit: tokenLimit, cost: reserved });
    }
    return demands;
  }

  function enterCounted(entrant: Entrant, demands: readonly Demand[], verdict: Verdict): Reservation | null {
    entrant.quota = quotaOf(demands, verdict.standings);
    const refused = verdict.refused === null ? undefined : demands[verdict.refused];
    if (refused !== undefined) throw refusal(entrant, refused, verdict.waitMs);
    const last = demands.at(-1);
    if (last === undefined || last.unit !== 'tokens' || last.cost === 0) return null;
    return { demand: last, window: verdict.standings.at(-1)?.window ?? 0 };
  }

  function leave(subject: string): void {
    const left = (parallel.get(subject) ?? 1) - 1;
    if (left === 0) parallel.delete(subject);
    else parallel.set(subject, left);
  }

  function passOf(holder: string | null, reservation: Reservation | null): Pass {
    if (holder === null && reservation === null) return FREE_PASS;
    let isOpen = true;
    return {
      close(tokens, atLeast = 0) {
        if (!isOpen) return;
        isOpen = false;
        if (holder !== null) leave(holder);
        if (reservation === null) return;
        const { demand, window } = reservation;
        const used = Math.max(tokens ?? demand.cost, atLeast);
        // Where the counts are elsewhere, nobody waits for them to be put right.
        const settled = used === demand.cost ? undefined : store.settle(demand, window, used);
        if (settled instanceof Promise)
          settled.catch((error: unknown) => log.warn('tokens could not be settled', { error }));
      },
    };
  }

  function look(entrant: Entrant, principal: Principal): void | Promise<void> {
    const demands = demandsOf(principal, current(), null, 0);
    if (demands.length === 0) return;
    return after(store.take(demands), ({ standings }) => {
      entrant.quota = quotaOf(demands, standings);
    });
  }

  function precheck(entrant: Entrant, principal: Principal): void {
    const rules = current();
    const address = everybodysAddressLimit(rules);
    if (address !== null && addresses.isUsedUp(bucketOf(entrant.ip), address, now()))
      countAddress(entrant, address);
    const own = chosen(rulesOf(principal)?.requests, rules.requests);
    if (own !== null) refuseUsedUp(entrant, principal, principal.id, own);
    if (rules.global !== null) refuseUsedUp(entrant, principal, GLOBAL, rules.global);
  }

  function refuseUsedUp(entrant: Entrant, principal: Principal, subject: string, limit: Limit): void {
    const waitMs = store.usedUpMs?.(subject, limit) ?? 0;
    if (waitMs === 0) return;
    const address = everybodysAddressLimit(current());
    if (address !== null) countAddress(entrant, address);
    // A store that tells at once does so here, too.
    look(entrant, principal);
    throw refusal(entrant, { subject, unit: 'requests', limit }, waitMs);
  }

  /** On record, and what to tell whoever asked. */
  function refusal(
    { id }: Entrant,
    { subject, unit, limit }: Pick<Demand, 'subject' | 'unit' | 'limit'>,
    waitMs: number,
  ): FlmError {
    const isGlobal = subject === GLOBAL;
    tell(id, isGlobal ? 'global' : 'key', unit, isGlobal ? 'global' : `key:${subject}`);
    const code = unit === 'tokens' ? 'TOKENS_LIMITED' : 'RATE_LIMITED';
    return tooMany(code, isGlobal ? 'all clients together' : 'this key', limit, waitMs);
  }

  function flush(): void {
    if (isPaused) return;
    memory.flush();
    const nowMs = now();
    const wallMs = clock.nowMs();
    const heavy: LimitRow[] = [];
    for (const [subject, startMs, count] of addresses.busy()) {
      const startedAtMs = wallMs - (nowMs - startMs);
      heavy.push({
        subject,
        unit: 'strangers',
        startedAtMs,
        count,
        level: 0,
        held: 0,
        expiresAtMs: startedAtMs + WINDOW_MS,
      });
    }
    if (heavy.length > 0) memory.keep(heavy);
  }

  const timer = setInterval(flush, FLUSH_MS);
  timer.unref();

  return {
    enter(entrant, principal, tokens) {
      const rules = current();
      const address = everybodysAddressLimit(rules);
      if (address !== null) countAddress(entrant, address);
      const most = tokens === null ? null : (rulesOf(principal)?.parallel ?? null);
      const { id } = principal;
      if (most !== null) {
        const open = parallel.get(id) ?? 0;
        if (open >= most) {
          tell(entrant.id, 'key', 'parallel', `key:${id}`);
          const error = new FlmError('TOO_MANY_PARALLEL', { meta: { limit: most, retryAfterSeconds: 1 } });
          return after(look(entrant, principal), () => {
            throw error;
          });
        }
        parallel.set(id, open + 1);
      }
      const holder = most === null ? null : id;
      const demands = demandsOf(principal, rules, tokens, 1);
      if (demands.length === 0) return passOf(holder, null);
      const giveBack = (error: unknown): never => {
        if (holder !== null) leave(holder);
        throw error;
      };
      try {
        const verdict = store.take(demands);
        if (!(verdict instanceof Promise)) return passOf(holder, enterCounted(entrant, demands, verdict));
        return verdict.then((late) => passOf(holder, enterCounted(entrant, demands, late))).catch(giveBack);
      } catch (error) {
        return giveBack(error);
      }
    },

    precheck,
    look,

    stranger(visit, share = 1) {
      const limit = addressLimit(current());
      if (limit !== null) countAddress(visit, share === 1 ? limit : shareOf(limit, share));
    },

    metersTokens: (principal) => {
      const policy = options.policy();
      if (policy === null) return false; // It will not be let in.
      return chosen(rulesOf(principal)?.tokens, current().tokens) !== null;
    },

    policy: () => current().from,

    parallel() {
      let open = 0;
      for (const count of parallel.values()) open += count;
      return open;
    },

    pause() {
      flush();
      isPaused = true;
      memory.pause();
    },

    resume() {
      isPaused = false;
      memory.resume();
    },

    close() {
      clearInterval(timer);
      flush();
      memory.close();
    },
  };
}

interface Reservation {
  readonly demand: Demand;
  readonly window: number;
}

const GLOBAL = 'global';

const FREE_PASS: Pass = { close() {} };

/** Calls `then` with the value, at once when it is there. */
export function after<Value, Result>(
  value: Value | Promise<Value>,
  then: (value: Value) => Result,
): Result | Promise<Result> {
  return value instanceof Promise ? value.then(then) : then(value);
}

/** The edge has made it canonical: an IPv4 address is its own bucket. */
function bucketOf(ip: string): string {
  return ip.includes(':') && parseIp(ip) !== null ? ipBucket(ip) : ip;
}

/** A key's own limit, else the policy's. */
function chosen(own: Limit | 'none' | 'policy' | undefined, ofPolicy: Limit | null): Limit | null {
  if (own === undefined || own === 'policy') return ofPolicy;
  return own === 'none' ? null : own;
}

function derive(policy: Policy): Derived {
  const { document } = policy;
  const { rate_limit: rate, token_limit: token, ip_rate_limit: ip, global_rate_limit: global } = document;
  const perMinute = ip?.rpm ?? ADDRESS_PER_MINUTE;
  // An address never gets more at once than in a minute (FLM-110).
  const burst = Math.min(ip?.burst ?? perMinute, perMinute);
  return {
    from: policy,
    requests: limitOf(rate?.rpm, rate?.burst),
    tokens: limitOf(token?.tpm),
    global: limitOf(global?.rpm, global?.burst),
    address: limitOf(perMinute, burst),
    addressCounts: ip?.applies_to ?? 'strangers',
    addressEnabled: ip?.enabled ?? null,
  };
}

function shareOf({ perMinute, burst }: Limit, share: number): Limit {
  const part = (of: number) => Math.max(1, Math.floor(of * share));
  return { perMinute: part(perMinute), burst: part(burst) };
}

function quotaOf(demands: readonly Demand[], standings: readonly Standing[]): Quota | null {
  let requests: Quota['requests'] = null;
  let tokens: Quota['tokens'] = null;
  for (const [index, { subject, unit, limit }] of demands.entries()) {
    const standing = standings[index];
    if (standing === undefined || subject === GLOBAL) continue;
    const { perMinute, burst } = limit;
    const allowance = { perMinute, burst, remaining: standing.remaining, resetMs: standing.resetMs };
    if (unit === 'requests') requests = allowance;
    else tokens = allowance;
  }
  return requests === null && tokens === null ? null : { requests, tokens };
}

function tooMany(
  code: 'RATE_LIMITED' | 'TOKENS_LIMITED',
  subject: string,
  { perMinute: limit, burst }: Limit,
  waitMs: number,
): FlmError {
  const retryAfterSeconds = Math.min(MAX_RETRY_SECONDS, Math.ceil(waitMs / 1_000));
  const allowance = burst < limit ? `${limit} a minute, ${burst} at once` : `${limit} a minute`;
  return new FlmError(code, { meta: { subject, limit, allowance, retryAfterSeconds } });
}
