/** Looking into JSON of others. */
import { describe, expect, test } from 'bun:test';
import { isRecord, parseJson } from './json';

describe('isRecord', () => {
  test('is true for objects alone', () => {
    const values = [{}, { a: 1 }, Object.create(null), [], null, undefined, 'text', 1, () => {}];
    expect(values.map(isRecord)).toEqual([true, true, true, false, false, false, false, false, false]);
  });
});

describe('parseJson', () => {
  test('gives the value, and undefined for what is no JSON', () => {
    expect(['{"a":[1]}', 'null', '', '{', 'NaN', "{'a':1}", '[DONE]'].map(parseJson)).toEqual([
      { a: [1] },
      null,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
