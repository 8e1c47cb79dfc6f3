import { describe, expect, test } from 'bun:test';
import { errorOf } from '../../../test/support/thrown';
import { oneText } from './set';

describe('targets in several words', () => {
  test.each([
    [['a'], 'a'],
    [['a,', 'b'], 'a, b'],
    [['a', ',', 'b=3', '|', 'c'], 'a , b=3 | c'],
    [['a', '=', '3'], 'a = 3'],
    [['two words'], 'two words'],
  ])('%p are one list', (words, text) => {
    expect(oneText(words)).toBe(text);
  });

  test('without a comma are refused, and how to write them is told', async () => {
    const error = await errorOf(() => oneText(['smollm2', 'shared-model']));
    expect([error.code, error.meta, error.hint]).toEqual([
      'USAGE_ERROR',
      { reason: 'Nothing stands between "smollm2" and "shared-model"' },
      'Targets are one word, divided by commas. Quote them: "smollm2, shared-model"',
    ]);
  });
});
