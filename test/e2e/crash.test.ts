/**
 * `kill -9` under load, ten times (issue #3, point 5): it starts again, nothing that was acknowledged is lost, both
 * databases are sound, and nothing that the dead one left stands in the way.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { isRecord } from '../../src/lib/json';
import type { Env } from '../../src/lib/paths';
import { chat, eventsOf } from '../support/client';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, flm, leftovers, parseResult, type RunningFlm, startFlm } from '../support/executable';
import { type FakeProcess, startFakeProcess } from '../support/fake-process';
import { testHome } from '../support/home';

setDefaultTimeout(60_000);

const CRASHES = 10;
const STREAMS = 6;
const REQUESTS = 3;
const MODEL = 'smollm2-135m-instruct';
/** Load before each crash, in milliseconds: no two alike, so that it hits different moments. */
const loadMs = (crash: number) => 220 + ((crash * 83) % 160);

let home: TestDir;
let env: Env;
let engine: FakeProcess;

/** Keys whose creation was acknowledged, and those whose revocation was. */
const created = new Set<string>();
const revoked = new Set<string>();
/** Values of a setting that were sent, oldest first, and how many of them were sent when one was last acknowledged. */
const sent: string[] = [];
let acknowledged = 0;

beforeAll(async () => {
  home = testHome({ FLM_LOG_LEVEL: 'warn' });
  env = home.env;
  engine = await startFakeProcess('llamacpp', '--slots', '4', '--tokens', '20', '--token-delay-ms', '3');
  await dataOf(env, ['engines', 'add', '--kind', 'llamacpp', '--url', engine.url, '--id', 'fake']);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

/** Requests of all kinds until `signal` aborts. Returns how many were answered to their end. */
async function load({ url, key }: RunningFlm, signal: AbortSignal): Promise<number> {
  let answered = 0;
  async function ask(stream: boolean): Promise<void> {
    while (!signal.aborted) {
      // It dies in the middle of this: whatever happens then is right.
      const response = await chat(url, { key, model: MODEL, stream, signal }).catch(() => null);
      if (response === null) continue;
      const whole = stream
        ? (await eventsOf(response)).events.at(-1) === '[DONE]'
        : (await response.text().catch(() => '')) !== '';
      if (whole) answered++;
    }
  }
  const asking = [...Array(STREAMS).fill(true), ...Array(REQUESTS).fill(false)];
  await Promise.all(asking.map(ask));
  return answered;
}

/** Creates keys through the command line, and revokes every third, until `signal` aborts. */
async function changeKeys(signal: AbortSignal): Promise<void> {
  for (let n = 1; !signal.aborted; n++) {
    const made = await flm(env, ['api-keys', 'create', '--label', `key ${n}`]);
    if (made.code !== 0) continue;
    const key = parseResult(made.stdout);
    if (!isRecord(key) || typeof key.plain_key !== 'string') throw new Error(made.stdout);
    if (n % 3 !== 0) {
      created.add(key.plain_key);
      continue;
    }
    // Whether one that is being revoked when the lights go out still works is nobody's promise.
    if ((await flm(env, ['api-keys', 'revoke', String(key.id)])).code === 0) revoked.add(key.plain_key);
  }
}

/** Changes a setting through the command line until `signal` aborts. */
async function changeSetting(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const value = String(1_000_000 + sent.length);
    sent.push(value);
    if ((await flm(env, ['config', 'set', 'proxy.stream_timeout_ms', value])).code === 0)
      acknowledged = sent.length;
  }
}

async function statusOf(url: string, key: string): Promise<number> {
  const response = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  await response.body?.cancel();
  return response.status;
}

/** Every promise that was made before is kept by this one. */
async function expectKept(running: RunningFlm): Promise<void> {
  const lost: string[] = [];
  for (const key of created)
    if ((await statusOf(running.url, key)) !== 200) lost.push(`${key.slice(0, 12)} lost`);
  for (const key of revoked)
    if ((await statusOf(running.url, key)) !== 401) lost.push(`${key.slice(0, 12)} alive`);
  expect(lost).toEqual([]);
  const setting = await dataOf(env, ['config', 'get', 'proxy.stream_timeout_ms']);
  // The last one that was acknowledged, or one that was sent after it.
  if (acknowledged > 0)
    expect(sent.slice(acknowledged - 1)).toContain(isRecord(setting) ? String(setting.value) : '');
}

async function expectSound(): Promise<void> {
  const report = await dataOf(env, ['check', '--verbose']);
  const checks: unknown[] = isRecord(report) && Array.isArray(report.checks) ? report.checks : [];
  expect(checks.filter((check) => isRecord(check) && check.status === 'error')).toEqual([]);
  const names = checks.map((check) => (isRecord(check) ? check.name : null));
  expect(names).toEqual(
    expect.arrayContaining(['config.db: integrity', 'security.db: integrity', 'permissions']),
  );
}

test(`survives ${CRASHES} crashes under load`, async () => {
  const startsMs: number[] = [];
  let answered = 0;
  let first: RunningFlm | null = null;

  for (let crash = 0; crash <= CRASHES; crash++) {
    const running = await startFlm(env);
    startsMs.push(running.startedInMs);
    if (first === null) created.add(running.key);
    // A later start makes no key: the ones that are there are known to it.
    else expect(running.data.plain_key).toBeNull();
    first ??= running;
    expect(await dataOf(env, ['status'])).toMatchObject({
      running: true,
      pid: running.pid,
      engines: { running: 1 },
    });
    await expectKept(running);
    await expectSound();

    if (crash === CRASHES) {
      expect(await running.stop()).toBe(0);
      break;
    }
    const ending = new AbortController();
    const loaded = { ...running, key: first.key };
    const work = Promise.all([
      load(loaded, ending.signal),
      changeKeys(ending.signal),
      changeKeys(ending.signal),
      changeSetting(ending.signal),
    ]);
    await Bun.sleep(loadMs(crash));
    expect(await running.stop('SIGKILL')).toBeLessThan(0);
    // Commands that were on their way go on without it, straight on the data directory.
    await Bun.sleep(30);
    ending.abort();
    answered += (await work)[0];
    expect(existsSync(home.paths.adminSocket)).toBe(true);
  }

  await expectSound();
  await eventually(async () => (await engine.stats()).busy === 0);
  const { served, aborted } = await engine.stats();
  const sorted = startsMs.toSorted((a, b) => a - b);
  console.log(
    `      ${created.size} keys kept, ${revoked.size} kept revoked, ${sent.length} settings sent; ` +
      `${answered} answers, engine: ${served} served, ${aborted} cut off; ` +
      `starts ${sorted[0]?.toFixed(0)}–${sorted.at(-1)?.toFixed(0)} ms, median ${sorted[5]?.toFixed(0)} ms`,
  );
  // It was under load indeed.
  expect(answered).toBeGreaterThan(CRASHES);
  expect(aborted).toBeGreaterThan(CRASHES);
  expect(created.size).toBeGreaterThan(CRASHES);
  expect(Math.max(...startsMs)).toBeLessThan(2_000);
});
