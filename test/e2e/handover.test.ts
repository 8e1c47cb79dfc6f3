/**
 * `flm proxy restart --graceful`: a new process takes the place of the old one, and nobody notices. What was under way
 * ends where it began, what comes next is the new one's, and when the new one cannot start, the old one goes on.
 */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { isRecord } from '../../src/lib/json';
import { chat, eventsOf } from '../support/client';
import { endDaemon, logOf, partsOf, startDaemon } from '../support/daemon';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, errorOf, flm, leftovers } from '../support/executable';
import { type FakeProcess, startFakeProcess } from '../support/fake-process';
import { testHome } from '../support/home';
import { startLoad } from '../support/load';
import { freePort } from '../support/ports';

setDefaultTimeout(60_000);
// A process that was replaced may have a second left.
afterAll(() => eventually(() => leftovers().length === 0));

const MODEL = 'smollm2-135m-instruct';
const STREAMS = 100;
const RESTARTS = 5;

async function homeWith(engine: FakeProcess): Promise<TestDir> {
  const home = testHome();
  await dataOf(home.env, ['engines', 'add', '--kind', 'llamacpp', '--url', engine.url, '--id', 'fake']);
  return home;
}

async function pidOf(home: TestDir): Promise<unknown> {
  const status = await dataOf(home.env, ['status']);
  return isRecord(status) ? status.pid : null;
}

test(`${RESTARTS} in a row under load lose no request and no stream`, async () => {
  // Ten seconds a stream: each lives through all of the restarts.
  await using engine = await startFakeProcess(
    'llamacpp',
    '--slots',
    '200',
    '--tokens',
    '200',
    '--token-delay-ms',
    '50', // prettier-ignore
  );
  using home = await homeWith(engine);
  const port = await freePort();
  await using daemon = await startDaemon(home, port);
  const { url, key } = daemon;
  const pids = [await pidOf(home)];

  const streams = Array.from({ length: STREAMS }, async () => {
    const response = await chat(url, { key, model: MODEL, stream: true });
    return { status: response.status, ...(await eventsOf(response)) };
  });
  await eventually(async () => (await engine.stats()).busy === STREAMS);
  const load = startLoad(
    port,
    `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`,
    16,
  );

  const tookMs: number[] = [];
  for (let n = 0; n < RESTARTS; n++) {
    const fromMs = performance.now();
    const data = await dataOf(home.env, ['proxy', 'restart', '--graceful']);
    tookMs.push(Math.round(performance.now() - fromMs));
    expect(data).toMatchObject({ port, running: true });
    pids.push(await pidOf(home));
  }
  expect((await engine.stats()).busy).toBe(STREAMS);
  const ended = await Promise.all(streams);
  const { answered, failures } = await load.stop();
  const whole = ended.filter(
    ({ status, whole, events }) => status === 200 && whole && events.at(-1) === '[DONE]',
  );
  console.log(
    `      ${RESTARTS} restarts in ${tookMs.join(', ')} ms: ${answered} short requests, failures ${JSON.stringify(failures)}; ` +
      `${whole.length} of ${STREAMS} streams whole`,
  );
  if (Object.keys(failures).length) console.log(logOf(home));
  expect(failures).toEqual({});
  expect(whole.length).toBe(STREAMS);
  expect(answered).toBeGreaterThan(1_000);
  expect(new Set(pids).size).toBe(RESTARTS + 1);
});

test('a key that is revoked at the new process ends its streams at the old one, too', async () => {
  await using engine = await startFakeProcess('llamacpp', '--tokens', '1000', '--token-delay-ms', '20');
  using home = await homeWith(engine);
  await using daemon = await startDaemon(home, await freePort());
  const { url, key } = daemon;
  const stream = await chat(url, { key, model: MODEL, stream: true });
  const ended = eventsOf(stream);
  await dataOf(home.env, ['proxy', 'restart', '--graceful']);
  expect((await engine.stats()).busy).toBe(1);
  const fromMs = performance.now();
  await dataOf(home.env, ['api-keys', 'revoke', key.slice(4, 12)]);
  const { events } = await ended;
  const afterMs = performance.now() - fromMs;
  console.log(`      cut after ${afterMs.toFixed(0)} ms`);
  expect(events.at(-1)).toContain('invalid_api_key');
  expect(afterMs).toBeLessThan(2_000);
});

test('a new process that cannot start leaves everything to the old one', async () => {
  await using engine = await startFakeProcess('llamacpp', '--tokens', '40', '--token-delay-ms', '100');
  using home = await homeWith(engine);
  await using daemon = await startDaemon(home, await freePort());
  const { url, key } = daemon;
  const pid = await pidOf(home);
  const stream = chat(url, { key, model: MODEL, stream: true }).then(eventsOf);
  writeFileSync(home.paths.configToml, '[proxy]\nport = "nonsense"\n', { mode: 0o600 });
  const error = await errorOf(home.env, ['proxy', 'restart', '--graceful']);
  expect(error).toMatchObject({ code: 'CONFIG_FILE_INVALID', exit: 3 });
  expect((await chat(url, { key, model: MODEL, maxTokens: 1 })).status).toBe(200);
  // It takes back what it gave away, and is managed as before.
  await eventually(async () => (await flm(home.env, ['status'])).code === 0);
  expect(await pidOf(home)).toBe(pid);
  const made = await dataOf(home.env, ['api-keys', 'create', '--label', 'later']);
  const later = isRecord(made) ? String(made.plain_key) : '';
  expect((await chat(url, { key: later, model: MODEL, maxTokens: 1 })).status).toBe(200);
  const { events, whole } = await stream;
  expect([whole, events.at(-1)]).toEqual([true, '[DONE]']);
  expect(partsOf(home).length).toBe(2);
  await eventually(() => logOf(home).includes('no new process took over'));
  writeFileSync(home.paths.configToml, '', { mode: 0o600 });
  await dataOf(home.env, ['proxy', 'restart', '--graceful']);
  expect(await pidOf(home)).not.toBe(pid);
});

test('stopping FLM ends old processes, too, and a foreground FLM is not replaced', async () => {
  await using engine = await startFakeProcess('llamacpp');
  using home = await homeWith(engine);
  const port = await freePort();
  await using daemon = await startDaemon(home, port);
  await dataOf(home.env, ['proxy', 'restart', '--graceful']);
  await dataOf(home.env, ['proxy', 'restart', '--graceful']);
  expect(partsOf(home, 'serve').length).toBe(3);
  expect(daemon.proxy.port).toBe(port);
  await dataOf(home.env, ['proxy', 'stop', '--all']);
  await eventually(() => partsOf(home).length === 0, 5_000);
  expect(await errorOf(home.env, ['proxy', 'restart', '--graceful'])).toMatchObject({
    code: 'PROXY_NOT_RUNNING',
  });
  await endDaemon(home);
});
