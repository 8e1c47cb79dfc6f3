/** A new key as its owner sees it. */
import { expect, test } from 'bun:test';
import type { CreatedKey } from '../../src/admission';
import { keyText } from './text';

const KEY: CreatedKey = {
  id: 'abcdefgh',
  label: 'phone',
  plain_key: 'flm_abcdefghSECRET',
  scopes: ['inference'],
  models: null,
  created_at: '2026-11-23T12:00:00.000Z',
  expires_at: null,
  cidrs: null,
  origins: null,
  client_certificates: null,
  requests_per_minute: null,
  burst: null,
  tokens_per_minute: null,
  parallel_requests: null,
  rotate_every_s: null,
  rotate_grace_s: null,
};

test('what is laid down for it is confirmed, and nothing that is not', () => {
  const limited = { cidrs: ['192.168.0.0/16'], requests_per_minute: 1, parallel_requests: 2 };
  expect(
    keyText({ ...KEY, ...limited, rotate_every_s: 2_592_000, rotate_grace_s: 86_400 }).split('\n'),
  ).toEqual([
    'flm_abcdefghSECRET',
    '',
    'Key abcdefgh for "phone".',
    '  only from 192.168.0.0/16',
    '  1 request a minute; 2 at a time',
    '  replaced every 30d, the old one works 1d longer',
    'Keep it now: it is not shown again.',
  ]);
  expect(keyText(KEY)).toEndWith('Key abcdefgh for "phone".\nKeep it now: it is not shown again.');
});
