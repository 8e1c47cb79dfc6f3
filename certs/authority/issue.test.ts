/** What the authority makes, judged by openssl: as zlint would, and refused outside its names. */
import { afterAll, describe, expect, test } from 'bun:test';
import { openssl } from '../../test/support/certs';
import { pemOf } from '../certificate';
import { permittedFor } from '../names';
import { loadIssue } from './load';

const ssl = openssl();
afterAll(() => ssl[Symbol.dispose]());

const { makeLeaf, makeRoot } = await loadIssue();
const DAY_MS = 86_400_000;
const NOW = Date.now();
const lifetime = (days: number) => ({ notBeforeMs: NOW - 3_600_000, notAfterMs: NOW + days * DAY_MS });
const machine = { hostname: 'box7', hosts: '127.0.1.1 box7.home.example box7\n', addresses: [] };
const root = await makeRoot({
  commonName: 'FLM Local CA test',
  permitted: permittedFor(machine, ['llm.example.net', '*.models.example.net', '203.0.113.7', '2001:db8::7']),
  ...lifetime(3_650),
});
const rootPem = pemOf('CERTIFICATE', root.certificate);

async function leafFor(...names: string[]): Promise<string> {
  return pemOf('CERTIFICATE', (await makeLeaf(root, names, lifetime(90))).certificate);
}

describe('the root', () => {
  const text = ssl.text(rootPem);

  test('is an authority above at most one more, for servers only', () => {
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:1\n/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(text).toMatch(/Extended Key Usage: \s+TLS Web Server Authentication\n/);
  });

  test('FLM-091: ECDSA on P-256 with SHA-256, O=FLM, C=US, 3650 days', () => {
    expect(text).toContain('NIST CURVE: P-256');
    expect(text).toContain('Signature Algorithm: ecdsa-with-SHA256');
    expect(text).toContain('Subject: C = US, O = FLM, CN = FLM Local CA test');
    expect(
      ssl.run('x509', '-noout', '-checkend', `${3_649 * 86_400}`, '-in', ssl.file('r.pem', rootPem)).code,
    ).toBe(0);
    expect(
      ssl.run('x509', '-noout', '-checkend', `${3_651 * 86_400}`, '-in', ssl.file('r.pem', rootPem)).code,
    ).toBe(1);
  });

  test('FLM-094: is limited to local names and private addresses, and a client that cannot read that must not trust it', () => {
    const [, constraints = ''] =
      /Name Constraints: critical\s+Permitted:\n([\s\S]*?)\n {4}Sig/.exec(text) ?? [];
    expect(constraints.split('\n').map((line) => line.trim())).toEqual([
      ...['localhost', 'local', 'internal', 'lan', 'home.arpa'].map((name) => `DNS:${name}`),
      ...['box7', 'box7.home.example', 'llm.example.net', 'models.example.net'].map((name) => `DNS:${name}`),
      'IP:127.0.0.0/255.0.0.0',
      'IP:10.0.0.0/255.0.0.0',
      'IP:172.16.0.0/255.240.0.0',
      'IP:192.168.0.0/255.255.0.0',
      'IP:169.254.0.0/255.255.0.0',
      'IP:100.64.0.0/255.192.0.0',
      'IP:0:0:0:0:0:0:0:1/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF',
      'IP:FC00:0:0:0:0:0:0:0/FE00:0:0:0:0:0:0:0',
      'IP:FE80:0:0:0:0:0:0:0/FFC0:0:0:0:0:0:0:0',
      'IP:203.0.113.7/255.255.255.255',
      'IP:2001:DB8:0:0:0:0:0:7/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF',
    ]);
    expect(text).not.toContain('Excluded');
  });

  test('verifies itself by the strict rules', () => {
    const file = ssl.file('self.pem', rootPem);
    expect(ssl.run('verify', '-x509_strict', '-CAfile', file, file).output).toContain('self.pem: OK');
  });
});

