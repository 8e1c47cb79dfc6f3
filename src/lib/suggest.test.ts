/** "Did you mean …?" */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { editDistance, suggest } from './suggest';

const KEYS = ['proxy.port', 'proxy.bind', 'engine.detect', 'engine.timeout_ms', 'log.level'];

describe('suggest', () => {
  test.each([
    ['proxy.prot', 'proxy.port'],
    ['proxy.ports', 'proxy.port'],
    ['PROXY.PORT', 'proxy.port'],
    ['porxy.port', 'proxy.port'],
    ['engine.timeout', 'engine.timeout_ms'],
    ['loglevel', 'log.level'],
    ['proxy.b', 'proxy.bind'],
    ['LOG', 'log.level'],
  ])('%s: %s', (typed, meant) => {
    expect(suggest(typed, KEYS)).toBe(meant);
  });

  test.each(['telemetry', 'x', '', 'proxy'])(
    'has nothing for %p, which is no slip of the finger',
    (typed) => {
      expect(suggest(typed, KEYS)).toBeNull();
    },
  );

  test.each([
    ['rm', ['list', 'add', 'remove', 'try']],
    ['ls', ['add', 'list', 'up']],
    ['delete', ['detect', 'remove']],
    ['te', ['temperature']],
    ['st', ['status', 'start']],
    ['stat', ['status', 'statistics']],
  ])('has nothing for %p, which is too far from all of %p', (typed, words) => {
    expect(suggest(typed, words)).toBeNull();
  });

  test('takes the nearest, and the first of equally near ones', () => {
    expect(suggest('lisp', ['lost', 'list'])).toBe('list');
    expect(suggest('lift', ['gift', 'list'])).toBe('gift');
    expect(suggest('list', [])).toBeNull();
  });
});

describe('editDistance', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 7 });

  test('is zero for equal words only, and the same both ways', () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
      }),
    );
  });

  test('counts one insertion, deletion, replacement or swap of neighbours as one', () => {
    fc.assert(
      fc.property(word, fc.nat(), (text, where) => {
        const at = where % (text.length + 1);
        expect(editDistance(text, `${text.slice(0, at)}x${text.slice(at)}`)).toBe(1);
        if (at < text.length)
          expect(editDistance(text, `${text.slice(0, at)}x${text.slice(at + 1)}`)).toBe(1);
        const [a = '', b = ''] = [text[at], text[at + 1]];
        if (b !== '' && a !== b)
          expect(editDistance(text, text.slice(0, at) + b + a + text.slice(at + 2))).toBe(1);
      }),
    );
  });

  test('is never more than the longer word, nor less than the difference of lengths', () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(editDistance(a, b)).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
  });
});
