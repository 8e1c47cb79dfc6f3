import { describe, expect, test } from 'bun:test';
import type { ApiKey } from '../../src/admission';
import { NO_TERMS, termsView } from '../../src/admission/terms';
import { keyIdFor } from './id';

function key(id: string, label: string, status: ApiKey['status'] = 'active'): ApiKey {
  const created_at = '2026-11-23T12:00:00.000Z';
  const ends = { expires_at: null, revoked_at: null, rotated_from: null, is_uncollected: false };
  return {
    id,
    label,
    status,
    scopes: ['inference'],
    models: null,
    created_at,
    ...ends,
    ...termsView(NO_TERMS),
  };
}

const items = [
  key('aaaaaaaa', 'phone'),
  key('bbbbbbbb', 'app'),
  key('cccccccc', 'app'),
  key('dddddddd', 'phone', 'revoked'),
  key('eeeeeeee', 'gone', 'revoked'),
  key('ffffffff', 'aaaaaaaa'),
];
const keys = { list: async () => ({ items, next: null }) };

describe('the key that is meant', () => {
  test.each([
    ['aaaaaaaa', 'aaaaaaaa'],
    ['dddddddd', 'dddddddd'],
    ['phone', 'aaaaaaaa'],
    [`flm_bbbbbbbb${'x'.repeat(38)}`, 'bbbbbbbb'],
    ['flm_bbbbbbbb', 'bbbbbbbb'],
    // What is no key is said to be none by whoever looks for it.
    ['gone', 'gone'],
    ['zzzzzzzz', 'zzzzzzzz'],
    ['', ''],
  ])('%s: %s', async (text, id) => {
    expect(await keyIdFor(keys, text)).toBe(id);
  });

  test('is not guessed among several', async () => {
    expect(keyIdFor(keys, 'app')).rejects.toThrow('id: 2 keys have the label "app": bbbbbbbb, cccccccc.');
  });
});
