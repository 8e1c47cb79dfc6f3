/** What can be laid down for a key, and what a request of it is held to. */
import { describe, expect, test } from 'bun:test';
import { codeOf } from '../../test/support/thrown';
import type { KeyChange } from './model';
import { NO_TERMS, rulesFor, termsOf } from './terms';

describe('terms that cannot be meant are refused', () => {
  test.each<KeyChange>([
    { cidrs: ['300.1.1.1'] },
    { cidrs: ['192.0.2.0/33'] },
    { cidrs: ['10.1.1.1/8'] },
    { origins: ['app.example'] },
    { origins: ['https://app.example/'] },
    { origins: ['https://app.example/path'] },
    { origins: ['ftp://app.example'] },
    { origins: ['null'] },
    { burst: 5 },
    { burst: 5, requests_per_minute: 0 },
    { rotate_grace_s: 60 },
    { rotate_every_s: 3_600, rotate_grace_s: 3_600 },
  ])('%p', async (input) => {
    expect(await codeOf(() => termsOf(input))).toBe('INVALID_INPUT');
  });
});

test('the grace is a quarter of the time between two rotations, and at most a week', () => {
  expect(termsOf({ rotate_every_s: 40_000 }).rotateGraceMs).toBe(10_000_000);
  expect(termsOf({ rotate_every_s: 31_536_000 }).rotateGraceMs).toBe(604_800_000);
  expect(termsOf({ rotate_every_s: 40_000, rotate_grace_s: 0 }).rotateGraceMs).toBe(0);
});

test('a key for which nothing is laid down has no rules', () => {
  expect(rulesFor('k', NO_TERMS)).toBeNull();
  expect(rulesFor('k', termsOf({ rotate_every_s: 40_000 }))).toBeNull();
});

describe('where a key may be used', () => {
  const visit = (ip: string, origin: string | null = null) => ({
    ip,
    request: new Request('http://localhost/', { headers: origin === null ? {} : { origin } }),
    certificate: null,
  });

  test.each<[KeyChange, string, string | null, string | null]>([
    [{ cidrs: ['192.0.2.0/24'] }, '192.0.2.9', null, null],
    [{ cidrs: ['192.0.2.0/24'] }, '192.0.3.9', null, 'KEY_ADDRESS_REFUSED'],
    [{ cidrs: ['2001:db8::/64'] }, '2001:db8::5', null, null],
    [{ cidrs: ['2001:db8::/64'] }, 'unknown', null, 'KEY_ADDRESS_REFUSED'],
    [{ origins: ['https://app.example'] }, '192.0.2.9', 'https://app.example', null],
    [{ origins: ['https://app.example'] }, '192.0.2.9', 'http://app.example', 'KEY_ORIGIN_REFUSED'],
    [{ origins: ['https://app.example'] }, '192.0.2.9', null, 'KEY_ORIGIN_REFUSED'],
    [{ origins: ['https://app.example'] }, '192.0.2.9', 'null', 'KEY_ORIGIN_REFUSED'],
    [{ origins: ['https://app.example', 'none'] }, '192.0.2.9', null, null],
    // As browsers write it: without the port that goes without saying.
    [{ origins: ['HTTPS://App.Example:443'] }, '192.0.2.9', 'https://app.example', null],
  ])('%p from %s of %p: %p', async (input, ip, origin, code) => {
    const rules = rulesFor('k', termsOf(input));
    const enter = () => rules?.checkPlace(visit(ip, origin));
    if (code === null) expect(enter()).toBeUndefined();
    else expect<string>(await codeOf(async () => enter())).toBe(code);
  });
});

describe('with which client certificate a key may be used', () => {
  const mine = 'a1'.repeat(32);
  const enter = (input: KeyChange, fingerprint: string | null, headers: Record<string, string> = {}) => {
    const certificate =
      fingerprint === null ? null : { fingerprint, subject: 'CN=laptop', names: [], notAfterMs: 1 };
    const request = new Request('http://localhost/', { headers });
    rulesFor('k', termsOf(input))?.checkPlace({ ip: '192.0.2.9', request, certificate });
  };

  test('one of those that were laid down for it, however they were written', () => {
    const colons = mine.toUpperCase().match(/../g)?.join(':') ?? '';
    enter({ client_certificates: ['00'.repeat(32), colons] }, mine);
    enter({ client_certificates: null }, null);
  });

  test('with another one, with none, or with the word of a header, it may not', async () => {
    const pinned = { client_certificates: [mine] };
    const headers = { 'x-client-cert': mine, 'x-forwarded-client-cert': `Hash=${mine}`, 'client-cert': mine };
    for (const attempt of [
      () => enter(pinned, 'b2'.repeat(32)),
      () => enter(pinned, null),
      () => enter(pinned, null, headers),
      () => enter(pinned, ''),
    ])
      expect(await codeOf(async () => attempt())).toBe('KEY_CERTIFICATE_REFUSED');
  });
});
