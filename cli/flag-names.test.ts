/** Errors that name fields of the admin API, as the command line tells them. */
import { expect, test } from 'bun:test';
import { FlmError } from '../src/lib/errors';
import { errorOf } from '../test/support/thrown';
import { TERM_FLAGS } from './api-keys/terms';
import { flagged, inFlags } from './flag-names';

test.each([
  [
    'burst: it belongs to a limit of requests per minute: give requests_per_minute, too.',
    '--burst: it belongs to a limit of requests per minute: give --rpm, too.',
  ],
  ['rotate_grace_s: too long.', '--rotate-grace: too long.'],
  [
    'cidrs: "origins" is neither an address nor a network',
    '--cidr: "origins" is neither an address nor a network',
  ],
  ['label: "burst: it" is taken', 'label: "burst: it" is taken'],
])('%s', (message, expected) => {
  expect(flagged(message, TERM_FLAGS)).toBe(expected);
});

test('keeps code and hint, and leaves other errors as they are', async () => {
  const wrong = new FlmError('INVALID_INPUT', { meta: { field: 'burst', reason: 'no' }, hint: 'look' });
  expect(await errorOf(() => inFlags(TERM_FLAGS, () => Promise.reject(wrong)))).toMatchObject({
    code: 'INVALID_INPUT',
    message: '--burst: no.',
    hint: 'look',
  });
  const other = new FlmError('KEY_NOT_FOUND', { meta: { id: 'burst' } });
  expect(await errorOf(() => inFlags(TERM_FLAGS, () => Promise.reject(other)))).toBe(other);
});
