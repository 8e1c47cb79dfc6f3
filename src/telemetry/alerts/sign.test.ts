import { describe, expect, test } from 'bun:test';
import { createPublicKey, verify } from 'node:crypto';
import { newSigningKey, publicKeyOf, webhookHeaders } from './sign';

/** SubjectPublicKeyInfo around an Ed25519 key (RFC 8410 §4). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

describe('HL-019, TC-063: signatures of webhooks', () => {
  test('equal the published vector of the specification’s own Go library', () => {
    const key = Buffer.from('VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=', 'base64');
    const message = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      atMs: 1_614_265_330_000,
      body: '{"test": 2432232314}',
    };
    expect(webhookHeaders(message, key)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature':
        'v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==',
    });
  });

  test('equal the first vector of RFC 8032 for a key’s public half', () => {
    const secret = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const known = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
    expect(publicKeyOf(secret)).toBe(`whpk_${known.toString('base64')}`);
  });

  test('are verified with the public key alone, and not once anything is changed', () => {
    const key = newSigningKey();
    const atMs = 1_760_000_000_999;
    const headers = webhookHeaders({ id: 'a', atMs, body: '{}' }, key);
    const raw = Buffer.from(publicKeyOf(key).slice('whpk_'.length), 'base64');
    const publicKey = createPublicKey({ key: Buffer.concat([SPKI_HEAD, raw]), format: 'der', type: 'spki' });
    const signature = Buffer.from(headers['webhook-signature']?.slice('v1a,'.length) ?? '', 'base64');
    const isGood = (content: string) => verify(null, Buffer.from(content), publicKey, signature);
    expect(isGood('a.1760000000.{}')).toBe(true);
    for (const other of ['b.1760000000.{}', 'a.1760000001.{}', 'a.1760000000.{ }', 'a.1760000000.'])
      expect(isGood(other)).toBe(false);
  });

  test('are made with keys that differ', () => {
    expect(newSigningKey().equals(newSigningKey())).toBe(false);
  });
});
