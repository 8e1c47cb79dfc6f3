/**
 * Alerts and exposure of the executable: what happens to a running FLM arrives at a webhook, signed, also when FLM is killed
 * on the way; and an engine that other machines can reach is found.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { isLoopback } from '../../src/lib/ip';
import { isRecord } from '../../src/lib/json';
import type { ExposureReport } from '../../src/listeners';
import { interfaceAddresses } from '../../src/listeners';
import { type FakeEngine, startFake } from '../fake';
import { endDaemon, startDaemon } from '../support/daemon';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, errorOf, executable, flm, leftovers, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isImpossible } from '../support/missing';
import { freePort } from '../support/ports';
import { type HookReceiver, receiveHooks } from '../support/webhooks';

setDefaultTimeout(120_000);
beforeAll(() => executable());
afterAll(() => expect(leftovers()).toEqual([]));

const ALERTS = ['security', 'alerts'] as const;

/** Adds the receiver as the target `ops`, and gives it the key that the owner would paste there. */
async function add(home: TestDir, receiver: HookReceiver): Promise<void> {
  const words = [...ALERTS, 'targets', 'add', 'ops', '--url', receiver.url, '--allow-private'];
  await dataOf(home.env, words);
  const key = await dataOf(home.env, [...ALERTS, 'targets', 'key', 'ops']);
  receiver.publicKey = isRecord(key) ? String(key.public_key) : '';
}

const guess = (url: string) =>
  fetch(`${url}/v1/models`, { headers: { authorization: 'Bearer flm_wrong' }, keepalive: false });

describe('alerts', () => {
  test('tell of what happens to a running FLM, and reach a receiver that was down, after kill -9', async () => {
    using home = testHome();
    await using receiver = await receiveHooks();
    await add(home, receiver);
    const rule = [
      '--event-type',
      'auth_failure',
      '--severity',
      'high',
      '--threshold',
      '3',
      '--target',
      'ops',
    ];
    await dataOf(home.env, [...ALERTS, 'set', 'guessing', ...rule]);
    receiver.answers.push(500);
    {
      await using running = await startFlm(home.env);
      for (let i = 0; i < 3; i++) expect((await guess(running.url)).status).toBe(401);
      await eventually(() => receiver.received.length === 1);
      await eventually(async () => {
        const list = await dataOf(home.env, [...ALERTS, 'deliveries', '--state', 'waiting']);
        return JSON.stringify(list).includes('it answered 500');
      });
      await running.stop('SIGKILL');
    }
    await using again = await startFlm(home.env);
    await eventually(() => receiver.received.length === 2, 30_000);
    const [first, second] = receiver.received;
    expect([first?.isSigned, second?.isSigned]).toEqual([true, true]);
    expect([second?.id, second?.body]).toEqual([first?.id, first?.body] as never[]);
    expect(second?.json.data).toMatchObject({
      rule: 'guessing',
      event_type: 'auth_failure',
      severity: 'high',
      subject: '127.0.0.1',
      pattern: 'mistyped_api_key',
    });
    expect(JSON.stringify(receiver.received)).not.toContain('flm_wrong');
    const metrics = await (await fetch(`${again.url}/metrics`)).text();
    expect(metrics).toContain('flm_alert_deliveries_sent_total 1\n');
    expect(await again.stop()).toBe(0);
  });

  test('are sent by the process that has taken over, once', async () => {
    using home = testHome();
    await using receiver = await receiveHooks();
    await add(home, receiver);
    await dataOf(home.env, [
      ...[...ALERTS, 'set', 'guessing', '--event-type', 'auth_failure'],
      ...['--severity', 'low', '--target', 'ops'],
    ]);
    await using daemon = await startDaemon(home, await freePort());
    await dataOf(home.env, ['proxy', 'restart', '--graceful']);
    expect((await guess(daemon.url)).status).toBe(401);
    await eventually(() => receiver.received.length > 0);
    const list = await dataOf(home.env, [...ALERTS, 'deliveries']);
    expect(isRecord(list) && Array.isArray(list.items) ? list.items.length : 0).toBe(1);
    expect(receiver.received.length).toBe(1);
  });

  test('can be tried, with FLM and without, and the exit code tells', async () => {
    using home = testHome();
    await using receiver = await receiveHooks();
    await add(home, receiver);
    const tried = [...ALERTS, 'test', '--target', 'ops'];
    expect(await dataOf(home.env, tried)).toMatchObject({
      items: [{ target: 'ops', ok: true, status: 204 }],
    });
    await using running = await startFlm(home.env);
    receiver.answers.push(500);
    const { code, stdout } = await flm(home.env, [...tried, '--format', 'text']);
    expect([code, stdout]).toEqual([1, expect.stringContaining('✗ ops: it answered 500')]);
    expect(receiver.received.map(({ isSigned, json }) => [isSigned, json.type])).toEqual([
      [true, 'alert.test'],
      [true, 'alert.test'],
    ]);
    await dataOf(home.env, [...ALERTS, 'targets', 'remove', 'ops']);
    expect((await errorOf(home.env, tried)).code).toBe('ALERT_TARGET_NOT_FOUND');
    await running.stop();
  });

  test('do not lead into the network by accident', async () => {
    using home = testHome();
    await using receiver = await receiveHooks();
    for (const url of [receiver.url.replace('http:', 'https:'), 'https://169.254.169.254/', 'https://[::1]/'])
      expect((await errorOf(home.env, [...ALERTS, 'targets', 'add', 'ops', '--url', url])).code).toBe(
        'EGRESS_REFUSED',
      );
    expect(receiver.server.accepted()).toBe(0);
  });
});

