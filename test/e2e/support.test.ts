/**
 * What the executable tells about itself after real traffic: a request log, metrics, traces, a report and a support bundle;
 * and that nothing in them is somebody's who did not give it for that.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../src/lib/json';
import type { Env } from '../../src/lib/paths';
import { type FakeEngine, startFake } from '../fake';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, flm, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { metricsIn, numberOf } from '../support/metrics';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver';

setDefaultTimeout(30_000);

const MODEL = 'bundled';
const PROMPT = 'prompt-that-nobody-else-may-read';
const PASSPHRASE = 'correct horse battery staple 42';
const CLIENT = '203.0.113.77';
const CLIENT_6 = '2001:db8:77:88:99aa:bbcc:ddee:ff00';
const STRANGE = `flm_abcdefgh${'S'.repeat(32)}zzzzzz`;

let home: TestDir;
let env: Env;
let engine: FakeEngine;
let collector: OtlpReceiver;
let running: RunningFlm;

async function ask(headers: Record<string, string>, stream: boolean): Promise<number> {
  const response = await fetch(`${running.url}/v1/chat/completions`, {
    method: 'POST',
    keepalive: false,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: MODEL, stream, messages: [{ role: 'user', content: PROMPT }] }),
  });
  await response.text();
  return response.status;
}

beforeAll(async () => {
  collector = startOtlpReceiver();
  home = testHome({
    FLM_DATABASE_PASSPHRASE: PASSPHRASE,
    FLM_LOG_LEVEL: 'debug',
    FLM_LOG_FILE: 'true',
    FLM_LOG_REQUESTS: 'file',
    FLM_PROXY_TRUSTED_PROXIES: '127.0.0.1',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '50',
  });
  env = home.env;
  engine = await startFake('llamacpp', { models: [MODEL] });
  await dataOf(env, ['engines', 'add', '--kind', 'llamacpp', '--url', engine.url, '--id', 'fake']);
  running = await startFlm(env);
  for (const ip of [CLIENT, CLIENT_6]) {
    const from = { 'x-forwarded-for': ip, authorization: `Bearer ${running.key}` };
    expect(await ask(from, false)).toBe(200);
    expect(await ask(from, true)).toBe(200);
    expect(await ask({ 'x-forwarded-for': ip, authorization: `Bearer ${STRANGE}` }, false)).toBe(401);
  }
});
afterAll(async () => {
  await running?.stop();
  await engine.close();
  await collector[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

test('the request log has a line for each request, and nobody in it by address or key', async () => {
  const path = join(home.paths.logsDir, 'requests.log');
  const lines = () => (existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []);
  await eventually(() => lines().length === 6);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const entries = lines().map((line) => JSON.parse(line));
  expect(entries.filter(({ status }) => status === 200).length).toBe(4);
  expect(entries[0]).toMatchObject({
    client_ip: '203.0.113.***',
    model: MODEL,
    engine_id: 'fake',
    error_type: null,
  });
  expect(entries.find(({ status }) => status === 401)).toMatchObject({
    error_type: 'INVALID_API_KEY',
    api_key_id: null,
  });
  const text = lines().join('\n');
  for (const secret of [PROMPT, running.key, STRANGE.slice(12), CLIENT, CLIENT_6])
    expect(text).not.toContain(secret);
});

test('the executable exports traces that a strict collector takes', async () => {
  await eventually(() => collector.spans.filter(({ kind }) => kind === 2).length === 6);
  expect(collector.faults).toEqual([]);
  expect(collector.spans.filter(({ kind }) => kind === 3).length).toBe(4);
  const text = JSON.stringify(collector.spans, (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  for (const secret of [PROMPT, running.key, CLIENT, CLIENT_6]) expect(text).not.toContain(secret);
});

test('metrics want a key behind a proxy that the owner named', async () => {
  expect((await fetch(`${running.url}/metrics`)).status).toBe(401);
  const created = await dataOf(env, ['api-keys', 'create', '--label', 'prometheus', '--scope', 'metrics']);
  const key = isRecord(created) ? String(created.plain_key) : '';
  const answer = await fetch(`${running.url}/metrics`, { headers: { authorization: `Bearer ${key}` } });
  const lines = metricsIn(await answer.text());
  expect(numberOf(lines, 'flm_request_duration_seconds_count', { engine: 'fake', model: MODEL })).toBe(4);
  expect(numberOf(lines, 'flm_proxy_auth_failure')).toBe(3);
});

test('check reports on all of it, and a crash of last week', async () => {
  mkdirSync(home.paths.crashDir, { recursive: true, mode: 0o700 });
  const crash = { error: { message: `gone with ${running.key} of ${CLIENT} in ${process.env.HOME}/x` } };
  const file = join(home.paths.crashDir, '2026-11-23T00-00-00.000Z-1.json');
  writeFileSync(file, JSON.stringify(crash), { mode: 0o600 });
  const report = await dataOf(env, ['check', '--verbose']);
  const checks = isRecord(report) && Array.isArray(report.checks) ? report.checks : [];
  const names = checks.map((check) => (isRecord(check) ? check.name : null));
  for (const name of [
    ...['config.db: integrity', 'config.db: references', 'config.db: tables', 'config.db: proxies'],
    ...[
      'security.db: integrity',
      'security.db: references',
      'security.db: tables',
      'security.db: key hashes',
    ],
    ...['security.db: key', 'permissions', 'disk', 'clock', 'crashes', 'API keys', 'settings', 'engine fake'],
  ])
    expect(names).toContain(name);
  expect(isRecord(report) && report.status).toBe('warning');
  expect(checks.find((check) => isRecord(check) && check.name === 'crashes')).toMatchObject({
    status: 'warning',
  });
});

test('a support bundle holds what helps and nothing that is private', async () => {
  const path = join(home.dir, '..', `bundle-${process.pid}.tar.gz`);
  const result = await dataOf(env, ['support', 'bundle', '--output', path]);
  try {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const files = await new Bun.Archive(await Bun.file(path).bytes()).files();
    const names = [...files.keys()].map((name) => name.replace('flm-support/', ''));
    expect(isRecord(result) ? result.files : null).toEqual(names);
    for (const name of [
      ...['README.txt', 'versions.json', 'status.json', 'check.json', 'config.json', 'engines.json'],
      ...['keys.json', 'metrics.txt', 'logs/flm.log', 'crashes/2026-11-23T00-00-00.000Z-1.json'],
    ])
      expect(names).toContain(name);
    // It can be unpacked with what everybody has.
    const listed = Bun.spawnSync(['tar', '-tzf', path]);
    expect(listed.stdout.toString()).toContain('flm-support/check.json');
    const secrets = [
      PROMPT,
      PASSPHRASE,
      CLIENT,
      CLIENT_6,
      '99aa:bbcc',
      running.key,
      running.key.slice(12),
      STRANGE.slice(12),
    ];
    const bytes: string[] = [];
    for (const [name, file] of files) {
      const text = await file.text();
      bytes.push(text);
      for (const secret of secrets)
        expect([name, secret, text.includes(secret)]).toEqual([name, secret, false]);
    }
    const told = await dataOf(env, ['security', 'audit-logs', 'list', '--event-type', 'support.bundled']);
    expect(isRecord(told) && Array.isArray(told.items) ? told.items.length : 0).toBe(1);
    // What helps is still in it.
    expect(bytes.join('\n')).toContain('203.0.113.***');
    expect(bytes.join('\n')).toContain('"log.requests"');
    const again = await flm(env, ['support', 'bundle', '--output', path]);
    expect(again.code).toBe(1);
  } finally {
    await Bun.file(path).delete();
  }
});

test('check makes nothing where FLM has never run', async () => {
  using empty = testHome();
  const ran = await flm({ ...empty.env, FLM_DATA_DIR: join(empty.dir, 'never') }, ['check', '--json']);
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  expect(ran.stdout).toContain('"status":"warning"');
  expect(existsSync(join(empty.dir, 'never'))).toBe(false);
});
