/**
 * Who may connect to the executable's proxies: client certificates and the PROXY protocol, from the flags to curl, through
 * restarts and hand-overs, and a key that is bound to one certificate.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isRecord } from '../../src/lib/json';
import { type ClientCa, type ClientIdentity, createClientCa } from '../support/client-ca';
import { type Daemon, startDaemon } from '../support/daemon';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, errorOf, executable, flm, leftovers } from '../support/executable';
import { testHome } from '../support/home';
import { isMissing } from '../support/missing';
import { freePort } from '../support/ports';
import { missingTcpProxy, PROXY_ADDRESS, startTcpProxy } from '../support/tcp-proxy';

setDefaultTimeout(60_000);
let ca: ClientCa;
beforeAll(async () => {
  ca = createClientCa();
  await executable();
}, 60_000);
afterAll(async () => {
  ca[Symbol.dispose]();
  await eventually(() => leftovers().length === 0);
});

interface Encrypted extends AsyncDisposable {
  readonly daemon: Daemon;
  /** Status and body of a request on a connection of its own, with what `who` has to show. */
  get(who: ClientIdentity | null, url?: string): Promise<string>;
}

async function encrypted(home: TestDir, ...words: readonly string[]): Promise<Encrypted> {
  const https = ['--mode', 'packaged-ca', '--https-port', String(await freePort())];
  const daemon = await startDaemon(home, await freePort(), [...https, ...words]);
  const root = await dataOf(home.env, ['security', 'ca', 'export']);
  const rootFile = join(home.dir, 'root.pem');
  writeFileSync(rootFile, isRecord(root) ? String(root.certificate_pem) : '');
  return {
    daemon,
    async get(who, url = `${daemon.url}/v1/models`) {
      const shown = who === null ? [] : ['--cert', who.cert, '--key', who.key];
      const key = ['-H', `Authorization: Bearer ${daemon.key}`];
      const rest = [
        '--interface',
        '127.0.0.7',
        '--cacert',
        rootFile,
        '--noproxy',
        '*',
        '-m',
        '20',
        '-w',
        '%{http_code}',
      ];
      const child = Bun.spawn(['curl', '-sS', ...rest, ...shown, ...key, url], {
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const text = await new Response(child.stdout).text();
      await child.exited;
      return text;
    },
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

const REQUIRED = 'CLIENT_CERTIFICATE_REQUIRED';
const REFUSED = 'CLIENT_CERTIFICATE_REFUSED';

test('a certificate is required, through restarts and hand-overs, and revoked ones are refused', async () => {
  using home = testHome();
  const list = join(dirname(ca.file), 'revoked.pem');
  writeFileSync(list, ca.list());
  await using server = await encrypted(home, '--client-ca', ca.file, '--client-crl', list);
  const [laptop, lost] = [ca.issue('laptop'), ca.issue('lost')];
  expect(server.daemon.proxy).toMatchObject({
    client_certificates: 'required',
    client_ca_file: ca.file,
    client_crl_file: list,
    proxy_protocol: false,
  });
  const served = async () => {
    expect(await server.get(laptop)).toEndWith('200');
    expect(await server.get(null)).toContain(REQUIRED);
  };
  await served();
  expect(await server.get(lost)).toEndWith('200');
  ca.revoke(lost);
  writeFileSync(`${list}.new`, ca.list());
  renameSync(`${list}.new`, list);
  await eventually(async () => (await server.get(lost)).includes(REFUSED));
  await dataOf(home.env, ['proxy', 'restart']);
  await served();
  await dataOf(home.env, ['proxy', 'restart', '--graceful']);
  await served();
  expect(await server.get(lost)).toContain('it is revoked');
});

test('without its files a proxy does not start, and says so', async () => {
  using home = testHome();
  const [port, https] = [String(await freePort()), String(await freePort())];
  const start = (...words: readonly string[]) =>
    errorOf(home.env, ['proxy', 'start', '--no-daemon', '--port', port, ...words]);
  const tls = ['--mode', 'packaged-ca', '--https-port', https];
  for (const [words, code, part] of [
    [['--client-ca', ca.file], 'PROXY_INVALID_CONFIG', 'local-http has none'],
    [[...tls, '--client-certificates', 'required'], 'PROXY_INVALID_CONFIG', '--client-ca'],
    [[...tls, '--client-certificates', 'maybe'], 'INVALID_INPUT', 'optional'],
    [[...tls, '--client-crl', ca.file], 'PROXY_INVALID_CONFIG', '--client-certificates required'],
    [[...tls, '--client-ca', 'nothing.pem'], 'PROXY_INVALID_CONFIG', 'nothing.pem'],
    [[...tls, '--client-ca', ca.file, '--client-crl', ca.file], 'PROXY_INVALID_CONFIG', 'no revocation list'],
    [['--proxy-protocol'], 'PROXY_INVALID_CONFIG', '--trusted-proxy'],
  ] as const) {
    const error = await start(...words);
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  }
});

test('a key can be bound to a certificate where it is optional', async () => {
  using home = testHome();
  await using server = await encrypted(home, '--client-ca', ca.file, '--client-certificates', 'optional');
  const [mine, other] = [ca.issue('mine'), ca.issue('other')];
  expect(await server.get(null)).toEndWith('200');
  const keys = await dataOf(home.env, ['api-keys', 'list']);
  const [key] = isRecord(keys) && Array.isArray(keys.items) ? keys.items : [];
  const id = isRecord(key) ? String(key.id) : '';
  const colons = mine.fingerprint.match(/../g)?.join(':') ?? '';
  await dataOf(home.env, ['api-keys', 'update', id, '--client-certificate', colons]);
  expect((await flm(home.env, ['api-keys', 'list', '--format', 'text'])).stdout).toContain(
    `only with certificate ${mine.fingerprint.slice(0, 16)}`,
  );
  expect(await server.get(mine)).toEndWith('200');
  for (const who of [other, null]) expect(await server.get(who)).toContain('key_certificate_refused');
  await dataOf(home.env, ['config', 'set', 'proxy.revoked_client_certificates', mine.fingerprint]);
  expect(await server.get(mine)).toContain(REFUSED);
  await dataOf(home.env, ['api-keys', 'update', id, '--client-certificate', 'any']);
  expect(await server.get(null)).toEndWith('200');
});

const KIND = 'haproxy send-proxy-v2';
const isSkipped = isMissing(`the executable behind ${KIND}`, await missingTcpProxy(KIND));
test.skipIf(isSkipped)('behind haproxy, with client certificates through it', async () => {
  using home = testHome();
  const trust = ['--trusted-proxy', PROXY_ADDRESS, '--proxy-protocol'];
  await using server = await encrypted(home, '--client-ca', ca.file, ...trust);
  const shown = await flm(home.env, [
    'proxy',
    'start',
    '--port',
    String(await freePort()),
    '--format',
    'text',
    ...trust,
  ]);
  expect(shown.stdout).toContain('PROXY protocol');
  await using haproxy = await startTcpProxy(KIND, Number(new URL(server.daemon.url).port));
  const url = `https://localhost:${haproxy.port}/v1/models`;
  expect(await server.get(ca.issue('laptop'), url)).toEndWith('200');
  expect(await server.get(null, url)).toContain(REQUIRED);
  const { items } = (await dataOf(home.env, ['activity', 'list'])) as { items: { client_ip: string }[] };
  expect(items.map(({ client_ip: ip }) => ip)).toEqual(['127.0.0.7']);
});