const outside = interfaceAddresses().filter(({ ip }) => !isLoopback(ip) && !ip.includes(':'));
const noNetwork = isImpossible(
  'an engine that other machines reach',
  outside.length > 0 ? null : 'this machine has no network',
);

describe('FLM-006: exposure', () => {
  const exposure = async (home: TestDir) => {
    const { code, stdout } = await flm(home.env, ['security', 'exposure']);
    return { code, report: JSON.parse(stdout).data as ExposureReport };
  };

  async function register(home: TestDir, fake: FakeEngine): Promise<void> {
    const url = `http://127.0.0.1:${new URL(fake.url).port}`;
    await dataOf(home.env, ['engines', 'add', '--url', url, '--id', 'llama']);
  }

  test.skipIf(noNetwork)('an engine that other machines reach is found, with FLM and without', async () => {
    using home = testHome();
    const fake = await startFake('llamacpp', { hostname: '0.0.0.0' });
    try {
      await register(home, fake);
      const offline = await exposure(home);
      expect([offline.code, offline.report.status, offline.report.listeners]).toEqual([1, 'open', []]);
      expect(offline.report.engines[0]).toMatchObject({
        engine: 'llama',
        verdict: 'open',
        open_at: outside.map(({ ip: address }) => ({ address, answers: 'without-key' })),
      });
      await using running = await startFlm(home.env);
      const live = await exposure(home);
      expect([live.code, live.report.engines]).toEqual([1, offline.report.engines]);
      expect(live.report.listeners).toMatchObject([{ reach: 'this-machine', verdict: 'ok' }]);
      const text = await flm(home.env, ['security', 'exposure', '--format', 'text']);
      expect(text.stdout).toContain('✗ llama answers at');
      expect(text.stdout).toContain('llama-server --host 127.0.0.1');
      const check = await flm(home.env, ['check', '--format', 'text']);
      expect(check.stdout).toMatch(/✗ exposure +llama answers at/);
      expect(check.code).toBe(1);
      await running.stop();
    } finally {
      await fake.close();
    }
  });

  test('where nothing is open, the exit code is 0', async () => {
    using home = testHome();
    const fake = await startFake('llamacpp');
    try {
      await register(home, fake);
      expect(await exposure(home)).toMatchObject({ code: 0, report: { status: 'ok' } });
    } finally {
      await fake.close();
    }
  });

  test.skipIf(noNetwork)('a proxy is not bound to a network while nobody has a key', async () => {
    using home = testHome();
    const start = ['proxy', 'start', '--bind', '0.0.0.0', '--allow-plaintext'];
    const words = [...start, '--port', String(await freePort())];
    const refused = await errorOf(home.env, words);
    expect([refused.code, refused.exit]).toEqual(['EXPOSURE_WITHOUT_KEY', 3]);
    for (const remedy of ['flm api-keys create', '127.0.0.1', '--allow-no-key'])
      expect(refused.hint).toContain(remedy);
    try {
      await dataOf(home.env, [...words, '--allow-no-key']);
      const { report } = await exposure(home);
      expect(report.listeners[0]).toMatchObject({ running: true, verdict: 'warning' });
    } finally {
      await endDaemon(home);
    }
    await dataOf(home.env, ['api-keys', 'create', '--label', 'one']);
    try {
      expect(await dataOf(home.env, words)).toMatchObject({ running: true });
    } finally {
      await endDaemon(home);
    }
  });
});
