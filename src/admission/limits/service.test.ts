/** Whose limits hold, in which order, and that whatever was taken is given back. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { memoryRows } from '../../../test/support/limit-rows';
import { seededRandom } from '../../../test/support/random';
import { codeOf, errorOf } from '../../../test/support/thrown';
import type { Entrant, Event, Principal } from '../../contract';
import { createBus } from '../../lib/bus';
import { type ManualClock, manualClock } from '../../lib/clock';
import { silentLog } from '../../lib/log';
import type { Policy, PolicyDocument } from '../../policy';
import { type KeyRules, rulesFor, termsOf } from '../terms';
import { createMemoryStore } from './memory';
import type { LimitStore } from './model';
import { createLimits, type Limits, type Pass } from './service';

const KEYS: Readonly<Record<string, KeyRules | null>> = {
  plain: null,
  own: rulesFor('own', termsOf({ requests_per_minute: 2, tokens_per_minute: 100, parallel_requests: 2 })),
  free: rulesFor('free', termsOf({ requests_per_minute: 0, tokens_per_minute: 0 })),
};

let clock: ManualClock;
let policy: Policy | null;
let isExposed: boolean;
let events: Event[];

beforeEach(() => {
  clock = manualClock();
  policy = { version: 1, document: {} };
  isExposed = false;
  events = [];
});

function open(store?: LimitStore): Limits {
  const bus = createBus();
  bus.subscribe('limit.exceeded', (event) => events.push(event));
  const rulesOf = ({ id }: Principal) => KEYS[id] ?? null;
  const shared = { rulesOf, clock, bus, log: silentLog, rows: memoryRows() };
  return createLimits({
    ...shared,
    policy: () => policy,
    isExposed: () => isExposed,
    ...(store === undefined ? {} : { store }),
  });
}

function principal(id: string): Principal {
  return { kind: 'key', id, label: id, scopes: new Set(['inference']), models: null };
}

function entrant(ip = '192.0.2.1'): Entrant {
  return { id: 'r', ip, quota: null };
}

const setPolicy = (document: PolicyDocument) => {
  policy = { version: (policy?.version ?? 0) + 1, document };
};

/** How often somebody gets in before somebody says why not. */
async function tries(limits: Limits, id: string, tokens: number | null = 0, ip?: string) {
  for (let i = 0; i < 50; i++) {
    try {
      (await limits.enter(entrant(ip), principal(id), tokens)).close(null);
    } catch (error) {
      return [i, await codeOf(() => Promise.reject(error))];
    }
  }
  return [50, null];
}

describe('the limit that holds', () => {
  test.each<[string, PolicyDocument, string, (number | string | null)[]]>([
    ['none', {}, 'plain', [50, null]],
    ['of the policy', { rate_limit: { rpm: 3 } }, 'plain', [3, 'RATE_LIMITED']],
    ['the smaller of minute and bucket', { rate_limit: { rpm: 9, burst: 4 } }, 'plain', [4, 'RATE_LIMITED']],
    ['of the key, in place of the policy’s', { rate_limit: { rpm: 30 } }, 'own', [2, 'RATE_LIMITED']],
    ['none of the key’s own, whatever the policy says', { rate_limit: { rpm: 1 } }, 'free', [50, null]],
    ['none with rpm 0', { rate_limit: { rpm: 0 } }, 'plain', [50, null]],
    ['of all together', { global_rate_limit: { rpm: 5 } }, 'plain', [5, 'RATE_LIMITED']],
    [
      'of all together, also for whoever has none',
      { global_rate_limit: { rpm: 5 } },
      'free',
      [5, 'RATE_LIMITED'],
    ],
  ])('%s', async (_, document, id, expected) => {
    setPolicy(document);
    expect<unknown>(await tries(open(), id)).toEqual(expected);
  });

  test('tokens of the policy', async () => {
    setPolicy({ token_limit: { tpm: 100 } });
    expect(await tries(open(), 'plain', 40)).toEqual([2, 'TOKENS_LIMITED']);
    expect(await tries(open(), 'plain', null)).toEqual([50, null]);
  });

  test('FLM-006: none can be told from a policy that cannot be read, so nobody is let in', async () => {
    policy = null;
    expect(await tries(open(), 'free')).toEqual([0, 'POLICY_UNREADABLE']);
  });
});

