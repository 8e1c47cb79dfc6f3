/** What a key looks like: unique, evenly random, and a slip of the finger shows before anybody looks it up. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { keyIdOf, makeKey } from './key-format';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

describe('makeKey', () => {
  test('has the shape of design §3 and carries its id', () => {
    for (let i = 0; i < 1_000; i++) {
      const { id, plain } = makeKey();
      expect(plain).toMatch(/^flm_[0-9A-Za-z]{46}$/);
      expect(plain.slice(4, 12)).toBe(id);
      expect(keyIdOf(plain)).toBe(id);
    }
  });

  test('never makes a key twice', () => {
    const keys = Array.from({ length: 50_000 }, makeKey);
    expect(new Set(keys.map(({ plain }) => plain)).size).toBe(keys.length);
    // Ids are 47 bits: among 50,000 of them two are equal once in 170,000 runs.
    expect(new Set(keys.map(({ id }) => id)).size).toBe(keys.length);
  });

  test('uses every character equally often in every place of id and secret', () => {
    const counts = Array.from({ length: 40 }, () => new Map<string, number>());
    const rounds = 12_400;
    for (let i = 0; i < rounds; i++) {
      const body = makeKey().plain.slice(4, 44);
      for (const [place, char] of [...body].entries()) {
        const count = counts[place];
        count?.set(char, (count.get(char) ?? 0) + 1);
      }
    }
    const expected = rounds / 62;
    for (const count of counts) {
      expect(count.size).toBe(62);
      // Chi-squared with 61 degrees of freedom: in none of 40 places above 145 but once in a million runs.
      const chi = [...count.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
      expect(chi).toBeLessThan(145);
    }
  });
});

describe('keyIdOf', () => {
  test('refuses every change of one character: all 2,806 of each of 50 keys', () => {
    // A CRC-32 sees every error within 32 bits, and its base62 form is written in one way only: 100 %, not 99.9.
    let accepted = 0;
    let tried = 0;
    for (let i = 0; i < 50; i++) {
      const { plain } = makeKey();
      for (let place = 4; place < plain.length; place++) {
        for (const char of BASE62) {
          if (char === plain[place]) continue;
          tried++;
          if (keyIdOf(plain.slice(0, place) + char + plain.slice(place + 1)) !== null) accepted++;
        }
      }
    }
    expect([tried, accepted]).toEqual([50 * 46 * 61, 0]);
  });

  test('refuses a change of one character to anything that is no letter or digit, and of the prefix', () => {
    const { plain } = makeKey();
    fc.assert(
      fc.property(fc.nat(49), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), (place, char) => {
        fc.pre(char !== plain[place]);
        expect(keyIdOf(plain.slice(0, place) + char + plain.slice(place + 1))).toBeNull();
      }),
      { numRuns: 2_000 },
    );
  });

  test('refuses two neighbours that were swapped, and a character too few or too many', () => {
    for (let i = 0; i < 200; i++) {
      const { plain } = makeKey();
      for (let place = 4; place < plain.length - 1; place++) {
        const [a = '', b = ''] = [plain[place], plain[place + 1]];
        if (a !== b) expect(keyIdOf(plain.slice(0, place) + b + a + plain.slice(place + 2))).toBeNull();
        expect(keyIdOf(plain.slice(0, place) + plain.slice(place + 1))).toBeNull();
        expect(keyIdOf(plain.slice(0, place) + a + plain.slice(place))).toBeNull();
      }
    }
  });

  test('refuses random text of the right shape', () => {
    // Six digits are 56.8 thousand million numbers, of which one is right.
    const digits = fc.string({ unit: fc.constantFrom(...BASE62), minLength: 46, maxLength: 46 });
    fc.assert(
      fc.property(digits, (text) => expect(keyIdOf(`flm_${text}`)).toBeNull()),
      { numRuns: 5_000 },
    );
  });

  test.each([
    '',
    'flm_',
    'sk-abc',
    ` ${makeKey().plain}`,
    `${makeKey().plain}\n`,
    makeKey().plain.toUpperCase(),
  ])('refuses %p', (text) => {
    expect(keyIdOf(text)).toBeNull();
  });
});
