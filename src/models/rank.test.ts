/** The order in which copies are asked: laws that hold for all strategies, and what each strategy prefers. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { IDLE } from '../../test/support/engine-states';
import type { Standing } from '../contract';
import {
  type Memory,
  NO_MEMORY,
  type Ranked,
  rank,
  STRATEGIES,
  type Strategy,
  scoreOf,
  tierOf,
} from './rank';

type Some = Readonly<Record<string, Partial<Standing>>>;

const items = (some: Some): Ranked[] =>
  Object.entries(some).map(([key, standing]) => ({ key, standing: { ...IDLE, ...standing } }));

const keys = (order: readonly Ranked[]) => order.map(({ key }) => key).join('');

/** The orders of several requests one after the other, each with the standings of its moment. */
function orders(strategy: Strategy, moments: readonly Some[]): string[] {
  let memory: Memory = NO_MEMORY;
  return moments.map((moment) => {
    const result = rank(strategy, items(moment), memory);
    memory = result.memory;
    return keys(result.order);
  });
}

const times = (count: number, moment: Some): Some[] => Array.from({ length: count }, () => moment);

const standing: fc.Arbitrary<Standing> = fc
  .record({
    available: fc.boolean(),
    degraded: fc.boolean(),
    slots: fc.integer({ min: 1, max: 8 }),
    busy: fc.integer({ min: 0, max: 12 }),
    latencyMs: fc.integer({ min: 0, max: 500 }),
    errorRate: fc.double({ min: 0, max: 1, noNaN: true }),
    tokensPerSecond: fc.option(fc.double({ min: 0.1, max: 200, noNaN: true })),
  })
  .map(({ busy, ...rest }) => ({ ...rest, freeSlots: rest.slots - busy }));
const moment = fc
  .array(standing, { minLength: 0, maxLength: 6 })
  .map((all): Ranked[] => all.map((each, index) => ({ key: `e${index}`, standing: each })));
const strategy = fc.constantFrom(...STRATEGIES);

describe('whatever the strategy', () => {
  const forEveryRequest = (
    law: (chosen: Strategy, order: readonly Ranked[], all: readonly Ranked[]) => void,
  ) =>
    fc.assert(
      fc.property(strategy, fc.array(moment, { minLength: 1, maxLength: 8 }), (chosen, moments) => {
        let memory: Memory = NO_MEMORY;
        for (const all of moments) {
          const result = rank(chosen, all, memory);
          memory = result.memory;
          law(chosen, result.order, all);
        }
      }),
    );

  test('every copy comes out once', () => {
    forEveryRequest((_, order, all) => {
      expect(order.map(({ key }) => key).sort()).toEqual(all.map(({ key }) => key).sort());
    });
  });

  test('none that is left alone comes before one that is not, and healthy ones come before degraded ones', () => {
    forEveryRequest((_, order) => {
      const tiers = order.map(tierOf);
      expect(tiers).toEqual(tiers.toSorted());
    });
  });

  test('a free slot comes before none, except where the order is the owner’s', () => {
    forEveryRequest((chosen, order) => {
      if (chosen === 'manual') return;
      for (const tier of [0, 1, 2]) {
        const full = order
          .filter((each) => tierOf(each) === tier)
          .map((each) => each.standing.freeSlots <= 0);
        expect(full).toEqual(full.toSorted());
      }
    });
  });

  test('what is remembered does not outlive the copies it is of', () => {
    const { memory } = rank('least-busy', items({ a: {}, b: {} }), NO_MEMORY);
    const later = rank('least-busy', items({ b: {} }), memory).memory;
    expect([[...later.front], [...later.turns.keys()]]).toEqual([['b'], ['b']]);
  });
});

describe('equals share', () => {
  test.each(STRATEGIES.filter((each) => each !== 'manual'))(
    '%s: idle copies that are alike take turns',
    (each) => {
      const firsts = orders(each, times(6, { a: {}, b: {}, c: {} })).map((order) => order.charAt(0));
      expect(firsts.join('')).toBe('abcabc');
    },
  );

  test('small differences in latency decide nothing', () => {
    const moments = times(4, { a: { latencyMs: 10 }, b: { latencyMs: 14 } });
    expect(orders('least-busy', moments)).toEqual(['ab', 'ba', 'ab', 'ba']);
  });

  test('one that comes late does not get all the requests it has missed', () => {
    const moments = [...times(50, { a: {}, b: {} }), ...times(4, { a: {}, b: {}, c: {} })];
    const firsts = orders('least-busy', moments)
      .slice(-4)
      .map((order) => order.charAt(0));
    expect(firsts.toSorted().join('')).toMatch(/^a+b+c+$/);
  });
});

describe('least-busy', () => {
  test.each<[string, Some, string]>([
    ['a free slot', { a: { freeSlots: 0, latencyMs: 1 }, b: { freeSlots: 1, latencyMs: 400 } }, 'ba'],
    ['less load for its size', { a: { slots: 2, freeSlots: 1 }, b: { slots: 8, freeSlots: 5 } }, 'ba'],
    [
      'the shorter queue for its size',
      { a: { slots: 1, freeSlots: -2 }, b: { slots: 4, freeSlots: -3 } },
      'ba',
    ],
    ['at the same load, the clearly faster', { a: { latencyMs: 200 }, b: { latencyMs: 10 } }, 'ba'],
    ['healthy, although it is full', { a: { degraded: true }, b: { freeSlots: -1 } }, 'ba'],
    ['degraded, rather than left alone', { a: { available: false }, b: { degraded: true } }, 'ba'],
    ['nobody for errors and speed', { a: { errorRate: 0.1, tokensPerSecond: 1 }, b: {} }, 'ab'],
  ])('prefers %s', (_, some, order) => {
    expect(orders('least-busy', [some])).toEqual([order]);
  });
});

