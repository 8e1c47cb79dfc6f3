/**
 * HTTPS with the executable: a proxy in a mode with TLS is started, shown, restored and handed over; certificates are
 * exchanged while it serves; and the CLI's own commands reach it.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { isRecord } from '../../src/lib/json';
import { eventsOf } from '../support/client';
import { startDaemon } from '../support/daemon';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, errorOf, executable, flm, leftovers, startFlm } from '../support/executable';
import { type FakeProcess, startFakeProcess } from '../support/fake-process';
import { testHome } from '../support/home';
import { freePort } from '../support/ports';
import { createTestCa } from '../support/test-ca';

setDefaultTimeout(60_000);
beforeAll(executable, 60_000);
// A process that was replaced may have a second left.
afterAll(() => eventually(() => leftovers().length === 0));

const MODEL = 'smollm2-135m-instruct';
const TLS = ['--mode', 'packaged-ca'];

/** Not the port after the other one, which clients of this test may be using by then. */
async function somewhere(): Promise<string[]> {
  return [...TLS, '--https-port', String(await freePort())];
}

async function homeWith(engine: FakeProcess): Promise<TestDir> {
  const home = testHome();
  await dataOf(home.env, ['engines', 'add', '--kind', 'llamacpp', '--url', engine.url, '--id', 'fake']);
  return home;
}

/** The root of that home, as text. */
async function rootOf(home: TestDir, ...words: readonly string[]): Promise<string> {
  const root = await dataOf(home.env, ['security', 'ca', 'export', ...words]);
  return isRecord(root) ? String(root.certificate_pem) : '';
}

async function pidOf(home: TestDir): Promise<unknown> {
  const status = await dataOf(home.env, ['status']);
  return isRecord(status) ? status.pid : null;
}

/** Status and body of a GET by a client that trusts `ca` alone, on a connection of its own. */
async function get(url: string, ca: string, key: string | null = null): Promise<string> {
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(url, { headers, tls: { ca }, keepalive: false, redirect: 'manual' });
  return `${response.status} ${await response.text()}`;
}

function stream(url: string, ca: string, key: string): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: 'Hello' }] }),
    tls: { ca },
    keepalive: false,
  });
}

/** The fingerprint that a client is shown which asks for `servername`; null when the handshake fails. */
function shownTo(port: number, servername: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      resolve(fingerprint256.replaceAll(':', '').toLowerCase());
    });
    socket.on('error', () => resolve(null));
  });
}

test('is started, shown, stopped and started again as it was', async () => {
  using home = testHome();
  const port = await freePort();
  const httpsPort = await freePort();
  await using daemon = await startDaemon(home, port, [...TLS, '--https-port', String(httpsPort)]);
  expect(daemon.proxy).toMatchObject({
    mode: 'packaged-ca',
    port,
    https_port: httpsPort,
    endpoints: { localhost: `https://localhost:${httpsPort}` },
  });
  const ca = await rootOf(home);
  expect(await get(`${daemon.url}/v1/models`, ca, daemon.key)).toStartWith('200 ');
  expect(await get(`http://localhost:${port}/v1/models`, ca, daemon.key)).toBe(
    `308 FLM speaks HTTPS: https://localhost:${httpsPort}/v1/models\nHow to trust its certificate: http://localhost:${port}/ca\n`,
  );
  expect((await flm(home.env, ['proxy', 'status', '--format', 'text'])).stdout).toContain(
    `127.0.0.1:${httpsPort} (HTTPS; ${port} leads there)`,
  );
  expect(await dataOf(home.env, ['security', 'exposure'])).toMatchObject({
    listeners: [{ tls: true, urls: [`https://localhost:${httpsPort}`] }],
  });
  await dataOf(home.env, ['proxy', 'restart']);
  expect(await get(`${daemon.url}/v1/models`, ca, daemon.key)).toStartWith('200 ');
  expect(await dataOf(home.env, ['status'])).toMatchObject({ mode: 'packaged-ca' });
});

test('FLM-065: dev-selfsigned has a root of its own, and its older spelling is understood', async () => {
  using home = testHome();
  const port = await freePort(1);
  await using daemon = await startDaemon(home, port, ['--mode', 'dev-self-signed']);
  expect(daemon.proxy).toMatchObject({ mode: 'dev-selfsigned', https_port: port + 1 });
  expect(await get(`${daemon.url}/health`, await rootOf(home, '--mode', 'dev-selfsigned'))).toStartWith(
    '200 ',
  );
  const other = await rootOf(home, '--mode', 'packaged-ca');
  expect(await get(`${daemon.url}/health`, other).catch(() => 'refused')).toBe('refused');
});

