/** A change that is made while FLM runs is in force at once, without a restart, and is still there after one. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../src/lib/json';
import type { Env } from '../../src/lib/paths';
import { type FakeEngine, startFake } from '../fake';
import { chat, codeOf, eventsOf } from '../support/client';
import type { TestDir } from '../support/data-dir';
import { dataOf, flm, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { freePort } from '../support/ports';

const MODEL = 'at-once-model';
let home: TestDir;
let env: Env;
let fake: FakeEngine;
let running: RunningFlm;

beforeEach(async () => {
  home = testHome({ FLM_ENGINE_QUEUE_LIMIT: '9' });
  env = home.env;
  fake = await startFake('llamacpp', { models: [MODEL] });
  await dataOf(env, ['engines', 'add', '--kind', 'llamacpp', '--url', fake.url, '--id', 'fake']);
  running = await startFlm(env, ['--port', '0', '--bind', '127.0.0.1']);
});
afterEach(async () => {
  expect(await running.stop()).toBe(0);
  await fake.close();
  home[Symbol.dispose]();
});
afterAll(() => expect(leftovers()).toEqual([]));

/** Runs a command and returns its data as a record. */
async function run(line: string): Promise<Record<string, unknown>> {
  const data = await dataOf(env, line.split(' '));
  if (!isRecord(data)) throw new Error(`not an object: ${JSON.stringify(data)}`);
  return data;
}

const ask = async (key: unknown) => codeOf(await chat(running.url, { key: String(key), model: MODEL }));

describe('keys', () => {
  test('the one that up made works, and so does one that is created', async () => {
    expect(await ask(running.key)).toBe('200');
    const { plain_key: key } = await run('api-keys create --label app');
    expect(await ask(key)).toBe('200');
  });

  test('a revoked one fails on the next request, and its stream ends with an error within two seconds', async () => {
    const slow = await startFake('openai', { models: ['endless'], tokens: 5_000, tokenDelayMs: 20 });
    await run(`engines add --kind openai --url ${slow.url}`);
    const { id, plain_key: key } = await run('api-keys create --label app');
    const stream = await chat(running.url, { key: String(key), model: 'endless', stream: true });
    expect(stream.status).toBe(200);
    const events = eventsOf(stream);
    const revokedMs = performance.now();
    await run(`api-keys revoke ${id}`);
    expect(await ask(key)).toBe('401 invalid_api_key');
    const last = (await events).events.at(-1) ?? '';
    expect(performance.now() - revokedMs).toBeLessThan(2_000);
    expect(JSON.parse(last)).toMatchObject({ error: { code: 'invalid_api_key' } });
    await slow.idle();
    await slow.close();
    expect(await ask(running.key)).toBe('200');
  });

  test('a rotated one fails at once, or goes on during its grace', async () => {
    const { id, plain_key: first } = await run('api-keys create --label app');
    const { id: secondId, plain_key: second } = await run(`api-keys rotate ${id}`);
    expect([await ask(first), await ask(second)]).toEqual(['401 invalid_api_key', '200']);
    const { plain_key: third } = await run(`api-keys rotate ${secondId} --grace 1h`);
    expect([await ask(second), await ask(third)]).toEqual(['200', '200']);
  });

  test('one that expires fails when it has', async () => {
    const { plain_key: key, expires_at: end } = await run('api-keys create --label brief --expires-in 1s');
    expect(await ask(key)).toBe('200');
    const waitMs = Date.parse(String(end)) - Date.now();
    // Nothing tells that a key expires: this is the one thing here that has to be waited for.
    await Bun.sleep(Math.max(0, waitMs) + 20);
    expect(await ask(key)).toBe('401 invalid_api_key');
  });

  test('one for another model may not use this one', async () => {
    const { plain_key: key } = await run('api-keys create --label other --model something-else');
    expect(await ask(key)).toBe('403 model_not_allowed');
    const { plain_key: prefix } = await run('api-keys create --label prefix --model at-once*');
    expect(await ask(prefix)).toBe('200');
  });

  test('what was made live and what was made offline is there after a restart', async () => {
    const { plain_key: live } = await run('api-keys create --label live');
    await running.stop();
    const { plain_key: offline } = await run('api-keys create --label offline');
    running = await startFlm(env);
    expect(running.key).toBe('');
    expect([await ask(live), await ask(offline)]).toEqual(['200', '200']);
  });
});

