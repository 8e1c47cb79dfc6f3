/** The two schema shapes: what they let through and what they refuse. */
import { describe, expect, test } from 'bun:test';
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { nullable, oneOf } from './schema';

describe('oneOf', () => {
  test('takes its words and nothing else', () => {
    const schema = oneOf(['live', 'restart'], { description: 'When.' });
    const values = ['live', 'restart', 'Live', '', null, 1];
    expect(values.map((value) => Value.Check(schema, value))).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
    expect(schema.description).toBe('When.');
  });
});

describe('nullable', () => {
  test('takes the value or null, and needs one of them', () => {
    const schema = Type.Object({ at: nullable(Type.String(), { description: 'A time.' }) });
    const values = [{ at: 'x' }, { at: null }, {}, { at: undefined }, { at: 1 }];
    expect(values.map((value) => Value.Check(schema, value))).toEqual([true, true, false, false, false]);
  });
});
