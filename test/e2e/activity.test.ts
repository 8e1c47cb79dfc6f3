/**
 * The request log of the executable: its Worker runs, `kill -9` costs at most the last 50 ms of rows and no validity, and a
 * flood of strangers does not fill the disk.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ActivityList, ActivityVerdict, RefusalList } from '../../src/activity';
import type { Env } from '../../src/lib/paths';
import { chat } from '../support/client';
import type { TestDir } from '../support/data-dir';
import { dataOf, flm, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { type FakeProcess, startFakeProcess } from '../support/fake-process';
import { testHome } from '../support/home';

setDefaultTimeout(60_000);

const MODEL = 'smollm2-135m-instruct';

let home: TestDir;
let env: Env;
let engine: FakeProcess;
let key = '';

beforeAll(async () => {
  home = testHome({ FLM_LOG_LEVEL: 'warn' });
  env = home.env;
  engine = await startFakeProcess('llamacpp', '--slots', '8', '--tokens', '3', '--token-delay-ms', '1');
  await dataOf(env, ['engines', 'add', '--kind', 'llamacpp', '--url', engine.url, '--id', 'fake']);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

async function start(): Promise<RunningFlm> {
  const running = await startFlm(env);
  key ||= running.key;
  return running;
}

const list = async (...words: string[]) =>
  (await dataOf(env, ['activity', 'list', '--limit', '1000', ...words])) as ActivityList;
const verify = async () => (await dataOf(env, ['activity', 'verify'])) as ActivityVerdict;

test('a request is in the list at once, while FLM runs and after it', async () => {
  const running = await start();
  const response = await chat(running.url, { key, model: MODEL });
  await response.text();
  const id = response.headers.get('x-request-id') ?? '';
  const { items } = await list();
  expect(items).toMatchObject([
    {
      request_id: id,
      client_ip: '127.0.0.1',
      endpoint: '/v1/chat/completions',
      api_key_id: key.slice(4, 12),
      model: MODEL,
      engine_id: 'fake',
      outcome: 'done',
      status: 200,
    },
  ]);
  expect((await list('--request', id)).items).toEqual(items);
  expect(await verify()).toMatchObject({ valid: true, rows: 1 });
  expect(await running.stop()).toBe(0);
  expect((await list()).items).toEqual(items);
  expect(await verify()).toMatchObject({ valid: true, unanchored_rows: 0 });
});

test('kill -9 under load costs at most 50 ms of rows, and the log stays valid', async () => {
  for (let round = 0; round < 3; round++) {
    const running = await start();
    const answered: { readonly id: string; readonly ms: number }[] = [];
    let isOver = false;
    const asking = Array.from({ length: 6 }, async () => {
      while (!isOver) {
        const response = await chat(running.url, { key, model: MODEL }).catch(() => null);
        const text = await response?.text().catch(() => null);
        const id = response?.headers.get('x-request-id');
        if (text && id) answered.push({ id, ms: performance.now() });
      }
    });
    while (answered.length < 200) await Bun.sleep(10);
    const killedMs = performance.now();
    await running.stop('SIGKILL');
    isOver = true;
    await Promise.all(asking);
    const known = new Set((await list()).items.map((item) => item.request_id));
    const lost = answered.filter(({ id, ms }) => ms < killedMs - 50 && !known.has(id));
    expect(lost).toEqual([]);
    expect(known.size).toBeGreaterThan(100);
    expect(await verify()).toMatchObject({ valid: true });
  }
});

test('a stream that FLM did not survive is known, with an unknown end', async () => {
  await using slow = await startFakeProcess('llamacpp', '--tokens', '2000', '--token-delay-ms', '100');
  await dataOf(env, ['engines', 'add', '--kind', 'llamacpp', '--url', slow.url, '--id', 'slow']);
  const running = await start();
  const response = await chat(running.url, {
    key,
    model: `flm://slow/${MODEL}`,
    stream: true,
    maxTokens: 2_000,
  });
  const id = response.headers.get('x-request-id') ?? '';
  let items: ActivityList['items'] = [];
  // It is told of after 30 seconds.
  while (items.length === 0) {
    await Bun.sleep(500);
    items = (await list('--request', id)).items;
  }
  expect(items).toMatchObject([{ outcome: 'running', stream: true, engine_id: 'slow' }]);
  await running.stop('SIGKILL');
  await response.body?.cancel().catch(() => {});
  expect((await list('--request', id)).items).toMatchObject([{ outcome: 'unknown' }]);
  await dataOf(env, ['engines', 'remove', 'slow']);
});

test('10,000 strangers are counted and take less than 1 MB', async () => {
  const running = await start();
  const dir = join(home.dir, 'activity');
  const bytes = () => readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
  const before = bytes();
  for (let n = 0; n < 10_000; n += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const response = await fetch(`${running.url}/v1/models`);
        await response.body?.cancel();
      }),
    );
  }
  expect(await running.stop()).toBe(0);
  const { items } = (await dataOf(env, ['activity', 'refusals'])) as RefusalList;
  const counted = items.filter((item) => item.reason === 'missing_authorization_header');
  expect(counted.reduce((sum, item) => sum + item.requests, 0)).toBe(10_000);
  expect(bytes() - before).toBeLessThan(1_000_000);
  expect(await verify()).toMatchObject({ valid: true });
});

test('an export is for its owner alone, and an erased address is nowhere in it', async () => {
  const output = join(home.dir, 'requests.csv');
  await dataOf(env, ['activity', 'export', '--format', 'csv', '--output', output]);
  expect(statSync(output).mode & 0o777).toBe(0o600);
  expect(readFileSync(output, 'utf8')).toContain(',127.0.0.1,POST,/v1/chat/completions,');
  expect((await flm(env, ['activity', 'export', '--output', output])).code).toBe(1);
  const running = await start();
  const erased = await dataOf(env, ['activity', 'erase', '--ip', '127.0.0.1']);
  expect(erased).toMatchObject({ days: expect.any(Number) });
  const { stdout } = await flm(env, ['activity', 'export']);
  expect(stdout).toContain('"client_ip":null');
  expect(stdout).not.toContain('127.0.0.1');
  expect(await verify()).toMatchObject({ valid: true });
  expect(await running.stop()).toBe(0);
});
