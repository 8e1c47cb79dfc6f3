/** Smooth weighted round robin: everybody gets exactly the weight's part, spread out. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { type Credits, NO_CREDITS, takeTurn } from './weights';

function firsts(weights: Readonly<Record<string, number>>, rounds: number): string[] {
  const targets = Object.entries(weights).map(([model, weight]) => ({ model, weight }));
  let credits: Credits = NO_CREDITS;
  return Array.from({ length: rounds }, () => {
    const turn = takeTurn(targets, credits);
    credits = turn.credits;
    return turn.order[0]?.model ?? '';
  });
}

test('of three to one, three of four, not all in a row', () => {
  expect(firsts({ a: 3, b: 1 }, 8).join('')).toBe('aabaaaba');
  expect(firsts({ a: 1, b: 1 }, 4).join('')).toBe('abab');
  expect(firsts({ a: 5, b: 1, c: 1 }, 7).join('')).toBe('aabacaa');
});

test('every round of the sum of weights gives each its weight, and everybody comes out once', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }), (weights) => {
      const named = Object.fromEntries(weights.map((weight, index) => [`m${index}`, weight]));
      const sum = weights.reduce((a, b) => a + b, 0);
      const first = firsts(named, sum * 2);
      for (const [model, weight] of Object.entries(named)) {
        expect(first.slice(0, sum).filter((each) => each === model)).toHaveLength(weight);
        expect(first.slice(sum).filter((each) => each === model)).toHaveLength(weight);
      }
      const targets = Object.entries(named).map(([model, weight]) => ({ model, weight }));
      const { order } = takeTurn(targets, NO_CREDITS);
      expect(order.map(({ model }) => model).sort()).toEqual(Object.keys(named).sort());
    }),
  );
});

test('a target that goes and comes back begins anew, and the others go on', () => {
  const [a, b] = [
    { model: 'a', weight: 1 },
    { model: 'b', weight: 1 },
  ];
  let turn = takeTurn([a, b], NO_CREDITS);
  for (let i = 0; i < 5; i++) turn = takeTurn([a], turn.credits);
  expect(turn.order).toEqual([a]);
  expect(takeTurn([a, b], turn.credits).order).toHaveLength(2);
  expect(takeTurn([], NO_CREDITS).order).toEqual([]);
});