describe('a leaf', () => {
  test('is for servers, names hosts where clients look, and carries both key identifiers', async () => {
    const text = ssl.text(await leafFor('localhost', 'box.local', '192.168.1.20', '::1'));
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE\n/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/Extended Key Usage: \s+TLS Web Server Authentication\n/);
    expect(text).toMatch(
      /Alternative Name: \s+DNS:localhost, DNS:box.local, IP Address:192.168.1.20, IP Address:0:0:0:0:0:0:0:1\n/,
    );
    const idOf = (name: string, of: string) => new RegExp(`${name} Key Identifier: \\s+(\\S+)`).exec(of)?.[1];
    expect(idOf('Authority', text)).toBe(idOf('Subject', ssl.text(rootPem)));
    expect(idOf('Subject', text)).not.toBe(idOf('Authority', text));
    expect(text).toContain('Subject: C = US, O = FLM, CN = FLM Proxy Server');
  });

  test('is good for 90 days, and an hour before they begin', async () => {
    const leaf = await leafFor('localhost');
    const dates = ssl.run('x509', '-noout', '-dates', '-in', ssl.file('leaf.pem', leaf)).output;
    const [from = 0, to = 0] = [...dates.matchAll(/=(.*)/g)].map(([, date = '']) => Date.parse(date));
    expect((to - from) / 3_600_000).toBe(90 * 24 + 1);
    expect(from).toBeLessThan(NOW);
  });

  test('has 128 random bits as its number, each time others', async () => {
    const numbers = await Promise.all([leafFor('localhost'), leafFor('localhost')]);
    const [one = '', two = ''] = numbers.map((leaf) =>
      ssl.run('x509', '-noout', '-serial', '-in', ssl.file('leaf.pem', leaf)).output.trim(),
    );
    expect(one).toMatch(/^serial=[4-7][0-9A-F]{31}$/);
    expect(two).not.toBe(one);
  });

  const HOLDS: [string, 'OK' | 'permitted subtree violation'][] = [
    ['localhost', 'OK'],
    ['app.localhost', 'OK'],
    ['box7', 'OK'],
    ['box.local', 'OK'],
    ['nas.lan', 'OK'],
    ['x.y.internal', 'OK'],
    ['box.home.arpa', 'OK'],
    ['llm.example.net', 'OK'],
    ['a.llm.example.net', 'OK'],
    ['*.models.example.net', 'OK'],
    ['10.255.0.1', 'OK'],
    ['172.31.255.255', 'OK'],
    ['100.100.100.100', 'OK'],
    ['fd12:3456::1', 'OK'],
    ['203.0.113.7', 'OK'],
    ['example.com', 'permitted subtree violation'],
    ['example.net', 'permitted subtree violation'],
    ['evil-llm.example.net', 'permitted subtree violation'],
    ['notlocal', 'permitted subtree violation'],
    ['localhost.example.com', 'permitted subtree violation'],
    ['8.8.8.8', 'permitted subtree violation'],
    ['172.32.0.1', 'permitted subtree violation'],
    ['100.128.0.1', 'permitted subtree violation'],
    ['203.0.113.8', 'permitted subtree violation'],
    ['2001:db8::8', 'permitted subtree violation'],
  ];
  test.each(HOLDS)('for %s is %s', async (name, verdict) => {
    expect(ssl.verify(rootPem, await leafFor(name))).toBe(verdict);
  });

  test('is refused whole when one of its names is outside', async () => {
    expect(ssl.verify(rootPem, await leafFor('localhost', 'example.com'))).toBe(
      'permitted subtree violation',
    );
  });

  test('is good for nothing but servers: neither mail nor programs', async () => {
    const leaf = ssl.file('leaf.pem', await leafFor('localhost'));
    for (const purpose of ['smimesign', 'sslclient', 'timestampsign']) {
      const words = ['-CAfile', ssl.file('root.pem', rootPem), '-purpose', purpose, leaf];
      expect(ssl.run('verify', ...words).output).toContain('unsuitable certificate purpose');
    }
  });
});
