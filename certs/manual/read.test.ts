/** Certificates of others, as people bring them: what is taken, and what clients would have stumbled over. */
import { afterAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { openssl } from '../../test/support/certs';
import { errorOf } from '../../test/support/thrown';
import { pemBlocks } from '../certificate';
import { readManual } from './read';

const ssl = openssl();
afterAll(() => ssl[Symbol.dispose]());

interface Made {
  readonly cert: string;
  readonly key: string;
}

const P256 = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
let count = 0;

/** A certificate that `issuer` has signed, or that signs itself. */
function make(
  extensions: readonly string[],
  more: {
    readonly issuer?: Made;
    readonly key?: readonly string[];
    readonly days?: number;
    readonly digest?: string;
    readonly serial?: string;
  } = {},
): Made {
  const { issuer, key = P256, days = 30, digest = 'sha256', serial } = more;
  const at = (end: string) => ssl.file(`${count}.${end}`, '');
  count++;
  const [keyFile, csr, cert] = [at('key'), at('csr'), at('pem')];
  const ext = ssl.file('ext', `${extensions.join('\n')}\n`);
  const check = (...words: string[]) => {
    const { code, output } = ssl.run(...words);
    if (code !== 0) throw new Error(output);
  };
  check('req', '-newkey', ...key, '-nodes', '-keyout', keyFile, '-out', csr, '-subj', `/CN=cert ${count}`);
  const by =
    issuer === undefined
      ? ['-signkey', keyFile]
      : ['-CA', ssl.file('ca.pem', issuer.cert), '-CAkey', ssl.file('ca.key', issuer.key), '-CAcreateserial'];
  if (serial !== undefined && issuer !== undefined) by.splice(-1, 1, '-set_serial', serial);
  check('x509', '-req', '-in', csr, ...by, `-${digest}`, '-days', `${days}`, '-extfile', ext, '-out', cert);
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
const SERVER = [
  'basicConstraints=CA:FALSE',
  'subjectAltName=DNS:llm.example.com,IP:192.0.2.7',
  'extendedKeyUsage=serverAuth',
];
const root = make(CA);
const middle = make(CA, { issuer: root });
const server = make(SERVER, { issuer: middle });
const other = make(SERVER, { issuer: root });

const nowMs = () => Date.now() + 60_000;
const read = (cert: string, key: string) =>
  readManual({ certificate_pem: cert, private_key_pem: key }, nowMs());

describe('a certificate with its key', () => {
  test('is taken with its chain, put into order and without the root', () => {
    const read1 = read(root.cert + middle.cert + server.cert, server.key);
    expect(pemBlocks(read1.chainPem).map(({ pem }) => pem.replace(/\n$/, ''))).toEqual(
      [server, middle].map(({ cert }) => cert.trim()),
    );
    expect(read1.names).toEqual(['llm.example.com', '192.0.2.7']);
  });

  test('may lie in one file with its key, and between the words that tools write', () => {
    const text = `subject=whatever\n${server.key}\nissuer=x\n${server.cert}`;
    expect(read(text, text).names).toEqual(['llm.example.com', '192.0.2.7']);
  });

  test.each([
    ['RSA with 2048 bits', ['rsa:2048']],
    ['ECDSA on P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1']],
  ])('is taken with %s', (_name, key) => {
    const made = make(SERVER, { issuer: root, key });
    expect(read(made.cert, made.key).names.length).toBe(2);
  });
});

const weak = make(SERVER, { issuer: root, key: ['rsa:1024'] });
const edwards = make(SERVER, { issuer: root, key: ['ed25519'] });
const nameless = make(['basicConstraints=CA:FALSE'], { issuer: root });
const client = make([...SERVER.slice(0, 2), 'extendedKeyUsage=clientAuth'], { issuer: root });
const authority = make([...CA, 'subjectAltName=DNS:llm.example.com']);
const expired = make(SERVER, { issuer: root, days: -1 });
const old = make(SERVER, { issuer: root, digest: 'sha1' });
const rsaRoot = make(CA, { key: ['rsa:2048'] });
const oldRsa = make(SERVER, { issuer: rsaRoot, digest: 'sha1' });
const md5 = make(SERVER, { issuer: rsaRoot, digest: 'md5' });
const negative = make(SERVER, { issuer: root, serial: '-5' });
const oldMiddle = make(CA, { issuer: rsaRoot, digest: 'sha1' });
const belowOld = make(SERVER, { issuer: oldMiddle });
const weakMiddle = make(CA, { issuer: root, key: ['rsa:1024'] });
const belowWeak = make(SERVER, { issuer: weakMiddle });
const expiredMiddle = make(CA, { issuer: root, days: -1 });
const belowExpired = make(SERVER, { issuer: expiredMiddle });
const encrypted = ssl.run(
  'pkey',
  '-aes128',
  '-passout',
  'pass:secret',
  '-in',
  ssl.file('plain.key', server.key),
).output;

const rsa = make(SERVER, { issuer: root, key: ['rsa:2048'] });

const REFUSED: [string, string, string, string][] = [
  ['a key of another kind', server.cert, rsa.key, 'the key belongs to none'],
  ['a key of another kind, the other way round', rsa.cert, server.key, 'the key belongs to none'],
  [
    'a public key',
    server.cert,
    ssl.run('pkey', '-pubout', '-in', ssl.file('p.key', server.key)).output,
    'there is no private key',
  ],
  ['another key', server.cert, other.key, 'the key belongs to none'],
  ['no certificate', server.key, server.key, 'there is no certificate in it'],
  ['no key', server.cert, server.cert, 'there is no private key'],
  ['an encrypted key', server.cert, encrypted, 'its key is encrypted'],
  ['half a key', server.cert, server.key.replace(/\n.{20}/, '\n'), 'its key cannot be read'],
  [
    'half a certificate',
    server.cert.replace(/\n.{20}/, '\n'),
    server.key,
    'certificate 1 in it cannot be read',
  ],
  ['an RSA key with 1024 bits', weak.cert, weak.key, 'its key has 1024 bits'],
  [
    'a key that browsers do not take',
    edwards.cert,
    edwards.key,
    'browsers do not take its kind of key (ed25519)',
  ],
  ['a name in CN only', nameless.cert, nameless.key, 'it names no host in its subject alternative names'],
  ['one that is for clients', client.cert, client.key, 'it is not meant for servers'],
  ['an authority', authority.cert, authority.key, 'it is the certificate of an authority'],
  ['one that has expired', expired.cert, expired.key, 'it has expired on'],
  [
    'one that is signed with SHA-1 and RSA',
    oldRsa.cert,
    oldRsa.key,
    'sha1WithRSAEncryption, which clients no',
  ],
  ['one that is signed with MD5', md5.cert, md5.key, 'md5WithRSAEncryption, which clients no'],
  ['a negative number', negative.cert, negative.key, 'its serial number is negative'],
  ['SHA-1 in its chain', belowOld.cert + oldMiddle.cert, belowOld.key, 'in its chain is signed with sha1'],
  ['a weak key in its chain', belowWeak.cert + weakMiddle.cert, belowWeak.key, 'in its chain has 1024 bits'],
  [
    'an end in its chain',
    belowExpired.cert + expiredMiddle.cert,
    belowExpired.key,
    'in its chain has expired',
  ],
  ['one that is signed with SHA-1', old.cert, old.key, 'which clients no longer accept'],
  ['a chain of somebody else', server.cert + other.cert, server.key, 'does not belong to its chain'],
  ['a chain without end', server.cert.repeat(11), server.key, 'there are more than 10 certificates'],
];
test.each(REFUSED)('refuses %s', async (_name, cert, key, reason) => {
  const error = await errorOf(() => read(cert, key));
  expect([error.code, error.message]).toEqual(['CERTIFICATE_INVALID', expect.stringContaining(reason)]);
  // Nothing of a key is ever in what is said of it.
  const secret = key.split('\n')[1] ?? '';
  expect(`${error.message} ${error.hint}`).not.toContain(secret);
});

test('reads a text of many beginnings in a moment', async () => {
  // 7,000 beginnings without an end took a second of everybody's time.
  const text = '-----BEGIN CERTIFICATE-----\n'.repeat(100_000);
  const startedMs = performance.now();
  expect((await errorOf(() => read(text, server.key))).message).toContain('there is no certificate');
  expect(performance.now() - startedMs).toBeLessThan(1_000);
});

test('refuses one that is good only later', async () => {
  const error = await errorOf(() =>
    readManual({ certificate_pem: server.cert, private_key_pem: server.key }, Date.now() - 86_400_000),
  );
  expect(error.message).toContain('it is good only from');
});