test('FLM-066: places that cannot be are refused, and whose port it is is said', async () => {
  using home = testHome();
  const taken = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    reusePort: false,
    fetch: () => new Response('hm'),
  });
  const port = String(await freePort());
  const start = (...words: readonly string[]) =>
    errorOf(home.env, ['proxy', 'start', '--no-daemon', ...words]);
  for (const [words, code, part] of [
    [['--https-port', port], 'PROXY_INVALID_CONFIG', 'local-http has none'],
    [['--port', port, '--https-port', port, ...TLS], 'PROXY_INVALID_CONFIG', 'HTTP and HTTPS at once'],
    [['--port', '65535', ...TLS], 'PROXY_INVALID_CONFIG', '--https-port'],
    [['--https-port', '0', ...TLS], 'INVALID_INPUT', '--https-port'],
    [['--mode', 'https-acme'], 'PROXY_INVALID_CONFIG', 'packaged-ca'],
    [
      ['--port', port, '--https-port', String(taken.port), ...TLS],
      'PROXY_PORT_IN_USE',
      `Port ${taken.port} `,
    ],
  ] as const) {
    const error = await start(...words);
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  }
  await taken.stop(true);
});

test('certificates are exchanged while it serves: imported, rotated, with a stream that goes on', async () => {
  await using engine = await startFakeProcess('llamacpp', '--tokens', '100', '--token-delay-ms', '20');
  using home = await homeWith(engine);
  await using daemon = await startDaemon(home, await freePort(), await somewhere());
  const port = daemon.proxy.https_port ?? 0;
  const ca = await rootOf(home);
  const response = await stream(daemon.url, ca, daemon.key);
  const ended = eventsOf(response);
  const first = await shownTo(port, 'localhost');

  using brought = createTestCa();
  const { cert, key } = brought.issue('DNS:llm.example.com');
  const [certFile, keyFile] = [join(home.dir, 'brought.pem'), join(home.dir, 'brought.key')];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const imported = await dataOf(home.env, [
    ...['security', 'certificates', 'import', '--cert', certFile, '--key', keyFile],
  ]);
  expect(await shownTo(port, 'llm.example.com')).toBe(isRecord(imported) ? String(imported.id) : '');
  expect(await shownTo(port, 'localhost')).toBe(first);

  await dataOf(home.env, ['security', 'ca', 'rotate', '--overlap', '0s']);
  expect(await shownTo(port, 'localhost')).not.toBe(first);
  expect(await get(`${daemon.url}/health`, await rootOf(home))).toStartWith('200 ');
  await dataOf(home.env, ['proxy', 'reload', '--all']);
  const { events, whole } = await ended;
  expect([whole, events.at(-1)]).toEqual([true, '[DONE]']);
});

test('is handed over: no handshake fails, no stream is cut', async () => {
  await using engine = await startFakeProcess(
    'llamacpp',
    '--slots',
    '50',
    '--tokens',
    '200',
    '--token-delay-ms',
    '20',
  );
  using home = await homeWith(engine);
  await using daemon = await startDaemon(home, await freePort(), await somewhere());
  const { url, key } = daemon;
  const ca = await rootOf(home);
  const streams = Array.from({ length: 20 }, async () => eventsOf(await stream(url, ca, key)));
  await eventually(async () => (await engine.stats()).busy === 20);

  let going = true;
  let answered = 0;
  const failures: string[] = [];
  const clients = Array.from({ length: 4 }, async () => {
    while (going) {
      const answer = await get(`${url}/v1/models`, ca, key).catch((error: unknown) => String(error));
      if (answer.startsWith('200 ')) answered++;
      else failures.push(answer.slice(0, 200));
    }
  });
  const pids = [await pidOf(home)];
  for (let n = 0; n < 3; n++) {
    await dataOf(home.env, ['proxy', 'restart', '--graceful']);
    pids.push(await pidOf(home));
  }
  const ended = await Promise.all(streams);
  going = false;
  await Promise.all(clients);
  console.log(`      ${answered} new connections, failures ${JSON.stringify(failures)}`);
  expect(failures).toEqual([]);
  expect(ended.filter(({ whole, events }) => whole && events.at(-1) === '[DONE]').length).toBe(20);
  expect(answered).toBeGreaterThan(50);
  expect(new Set(pids).size).toBe(4);
});

test('flm up serves it, and flm chat reaches it', async () => {
  await using engine = await startFakeProcess('llamacpp');
  using home = await homeWith(engine);
  await using up = await startFlm(home.env, ['--port', '0', ...TLS, '--ask', 'Hello']);
  const { endpoints, proxies } = up.data;
  expect(endpoints.localhost).toBe(`https://localhost:${proxies[0]?.https_port}`);
  await eventually(() => up.stdout.text().split('\n').length > 2);
  expect(up.stdout.text()).toContain('"content"');
  expect(await dataOf(home.env, ['chat', '--model', MODEL, 'Hello'])).toMatchObject({
    usage: expect.anything(),
  });
  expect(await get(`${endpoints.localhost}/v1/models`, await rootOf(home), up.key)).toStartWith('200 ');
});