describe('an address', () => {
  test('of strangers: a thousand a minute once FLM is exposed, and none before', async () => {
    const limits = open();
    const count = () => {
      for (let i = 0; i < 2_000; i++) {
        try {
          limits.stranger(entrant());
        } catch {
          return i;
        }
      }
      return null;
    };
    expect(count()).toBeNull();
    isExposed = true;
    expect(count()).toBe(1_000);
    // The first of 192.0.2.1 changes nothing for its neighbours, nor for clients behind it.
    limits.stranger(entrant('192.0.2.2'));
    expect(await tries(limits, 'plain')).toEqual([50, null]);
  });

  test('of everybody, when the policy says so; and never more at once than in a minute', async () => {
    setPolicy({ ip_rate_limit: { enabled: true, rpm: 4, burst: 400, applies_to: 'everybody' } });
    const limits = open();
    expect(await tries(limits, 'free')).toEqual([4, 'RATE_LIMITED']);
    expect(await tries(limits, 'free', 0, '192.0.2.9')).toEqual([4, 'RATE_LIMITED']);
    const error = await errorOf(() => limits.stranger(entrant()));
    expect(error.meta).toMatchObject({ subject: 'this address', limit: 4, retryAfterSeconds: 60 });
  });

  test('of few at once is told as that', async () => {
    setPolicy({ ip_rate_limit: { enabled: true, rpm: 100, burst: 2 } });
    const limits = open();
    limits.stranger(entrant());
    limits.stranger(entrant());
    const { message } = await errorOf(() => limits.stranger(entrant()));
    expect(message).toBe('Too many requests: the limit of this address is 100 a minute, 2 at once.');
    setPolicy({ ip_rate_limit: { enabled: true, rpm: 1 } });
    const other = open();
    other.stranger(entrant('192.0.2.7'));
    const plain = await errorOf(() => other.stranger(entrant('192.0.2.7')));
    expect(plain.message).toBe('Too many requests: the limit of this address is 1 a minute.');
  });

  test('one IPv6 site is one address, and one that is gone is counted all the same', () => {
    setPolicy({ ip_rate_limit: { enabled: true, rpm: 2 } });
    const limits = open();
    limits.stranger(entrant('2001:db8::1'));
    limits.stranger(entrant('2001:db8::2'));
    expect(() => limits.stranger(entrant('2001:db8::3'))).toThrow('Too many requests');
    limits.stranger(entrant('unknown'));
  });

  test('whoever looks like trouble gets a part', () => {
    setPolicy({ ip_rate_limit: { enabled: true, rpm: 4 } });
    const limits = open();
    limits.stranger(entrant(), 0.5);
    limits.stranger(entrant(), 0.5);
    expect(() => limits.stranger(entrant(), 0.5)).toThrow('Too many requests');
  });
});

test('what is refused counts for nothing else', async () => {
  setPolicy({ global_rate_limit: { rpm: 10 } });
  const limits = open();
  await tries(limits, 'own');
  // Of ten two are gone: the key's own refusals took none.
  expect(await tries(limits, 'plain')).toEqual([8, 'RATE_LIMITED']);
  await Promise.resolve();
  expect(events.map((event) => ('limit' in event ? [event.limit, event.subject] : []))).toEqual([
    ['key', 'key:own'],
    ['global', 'global'],
  ]);
});

test('the quota is told to whoever has a limit, let in or not, and to nobody else', async () => {
  const limits = open();
  const seen: unknown[] = [];
  for (let i = 0; i < 3; i++) {
    const one = entrant();
    try {
      (await limits.enter(one, principal('own'), 30)).close(10);
    } catch (error) {
      expect(error).toMatchObject({ code: 'RATE_LIMITED' });
    }
    seen.push([one.quota?.requests?.remaining, one.quota?.tokens?.remaining]);
  }
  expect(seen).toEqual([
    [1, 70],
    [0, 60],
    [0, 80],
  ]);
  const free = entrant();
  await limits.enter(free, principal('free'), 1);
  expect(free.quota).toBeNull();
});

describe('whatever happens, nothing that was taken is kept', () => {
  /** A store elsewhere: it answers later, and sometimes not. */
  function remote(random: ReturnType<typeof seededRandom>): LimitStore {
    const inner = createMemoryStore({ clock, rows: memoryRows(), log: silentLog });
    return {
      async take(demands) {
        await Promise.resolve();
        if (random.int(10) === 0) throw new Error('the store is gone');
        return inner.take(demands);
      },
      async settle(demand, window, actual) {
        inner.settle(demand, window, actual);
      },
    };
  }

  test.each(['memory', 'elsewhere'])('with a store in %s', async (where) => {
    for (let seed = 0; seed < 2_000; seed++) {
      const random = seededRandom(seed);
      const limits = open(where === 'memory' ? undefined : remote(random));
      setPolicy({ global_rate_limit: { rpm: 1 + random.int(12) } });
      const passes: Pass[] = [];
      for (let step = 0; step < 20; step++) {
        const what = random.int(4);
        if (what < 2) {
          try {
            passes.push(
              await limits.enter(entrant(), principal(random.pick(['own', 'plain'])), random.int(80)),
            );
          } catch {
            // Refused, or the store is gone: what had been taken is what is looked at.
          }
        } else if (what === 2) {
          const [pass] = passes.splice(random.int(passes.length || 1), 1);
          pass?.close(random.pick([null, 0, 5, 90]));
          pass?.close(7);
        } else clock.advance(random.int(40_000));
      }
      for (const pass of passes) pass.close(0);
      expect([seed, limits.parallel()]).toEqual([seed, 0]);
      // Every reservation that was given back is free again in a minute, and every debt in an hour.
      clock.advance(4_000_000);
      const late = entrant();
      let told = false;
      while (!told) {
        await Promise.resolve(limits.look(late, principal('own'))).then(
          () => (told = true),
          () => null,
        );
      }
      expect([seed, late.quota?.requests?.remaining, late.quota?.tokens?.remaining]).toEqual([seed, 2, 100]);
      limits.close();
    }
  });
});
