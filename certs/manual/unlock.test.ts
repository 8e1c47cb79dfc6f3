/** Files as openssl, Windows and Java write them: what is in them comes out, and what is wrong is said without a secret. */
import { afterAll, describe, expect, test } from 'bun:test';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { openssl } from '../../test/support/certs';
import { createTestCa, type TestCertificate } from '../../test/support/test-ca';
import { errorOf } from '../../test/support/thrown';
import { pemBlocks } from '../certificate';
import { readManual } from './read';
import { type Given, unlock } from './unlock';

const ssl = openssl();
const ca = createTestCa();
afterAll(() => {
  ssl[Symbol.dispose]();
  ca[Symbol.dispose]();
});

function check(...words: readonly string[]): string {
  const { code, output } = ssl.run(...words);
  if (code !== 0) throw new Error(`openssl ${words.join(' ')}: ${output}`);
  return output;
}

const PASSWORD = 'geheim & "laut"';
const NAMES = 'subjectAltName=DNS:llm.example.com';
const CA = readFileSync(ca.caFile, 'utf8');
const ec = ca.issue('DNS:llm.example.com');
const other = ca.issue('DNS:other.example.com');
const rsa = rsaPair();

function rsaPair(): TestCertificate {
  const [key, cert] = [ssl.file('rsa.key', ''), ssl.file('rsa.pem', '')];
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2'];
  check(...made, '-subj', '/CN=x', '-addext', NAMES, '-addext', 'basicConstraints=critical,CA:FALSE');
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

function pkcs12({ cert, key }: TestCertificate, password: string, ...more: readonly string[]): Given {
  const out = ssl.file('made.p12', '');
  const from = ['-in', ssl.file('c.pem', cert), '-inkey', ssl.file('k.pem', key)];
  check('pkcs12', '-export', ...from, '-out', out, '-passout', `pass:${password}`, ...more);
  return { path: 'my llm.p12', bytes: readFileSync(out) };
}

const given = (text: string | Uint8Array, path = 'given.pem'): Given => ({ path, bytes: Buffer.from(text) });
const says = (password: string) => async () => password;
const nobody = async (): Promise<string> => {
  throw new Error('nothing is encrypted, and a password was asked for');
};

describe('PKCS#12', () => {
  test.each<[string, TestCertificate, string, readonly string[]]>([
    ['RSA, as openssl 3 writes it', rsa, PASSWORD, []],
    ['ECDSA', ec, PASSWORD, []],
    ['RSA with RC2 and 3DES', rsa, PASSWORD, ['-legacy']],
    ['ECDSA with RC2 and 3DES', ec, PASSWORD, ['-legacy']],
    ['a checksum by SHA-512', ec, PASSWORD, ['-macalg', 'sha512']],
    ['no checksum', ec, PASSWORD, ['-nomac']],
    ['nothing encrypted', ec, PASSWORD, ['-keypbe', 'NONE', '-certpbe', 'NONE']],
    ['an empty password', ec, '', []],
    ['a password beyond ASCII', ec, 'pässwörd日本', []],
    ['a password beyond ASCII with RC2 and 3DES', ec, 'pässwörd', ['-legacy']],
    ['a name beyond ASCII', ec, PASSWORD, ['-name', '日本語 & <x>']],
  ])('with %s is read', async (_what, pair, password, more) => {
    const input = await unlock(pkcs12(pair, password, ...more), null, says(password));
    expect(readManual(input, Date.now() + 60_000).names).toEqual(['llm.example.com']);
    expect(new X509Certificate(input.certificate_pem).raw).toEqual(new X509Certificate(pair.cert).raw);
    expect(createPrivateKey(input.private_key_pem)).toEqual(createPrivateKey(pair.key));
  });

  test('with its chain and its root brings all of them', async () => {
    const file = pkcs12(ec, PASSWORD, '-certfile', ca.caFile);
    const input = await unlock(file, null, says(PASSWORD));
    expect(pemBlocks(input.certificate_pem).length).toBe(2);
    expect(pemBlocks(readManual(input, Date.now() + 60_000).chainPem).length).toBe(1);
  });

  test.each<[string, () => Given, string, RegExp, RegExp | null]>([
    ['a wrong password', () => pkcs12(rsa, PASSWORD), 'wrong', /: the password is wrong\.$/, null],
    ['a wrong password beyond ASCII', () => pkcs12(rsa, PASSWORD), 'ä', /: the password is wrong\.$/, null],
    [
      'a wrong password, with old ciphers',
      () => pkcs12(ec, PASSWORD, '-legacy'),
      'x',
      /password is wrong/,
      null,
    ],
    ['no password', () => pkcs12(ec, PASSWORD), '', /: the password is wrong\.$/, null],
    ['no key', () => pkcs12(ec, PASSWORD, '-nokeys'), PASSWORD, /there is no private key in it/, null],
    [
      'half of it',
      () => {
        const whole = pkcs12(ec, PASSWORD);
        return { ...whole, bytes: whole.bytes.subarray(0, 300) };
      },
      PASSWORD,
      /this PKCS#12 file cannot be read/,
      /openssl pkcs12 -in 'my llm\.p12' /,
    ],
  ])('with %s is refused in words', async (_what, file, password, reason, hint) => {
    const error = await errorOf(() => unlock(file(), null, says(password)));
    expect([error.code, error.message]).toEqual(['CERTIFICATE_INVALID', expect.stringMatching(reason)]);
    if (hint !== null) expect(error.hint).toMatch(hint);
    expect(`${error.message} ${error.hint}`).not.toContain(PASSWORD);
  });

  test('is whole: a key beside it is one too many', async () => {
    const error = await errorOf(() => unlock(pkcs12(ec, PASSWORD), given(ec.key), nobody));
    expect(error.message).toContain('leave --key out');
  });
});

describe('PEM', () => {
  const encrypted = (...words: readonly string[]) =>
    check(...words, '-in', ssl.file('plain.key', rsa.key), '-passout', `pass:${PASSWORD}`);
  const pkcs8 = (...words: readonly string[]) => encrypted('pkcs8', '-topk8', ...words);

  test('that is not encrypted asks for no password, and hands on one key and the certificates', async () => {
    const both = given(
      `\u00EF\u00BB\u00BF${`x\n${ec.key}${ec.cert}${CA}${other.key}`.replaceAll('\n', '\r\n')}`,
    );
    const input = await unlock(both, null, nobody);
    expect(pemBlocks(input.certificate_pem).length).toBe(2);
    expect(input.certificate_pem).not.toContain('PRIVATE');
    expect(pemBlocks(input.private_key_pem).length).toBe(1);
    expect(readManual(input, Date.now() + 60_000).names).toEqual(['llm.example.com']);
  });

  test.each([
    ['UTF-16, as PowerShell writes it', Buffer.from(`\uFEFF${ec.cert}`, 'utf16le')],
    ['UTF-8 with a mark', Buffer.from(`\uFEFF${ec.cert}`)],
    ['DER', new X509Certificate(ec.cert).raw],
  ])('may be %s', async (_what, bytes) => {
    const input = await unlock(given(bytes), given(ec.key), nobody);
    expect(readManual(input, Date.now() + 60_000).names).toEqual(['llm.example.com']);
  });

  test.each([
    ['PKCS#8', () => pkcs8()],
    ['PKCS#8 with 3DES', () => pkcs8('-v1', 'PBE-SHA1-3DES')],
    ['the older form', () => encrypted('rsa', '-traditional', '-aes256').replace(/^writing.*\n/m, '')],
  ])('with a key that is encrypted as %s is read with its password', async (_what, make) => {
    const key = make();
    const input = await unlock(given(rsa.cert), given(key), says(PASSWORD));
    expect(input.private_key_pem).not.toContain('ENCRYPTED');
    expect(readManual(input, Date.now() + 60_000).names).toEqual(['llm.example.com']);
    const error = await errorOf(() => unlock(given(rsa.cert), given(key), says('wrong')));
    expect(error.message).toContain('the password of its key is wrong');
  });

  test('with a key that is encrypted in a way that is not known says how to take it off', async () => {
    const error = await errorOf(() => unlock(given(rsa.cert), given(pkcs8('-scrypt')), says(PASSWORD)));
    expect([error.message, error.hint]).toEqual([
      expect.stringContaining('in a way that FLM cannot read'),
      expect.stringContaining('openssl pkey'),
    ]);
  });

  test.each([
    ['nothing', '', 'neither PEM nor PKCS#12'],
    ['something else', 'PK\u0003\u0004 a zip file', 'neither PEM nor PKCS#12'],
    ['a key alone', ec.key, 'there is no certificate in given.pem'],
    ['a certificate alone', ec.cert, 'there is no private key in given.pem'],
    ['zeros', '\0'.repeat(1_000_000), 'neither PEM nor PKCS#12'],
  ])('that holds %s is refused in words', async (_what, text, reason) => {
    const error = await errorOf(() => unlock(given(text), null, nobody));
    expect([error.code, error.message]).toEqual(['CERTIFICATE_INVALID', expect.stringContaining(reason)]);
  });
});