describe('engines', () => {
  test('one that is added serves, one that is removed does not', async () => {
    const other = await startFake('openai', { models: ['another-model'], apiKey: 'engine-secret' });
    try {
      const asked = async () =>
        codeOf(await chat(running.url, { key: running.key, model: 'flm://other/another-model' }));
      expect(await asked()).toBe('404 engine_not_found');
      await dataOf({ ...env, ENGINE_KEY: 'engine-secret' }, [
        ...[
          'engines',
          'add',
          '--kind',
          'openai',
          '--url',
          other.url,
          '--id',
          'other',
          '--key-env',
          'ENGINE_KEY',
        ],
      ]);
      expect(await asked()).toBe('200');
      await run('engines remove other');
      expect(await asked()).toBe('404 engine_not_found');
      expect(other.requests.filter((request) => request.path === '/v1/chat/completions')).toHaveLength(1);
    } finally {
      await other.close();
    }
  });

  test('FLM does not take itself for one', async () => {
    const ran = await flm(env, ['engines', 'add', '--kind', 'openai', '--url', running.url]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('that is FLM itself');
  });
});

describe('settings', () => {
  const big = () => chat(running.url, { key: running.key, model: MODEL, content: 'x'.repeat(5_000) });

  test('a live one applies to the next request', async () => {
    expect((await big()).status).toBe(200);
    expect(await run('config set proxy.max_body_bytes 2048')).toMatchObject({
      effect: 'applied',
      value: '2048',
    });
    expect((await big()).status).toBe(413);
    expect(await run('config unset proxy.max_body_bytes')).toMatchObject({ effect: 'applied' });
    expect((await big()).status).toBe(200);
  });

  test('the port waits for the next start, and says so', async () => {
    const port = await freePort();
    expect(await run(`config set proxy.port ${port}`)).toMatchObject({ effect: 'restart-required' });
    expect(await ask(running.key)).toBe('200');
    const { key } = running;
    await running.stop();
    running = await startFlm(env, []);
    expect(running.url).toEndWith(`:${port}`);
    expect(await ask(key)).toBe('200');
  });

  test('one that the environment or an option sets is stored, and says that it does not count', async () => {
    expect(await run('config set engine.queue_limit 5')).toEqual({
      key: 'engine.queue_limit',
      value: '9',
      effect: 'shadowed-by-env',
    });
    expect(await run('config set proxy.bind ::1')).toEqual({
      key: 'proxy.bind',
      value: '127.0.0.1',
      effect: 'shadowed-by-flag',
    });
    // It is FLM's environment that counts, not the command's.
    const there = await dataOf({ ...env, FLM_ENGINE_QUEUE_LIMIT: '3' }, [
      'config',
      'get',
      'engine.queue_limit',
    ]);
    expect(there).toMatchObject({ value: '9', source: 'env' });
    const { stdout } = await flm(env, ['config', 'set', 'engine.queue_limit', '6', '--format', 'text']);
    expect(stdout).toBe(
      'engine.queue_limit is 9. The change is stored, but $FLM_ENGINE_QUEUE_LIMIT wins over it.\n',
    );
  });

  test('a value that ends up the same needs no restart', async () => {
    expect(await run('config set proxy.port 8080')).toMatchObject({ effect: 'applied' });
  });
});

describe('detection', () => {
  test('finds an engine where the environment says it is, both ways', async () => {
    const looking = { ...env, FLM_ENGINE_DETECT: 'true', LLAMA_CPP_PORT: new URL(fake.url).port };
    await run('engines remove fake');
    const found = async () => {
      const data = await dataOf(looking, ['engines', 'detect']);
      const items: unknown[] = isRecord(data) && Array.isArray(data.items) ? data.items : [];
      return items.filter(isRecord).find((item) => item.url === fake.url);
    };
    await running.stop();
    const offline = await found();
    running = await startFlm(looking);
    const live = await found();
    const expected = { kind: 'llamacpp', origin: 'detected', models: [MODEL], slots: 4 };
    for (const engine of [offline, live])
      expect(engine).toMatchObject({ ...expected, status: { status: 'running-healthy' } });
    expect(live?.id).toBe(offline?.id ?? '');
    expect(await ask((await run('api-keys create --label x')).plain_key)).toBe('200');
    // It is not the owner's to remove: it would be found again.
    const removed = await flm(looking, ['engines', 'remove', String(live?.id)]);
    expect(removed.code).toBe(1);
    expect(removed.stderr).toContain('it was not added by hand');
  });

  test('lists what is installed and does not run', async () => {
    const bin = join(home.dir, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'llama-server'), '#!/bin/sh\necho "version: 5581 (abc123)" >&2\n');
    chmodSync(join(bin, 'llama-server'), 0o755);
    await run('engines remove fake');
    await running.stop();
    const looking = { ...env, PATH: `${bin}:${env.PATH}` };
    const offline = await dataOf(looking, ['engines', 'detect']);
    running = await startFlm(looking);
    const live = await dataOf(looking, ['engines', 'detect']);
    expect(live).toEqual(offline);
    expect(live).toMatchObject({
      items: [{ id: 'llamacpp-default', version: '5581', status: { status: 'installed-only' } }],
    });
  });
});

describe('several commands at once', () => {
  const create = (label: string) => dataOf(env, ['api-keys', 'create', '--label', label]);
  const labels = Array.from({ length: 6 }, (_, index) => `at once ${index}`);

  test('are all done, live', async () => {
    const made = await Promise.all(labels.map(create));
    expect(await Promise.all(made.map((key) => ask(isRecord(key) ? key.plain_key : '')))).toEqual(
      labels.map(() => '200'),
    );
  });

  test('are all done, offline: one waits for the other', async () => {
    await running.stop();
    await Promise.all(labels.map(create));
    const list = await run('api-keys list');
    expect(list.items).toHaveLength(labels.length + 1);
    running = await startFlm(env);
  });

  test('do not mind that FLM starts meanwhile', async () => {
    await running.stop();
    const [started, ...made] = await Promise.all([startFlm(env), ...labels.map(create)]);
    running = started;
    expect(await Promise.all(made.map((key) => ask(isRecord(key) ? key.plain_key : '')))).toEqual(
      labels.map(() => '200'),
    );
  });
});
