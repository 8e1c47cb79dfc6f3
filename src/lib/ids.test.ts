/** Identifiers: that they are unique, sort by time, and that random ones favour no character. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { fromBase62, newId, randomBase62, toBase62 } from './ids';

describe('newId', () => {
  test('is a UUIDv7 of now (RFC 9562 §5.7)', () => {
    const id = newId();
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const madeAtMs = Number.parseInt(id.replace('-', '').slice(0, 12), 16);
    expect(Math.abs(madeAtMs - Date.now())).toBeLessThan(5_000);
  });

  test('is unique, and later ones sort behind earlier ones', () => {
    const ids = Array.from({ length: 10_000 }, newId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.toSorted()).toEqual(ids);
  });
});

describe('randomBase62', () => {
  test('has exactly the length that was asked for, in [0-9A-Za-z]', () => {
    fc.assert(
      fc.property(fc.nat(200), (length) => {
        const text = randomBase62(length);
        expect(text).toHaveLength(length);
        expect(text).toMatch(/^[0-9A-Za-z]*$/);
      }),
    );
  });

  test('favours no character', () => {
    const text = randomBase62(620_000);
    const counts = new Map<string, number>();
    for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1);
    expect(counts.size).toBe(62);
    // Chi-squared with 61 degrees of freedom: above 130 once in a million runs. A modulo over whole bytes, the usual
    // mistake, makes the first eight characters a quarter likelier and gives about 4,600.
    const expected = text.length / 62;
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chi).toBeLessThan(130);
  });

  test('does not repeat itself', () => {
    const made = new Set(Array.from({ length: 20_000 }, () => randomBase62(12)));
    expect(made.size).toBe(20_000);
  });
});

describe('base62', () => {
  test('reads back what it wrote, in the width that was asked for', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.integer({ min: 6, max: 9 }), (value, width) => {
        const digits = toBase62(value, width);
        expect(digits).toHaveLength(width);
        expect(fromBase62(digits)).toBe(value);
      }),
    );
  });

  test('writes digits in the order of their codes, so that texts sort as their numbers do', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), (a, b) => {
        expect(toBase62(a, 6) < toBase62(b, 6)).toBe(a < b);
      }),
    );
  });

  test.each([
    [0, '000000'],
    [61, '00000z'],
    [62, '000010'],
    [2 ** 32 - 1, '4gfFC3'],
  ])('%p is %s', (value, digits) => {
    expect(toBase62(value, 6)).toBe(digits);
  });
});
