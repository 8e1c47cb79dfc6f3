import { describe, expect, test } from 'bun:test';
import { FlmError } from '../src/lib/errors';
import { parseDuration } from './duration';

describe('a length of time', () => {
  test.each([
    ['45s', 45],
    ['30m', 1_800],
    ['12h', 43_200],
    ['90d', 7_776_000],
    ['2w', 1_209_600],
    ['0s', 0],
    [' 1h ', 3_600],
    ['999999999s', 999_999_999],
  ])('%s', (text, seconds) => {
    expect(parseDuration('--grace', text)).toBe(seconds);
  });

  test.each(['', '1', 'd', '1.5h', '-1h', '1 h', '1H', '1y', '1h30m', '1000000000s', '٣d', '1d\n2d'])(
    'refuses %j and names the option',
    (text) => {
      const refuse = () => parseDuration('--expires-in', text);
      expect(refuse).toThrow(FlmError);
      expect(refuse).toThrow(
        `--expires-in: "${text}" is no length of time: it takes a whole number and s, m, h, d or w, such as 90d.`,
      );
    },
  );

  test.each([
    ['0s', { minimum: 1, maximum: 31_536_000 }, 'it takes 1s to 365d'],
    ['53w', { minimum: 0, maximum: 31_536_000 }, 'it takes 0s to 365d'],
    ['3w', { minimum: 60, maximum: 1_209_600 }, 'it takes 1m to 2w'],
  ])('%s is not within %j', (text, range, reason) => {
    expect(() => parseDuration('--grace', text, range)).toThrow(`--grace: ${reason}.`);
  });
});
