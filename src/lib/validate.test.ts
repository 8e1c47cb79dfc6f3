import { describe, expect, test } from 'bun:test';
import { Type } from '@sinclair/typebox';
import { FlmError } from './errors';
import { requireValid } from './validate';

const Schema = Type.Object(
  {
    label: Type.String({ minLength: 1, maxLength: 5 }),
    age: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
    names: Type.Optional(Type.Array(Type.String(), { minItems: 1, uniqueItems: true })),
    id: Type.Optional(Type.String({ pattern: '^a$' })),
  },
  { additionalProperties: false },
);

describe('a wrong value is told in plain words', () => {
  test.each([
    [{}, 'label: it is missing.'],
    [{ label: '' }, 'label: it is empty.'],
    [{ label: 'abcdef' }, 'label: it takes at most 5 characters.'],
    [{ label: 1 }, 'label: it takes a text.'],
    [{ label: 'x', age: 0 }, 'age: it takes a whole number from 1 to 9.'],
    [{ label: 'x', age: 1.5 }, 'age: it takes a whole number from 1 to 9.'],
    [{ label: 'x', names: [] }, 'names: it is empty.'],
    [{ label: 'x', names: ['a', 'a'] }, 'names: it holds something twice.'],
    [{ label: 'x', more: 1 }, 'more: there is no such field.'],
    // What nobody has put into words yet.
    [{ label: 'x', id: 'b' }, "id: expected string to match '^a$'."],
  ])('%j', (input, message) => {
    try {
      requireValid(Schema, input as never);
    } catch (error) {
      expect(error).toBeInstanceOf(FlmError);
      expect(error).toMatchObject({ code: 'INVALID_INPUT', message });
      return;
    }
    throw new Error('nothing was thrown');
  });

  test('a right one is handed back', () => {
    const input = { label: 'x' };
    expect(requireValid(Schema, input)).toBe(input);
  });
});
