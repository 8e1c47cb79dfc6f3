/** What an alias stands for, as people write it and as it is kept. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { errorOf } from '../../test/support/thrown';
import { checkPlaces, formatTargets, parseTargets } from './targets';

const one = (model: string, weight = 1) => ({ model, weight });

describe('parseTargets', () => {
  test.each([
    ['llama3.2', [[one('llama3.2')]]],
    ['flm://ollama/llama3.2, qwen2.5:3b', [[one('flm://ollama/llama3.2')], [one('qwen2.5:3b')]]],
    ['flm://a/m=3 | flm://b/m=1,c', [[one('flm://a/m', 3), one('flm://b/m')], [one('c')]]],
    [' a  =  2|b ', [[one('a', 2), one('b')]]],
    ['org/model v2=x', [[one('org/model v2=x')]]], // no number, so no weight
    ['m=1=7', [[one('m=1', 7)]]],
    ['=5', [[one('=5')]]],
  ])('%p', (text, places) => {
    expect(parseTargets(text)).toEqual(places);
  });

  test.each([
    ['', 'a name is missing'],
    ['a,', 'a name is missing'],
    ['a,,b', 'a name is missing'],
    ['a | | b', 'a name is missing'],
    ['a=0', 'the weight of "a" must be a whole number from 1 to 1000'],
    ['a=1001', 'the weight of "a" must be a whole number from 1 to 1000'],
    ['a | b, a=2', '"a" stands there twice'],
    ['a\u0007b', 'a name holds characters that cannot be seen'],
    ['a\u202Eb', 'a name holds characters that cannot be seen'],
    ['flm://x', '"flm://x" is no name of a model: the engine after flm:// is missing or malformed'],
    ['x'.repeat(201), `"${'x'.repeat(201)}" is no name of a model: it is longer than 200 characters`],
    [Array.from({ length: 51 }, (_, i) => `m${i}`).join(','), 'there are more than 50'],
  ])('refuses %p', async (text, reason) => {
    const error = await errorOf(() => parseTargets(text));
    expect([error.code, error.meta]).toEqual(['INVALID_INPUT', { field: 'targets', reason }]);
  });

  test('reads back whatever is written', () => {
    const name = fc.stringMatching(/^[a-z0-9=:/. -]{1,12}$/).filter((text) => text.trim() === text);
    const target = fc.record({ model: name, weight: fc.integer({ min: 1, max: 1_000 }) });
    const places = fc.uniqueArray(target, { selector: ({ model }) => model, minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(places, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), (targets, shared) => {
        const grouped: (typeof targets)[] = [];
        for (const [index, each] of targets.entries()) {
          if (shared[index] && index > 0) grouped.at(-1)?.push(each);
          else grouped.push([each]);
        }
        expect(parseTargets(formatTargets(grouped))).toEqual(grouped);
      }),
    );
  });
});

test('places that did not come from a text are held to the same', async () => {
  for (const places of [
    [],
    [[]],
    [[one('a')], []],
    [[one('a', 1.5)]],
    [[one('a', -1)]],
    [[one(' a')]],
    [[one('')]],
  ])
    expect((await errorOf(() => checkPlaces(places))).code).toBe('INVALID_INPUT');
  // A comma or a bar in a name can be said to the API, if not in one line.
  checkPlaces([[one('a,b')], [one('c|d')]]);
});