describe('lowest-error-rate', () => {
  test('prefers whoever fails clearly less, however slow', () => {
    const some = { a: { errorRate: 0.2 }, b: { errorRate: 0.1, latencyMs: 900 }, c: { errorRate: 0.4 } };
    expect(orders('lowest-error-rate', times(2, some))).toEqual(['bac', 'bac']);
  });

  test('among equals, the less busy', () => {
    expect(
      orders('lowest-error-rate', [{ a: { freeSlots: 1 }, b: { freeSlots: 3, errorRate: 0.01 } }]),
    ).toEqual(['ba']);
  });
});

describe('highest-throughput', () => {
  test('prefers the clearly faster', () => {
    const some = { a: { tokensPerSecond: 20 }, b: { tokensPerSecond: 60 }, c: { tokensPerSecond: 40 } };
    expect(orders('highest-throughput', times(2, some))).toEqual(['bca', 'bca']);
  });

  test('tries what nobody has seen at work, and does not forget the fastest over it', () => {
    const some = { a: { tokensPerSecond: 20 }, b: { tokensPerSecond: 60 }, c: {} };
    expect(orders('highest-throughput', times(3, some))).toEqual(['bca', 'cba', 'bca']);
  });
});

describe('highest-score', () => {
  const score = (some: Some) => items(some).map((item, _, all) => Number(scoreOf(item, all).toFixed(3)));

  test('is the share of successes squared, times seven parts of speed and three of promptness', () => {
    expect(score({ a: { tokensPerSecond: 50 }, b: { tokensPerSecond: 25 } })).toEqual([1, 0.65]);
    expect(score({ a: {}, b: { latencyMs: 30 } })).toEqual([1, 0.85]);
    expect(score({ a: { errorRate: 0.5 }, b: { errorRate: 1 } })).toEqual([0.25, 0]);
    expect(score({ a: { tokensPerSecond: 50 }, b: {} })).toEqual([1, 1]); // unknown: it gets tried
  });

  test('prefers one that is slower over one that fails', () => {
    const some = { a: { errorRate: 0.5, tokensPerSecond: 60 }, b: { tokensPerSecond: 30, latencyMs: 40 } };
    expect(orders('highest-score', [some])).toEqual(['ba']);
  });

  test('lies between 0 and 1', () => {
    fc.assert(
      fc.property(moment, (all) => {
        for (const item of all) {
          expect(scoreOf(item, all)).toBeGreaterThanOrEqual(0);
          expect(scoreOf(item, all)).toBeLessThanOrEqual(1 + 1e-9);
        }
      }),
    );
  });
});

describe('manual', () => {
  test('keeps the order it is given, busy or not, as long as they can be asked', () => {
    const some = { a: { freeSlots: -3, latencyMs: 900, errorRate: 0.1 }, b: {}, c: {} };
    expect(orders('manual', times(3, some))).toEqual(['abc', 'abc', 'abc']);
    expect(orders('manual', [{ a: { available: false }, b: { degraded: true }, c: {} }])).toEqual(['cba']);
  });
});

describe('hysteresis: a figure that swings around a limit does not make requests swing', () => {
  const firsts = (strategy: Strategy, moments: readonly Some[]) =>
    orders(strategy, moments)
      .map((order) => order.charAt(0))
      .join('');
  /** `b` alternates between two figures, `a` stays. */
  const swings = (a: Partial<Standing>, [low, high]: readonly [Partial<Standing>, Partial<Standing>]) =>
    Array.from({ length: 8 }, (_, index) => ({ a, b: index % 2 === 0 ? low : high }));

  test.each<[Strategy, Partial<Standing>, readonly [Partial<Standing>, Partial<Standing>]]>([
    ['least-busy', { latencyMs: 20 }, [{ latencyMs: 28 }, { latencyMs: 45 }]],
    ['lowest-error-rate', { errorRate: 0 }, [{ errorRate: 0.01 }, { errorRate: 0.04 }]],
    ['highest-throughput', { tokensPerSecond: 100 }, [{ tokensPerSecond: 95 }, { tokensPerSecond: 80 }]],
    ['highest-score', { errorRate: 0 }, [{ errorRate: 0.02 }, { errorRate: 0.1 }]],
  ])('%s', (each, a, [near, far]) => {
    // Once in front, it stays there and goes on sharing …
    expect(firsts(each, swings(a, [near, far]))).toBe('abababab');
    // … and once behind, it has to come really close.
    expect(firsts(each, times(4, { a, b: far }))).toBe('aaaa');
  });

  test('one that falls clearly behind loses its place, and comes back when it is near again', () => {
    const at = (latencyMs: number): Some => ({ a: { latencyMs: 20 }, b: { latencyMs } });
    expect(firsts('least-busy', [at(20), at(20), at(200), at(40), at(40), at(22), at(22)])).toBe('abaaaba');
  });

  test('one that is busy for a moment keeps its place for when it is not', () => {
    const at = (freeSlots: number): Some => ({ a: { latencyMs: 20 }, b: { latencyMs: 40, freeSlots } });
    const first: Some = { a: { latencyMs: 20 }, b: { latencyMs: 20 } };
    // 40 ms would be too far to join, and is near enough to stay.
    expect(firsts('least-busy', [first, at(3), at(4)])).toBe('aab');
  });
});
