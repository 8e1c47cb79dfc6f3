/**
 * FLM in the background: one process that serves and one that looks after it. Whatever dies comes back, whatever cannot
 * start says why and leaves nothing, and what its owner stopped stays stopped.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../src/lib/json';
import { logPathIn } from '../../src/lib/paths';
import type { ProxyList } from '../../src/listeners';
import { chat, codeOf, eventsOf } from '../support/client';
import { endDaemon, killAll, logOf, partsOf, startDaemon, untilServing } from '../support/daemon';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, errorOf, executable, flm, leftovers, remember } from '../support/executable';
import { type FakeProcess, startFakeProcess } from '../support/fake-process';
import { testHome } from '../support/home';
import { collect, firstLine } from '../support/output';
import { freePort } from '../support/ports';

setDefaultTimeout(30_000);

const MODEL = 'smollm2-135m-instruct';
/** Design: back after `kill -9` within this. */
const BACK_MS = 3_000;

let engine: FakeProcess;
beforeAll(async () => {
  engine = await startFakeProcess('llamacpp', '--tokens', '30', '--token-delay-ms', '50');
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  expect(leftovers()).toEqual([]);
});

async function homeWithEngine(): Promise<TestDir> {
  const home = testHome();
  await dataOf(home.env, ['engines', 'add', '--kind', 'llamacpp', '--url', engine.url, '--id', 'fake']);
  return home;
}

function only(home: TestDir, role: 'supervise' | 'serve'): number {
  const [part, ...more] = partsOf(home, role);
  if (part === undefined || more.length > 0) throw new Error(`${more.length + 1} processes to ${role}`);
  return part.pid;
}

async function idsOf(home: TestDir): Promise<unknown> {
  const { items } = (await dataOf(home.env, ['proxy', 'status'])) as ProxyList;
  return items.map(({ id, status }) => [id, status]);
}

describe('start and stop', () => {
  test('starts once, says where, and ends with its last proxy; what was stopped is not started again', async () => {
    using home = testHome();
    const [port, other] = [await freePort(), await freePort()];
    await using daemon = await startDaemon(home, port);
    expect(daemon.proxy).toMatchObject({
      id: `proxy-${port}`,
      port,
      https_port: null,
      mode: 'local-http',
      listen_addr: `127.0.0.1:${port}`,
      status: 'running',
      running: true,
      last_error: null,
      endpoints: { localhost: `http://localhost:${port}`, local_network: null },
      egress: { mode: 'direct', fail_open: false },
      acme_domain: null,
      pid: only(home, 'serve'),
    });
    expect((await fetch(`${daemon.url}/health`)).status).toBe(200);
    expect(statSync(logPathIn(home.paths.logsDir)).mode & 0o777).toBe(0o600);
    expect(await dataOf(home.env, ['proxy', 'start', '--port', String(other)])).toMatchObject({
      port: other,
    });
    expect(await errorOf(home.env, ['proxy', 'start', '--port', String(other)])).toMatchObject({
      code: 'PROXY_EXISTS',
      exit: 1,
    });
    expect(await errorOf(home.env, ['up', '--port', '0'])).toMatchObject({ code: 'PROXY_ALREADY_RUNNING' });
    expect(await idsOf(home)).toEqual([
      [`proxy-${port}`, 'running'],
      [`proxy-${other}`, 'running'],
    ]); // prettier-ignore

    expect(await dataOf(home.env, ['proxy', 'stop', '--port', String(port)])).toMatchObject({
      status: 'stopped',
    });
    expect(await codeOfConnection(daemon.url)).toBe('refused');
    expect(await idsOf(home)).toEqual([[`proxy-${other}`, 'running']]);
    expect(await errorOf(home.env, ['proxy', 'stop', '--port', '1'])).toMatchObject({
      code: 'PROXY_NOT_FOUND',
    });
    expect(await errorOf(home.env, ['proxy', 'stop'])).toMatchObject({ code: 'USAGE_ERROR', exit: 1 });

    // As the power does: the one that was not stopped comes back.
    await killAll(home);
    expect(await idsOf(home)).toEqual([[`proxy-${other}`, 'stopped']]);
    expect(await dataOf(home.env, ['proxy', 'start'])).toMatchObject({ port: other, running: true });
    expect(await idsOf(home)).toEqual([[`proxy-${other}`, 'running']]);

    await dataOf(home.env, ['proxy', 'stop', '--all']);
    await eventually(() => partsOf(home).length === 0, 5_000);
    expect(await idsOf(home)).toEqual([]);
    expect((await flm(home.env, ['status'])).code).toBe(1);
    expect(logOf(home)).not.toContain('"level":"error"');
  });

  test('two starts at once make one FLM that serves both', async () => {
    using home = testHome();
    await dataOf(home.env, ['config', 'list']);
    const ports = [await freePort(), await freePort()];
    const started = await Promise.all(
      ports.map((port) => dataOf(home.env, ['proxy', 'start', '--port', String(port)])),
    );
    expect(started).toMatchObject(ports.map((port) => ({ port, running: true })));
    expect([only(home, 'supervise') > 0, only(home, 'serve') > 0]).toEqual([true, true]);
    await endDaemon(home);
  });
});

async function codeOfConnection(url: string): Promise<number | 'refused'> {
  const response = await fetch(`${url}/health`, { keepalive: false }).catch(() => null);
  return response === null ? 'refused' : response.status;
}

describe('a start that fails says why, and leaves nothing behind', () => {
  test('a port that somebody has', async () => {
    using home = testHome();
    await using other = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('mine') });
    const error = await errorOf(home.env, ['proxy', 'start', '--port', String(other.port)]);
    expect(error).toMatchObject({ code: 'PROXY_PORT_IN_USE', exit: 1 });
    expect(error.message).toContain(String(other.port));
    expect(error.hint).toContain('--port');
    await eventually(() => partsOf(home).length === 0, 3_000);
    // And it is not tried again behind its owner's back.
    expect(await idsOf(home)).toEqual([]);
  });

  test.each([
    [['--bind', '192.0.2.1'], 'EXPOSURE_REFUSED|PROXY_INVALID_CONFIG', 3],
    [['--bind', 'nowhere'], 'PROXY_INVALID_CONFIG', 3],
    [['--mode', 'https-acme'], 'PROXY_INVALID_CONFIG', 3],
    [['--trusted-proxy', '10.0.0.0/99'], 'PROXY_INVALID_CONFIG', 3],
  ] as const)('%p', async (words, code, exit) => {
    using home = testHome();
    const error = await errorOf(home.env, ['proxy', 'start', '--port', String(await freePort()), ...words]);
    expect([error.code, error.exit]).toEqual([expect.stringMatching(new RegExp(`^(${code})$`)), exit]);
    await eventually(() => partsOf(home).length === 0, 3_000);
  });

  test('a key that does not open security.db', async () => {
    using home = testHome({ FLM_DATABASE_PASSPHRASE: 'the right one, long enough' });
    await dataOf(home.env, ['config', 'list']);
    const env = { ...home.env, FLM_DATABASE_PASSPHRASE: 'another one, long enough' };
    const error = await errorOf(env, ['proxy', 'start', '--port', String(await freePort())]);
    expect([error.code, error.exit]).toEqual(['DB_KEY_WRONG', 3]);
    await eventually(() => partsOf(home).length === 0, 3_000);
    // Nothing of a secret is in the arguments of a process, which everybody on the machine can read.
    await dataOf(home.env, ['proxy', 'start', '--port', String(await freePort())]);
    expect(
      partsOf(home)
        .map(({ command }) => command)
        .join(),
    ).not.toContain('the right one');
    await endDaemon(home);
  });
});

describe('kill -9', () => {
  test('of any process: back soon, and a stream lives through the death of the supervisor', async () => {
    using home = await homeWithEngine();
    await using daemon = await startDaemon(home, await freePort());
    const { url, key } = daemon;
    const backMs: number[] = [];

    const first = only(home, 'serve');
    process.kill(first, 'SIGKILL');
    backMs.push(await untilServing(home, first, BACK_MS));

    const stream = chat(url, { key, model: MODEL, stream: true });
    const response = await stream;
    const whole = eventsOf(response);
    const supervisor = only(home, 'supervise');
    const served = only(home, 'serve');
    const killedMs = performance.now();
    process.kill(supervisor, 'SIGKILL');
    await eventually(() => partsOf(home, 'supervise').some(({ pid }) => pid !== supervisor), BACK_MS);
    const supervisedMs = performance.now() - killedMs;
    expect(only(home, 'serve')).toBe(served);
    expect((await whole).events.at(-1)).toBe('[DONE]');

    // The new one does its work.
    process.kill(served, 'SIGKILL');
    backMs.push(await untilServing(home, served, BACK_MS));
    expect((await chat(url, { key, model: MODEL, maxTokens: 1 })).status).toBe(200);
    console.log(
      `      serving again after ${backMs.map((ms) => ms.toFixed(0)).join(' and ')} ms, supervised again after ${supervisedMs.toFixed(0)} ms`,
    );
    await dataOf(home.env, ['proxy', 'stop', '--all']);
    await eventually(() => partsOf(home).length === 0, 5_000);
  });
});

describe('signals', () => {
  test('SIGTERM lets requests under way finish, refuses new ones, and says so at /ready', async () => {
    using home = await homeWithEngine();
    await using daemon = await startDaemon(home, await freePort());
    const { url, key } = daemon;
    const response = await chat(url, { key, model: MODEL, stream: true });
    const whole = eventsOf(response);
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    // To the supervisor, as whoever ends "FLM" does.
    process.kill(only(home, 'supervise'), 'SIGTERM');
    await eventually(async () => (await fetch(`${url}/ready`)).status === 503);
    expect(await (await fetch(`${url}/ready`)).json()).toEqual({ status: 'draining' });
    expect(await codeOf(await chat(url, { key, model: MODEL }))).toBe('503 shutting_down');
    expect((await whole).events.at(-1)).toBe('[DONE]');
    await eventually(() => partsOf(home).length === 0, 5_000);
    expect(await idsOf(home)).toMatchObject([[daemon.proxy.id, 'stopped']]);
  });

  test('the second one ends it at once, and drain_ms limits the first', async () => {
    using home = await homeWithEngine();
    await dataOf(home.env, ['config', 'set', 'proxy.drain_ms', '300']);
    const env = { ...home.env, FLM_DATA_DIR: home.dir };
    for (const [signals, reason] of [
      [1, 'shutting_down'],
      [2, 'shutting_down'],
    ] as const) {
      // prettier-ignore
      if (signals === 2) await dataOf(home.env, ['config', 'unset', 'proxy.drain_ms']);
      const port = await freePort();
      const made = await dataOf(home.env, ['api-keys', 'create', '--label', `${signals}`]);
      const key = isRecord(made) ? String(made.plain_key) : '';
      remember(env);
      const child = Bun.spawn(
        [await executable(), 'proxy', 'start', '--no-daemon', '--port', String(port), '--json'],
        {
          env,
          cwd: home.dir,
          stdin: 'ignore',
          stdout: 'pipe',
          stderr: 'ignore',
        },
      );
      expect(await firstLine(collect(child.stdout))).toContain('"running":true');
      const url = `http://127.0.0.1:${port}`;
      await eventually(async () => (await fetch(`${url}/ready`)).status === 200);
      const stream = await chat(url, { key, model: MODEL, stream: true });
      const ended = eventsOf(stream);
      const fromMs = performance.now();
      child.kill('SIGTERM');
      if (signals === 2) {
        await eventually(async () => (await fetch(`${url}/ready`)).status === 503);
        child.kill('SIGTERM');
      }
      expect(await child.exited).toBe(0);
      expect(performance.now() - fromMs).toBeLessThan(2_500);
      expect((await ended).events.at(-1)).toContain(reason);
    }
  });
});

describe('under a service manager', () => {
  test('says when it serves and when it stops, and a start that no restart mends has exit code 3', async () => {
    using home = testHome();
    const socket = join(home.dir, 'notify.sock');
    const script = [
      'import socket, sys',
      's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("listening", flush=True)',
      'while True: print(repr(s.recv(4096).decode()), flush=True)',
    ].join('\n');
    const python = Bun.spawn(['python3', '-c', script, socket], { stdout: 'pipe' });
    const heard = collect(python.stdout);
    await heard.until((text) => text.includes('listening'));
    const dataDir = join(home.dir, 'data');
    const env = { ...home.env, FLM_DATA_DIR: dataDir, NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000' };
    remember(env);
    const port = await freePort();
    const start = async (extra: Record<string, string> = {}) =>
      Bun.spawn([await executable(), 'proxy', 'start', '--no-daemon', '--port', String(port), '--json'], {
        env: { ...env, ...extra },
        stdin: 'ignore',
        stdout: 'ignore',
        stderr: 'ignore',
      });
    const child = await start();
    await heard.until((text) => text.includes('READY=1') && text.includes('WATCHDOG=1'));
    expect(heard.text()).toContain(`MAINPID=${child.pid}`);
    expect(await dataOf({ ...env, NOTIFY_SOCKET: '' }, ['status'])).toMatchObject({ run_by: 'service' });
    expect(await errorOf({ ...env, NOTIFY_SOCKET: '' }, ['proxy', 'restart', '--graceful'])).toMatchObject({
      code: 'HANDOVER_UNAVAILABLE',
      hint: expect.stringContaining('systemctl'),
    });
    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
    await heard.until((text) => text.includes('STOPPING=1'));
    expect(await (await start({ FLM_PROXY_DRAIN_MS: 'soon' })).exited).toBe(3);
    python.kill();
    await python.exited;
  });

  test('is refused where there is none, and nothing is written', async () => {
    if (existsSync('/run/systemd/system')) return;
    using home = testHome();
    for (const verb of ['install', 'status', 'uninstall']) {
      const error = await errorOf(home.env, ['service', verb]);
      expect(error).toMatchObject({
        code: 'SERVICE_UNAVAILABLE',
        exit: 1,
        hint: expect.stringContaining('flm proxy start'),
      });
    }
  });
});

describe('reload', () => {
  test('takes what is valid, and keeps what was where it is not', async () => {
    using home = testHome();
    await using daemon = await startDaemon(home, await freePort());
    const toml = (text: string) => writeFileSync(home.paths.configToml, text, { mode: 0o600 });
    toml('[proxy]\nmax_connections = 7\nport = 9999\n');
    expect(await dataOf(home.env, ['proxy', 'reload', '--port', String(daemon.proxy.port)])).toEqual({
      handle_id: daemon.proxy.id,
      status: 'reloaded',
      changed: ['proxy.port', 'proxy.max_connections'],
      restart_required: ['proxy.port'],
      policy_version: 1,
    });
    toml('[proxy]\nmax_connections = "many"\n');
    expect(await errorOf(home.env, ['proxy', 'reload', '--all'])).toMatchObject({
      code: 'CONFIG_FILE_INVALID',
    });
    expect(await dataOf(home.env, ['config', 'get', 'proxy.max_connections'])).toMatchObject({ value: '7' });
    expect(await errorOf(home.env, ['proxy', 'reload', '--id', 'x'])).toMatchObject({
      code: 'PROXY_NOT_FOUND',
    });
    toml('');
  });
});

test('a restart with settings that are wrong is refused before anything stops', async () => {
  using home = testHome();
  await using daemon = await startDaemon(home, await freePort());
  const pid = only(home, 'serve');
  for (const text of ['no toml', '[proxy]\nport = "many"\n']) {
    writeFileSync(home.paths.configToml, text);
    const error = await errorOf(home.env, ['proxy', 'restart']);
    expect(error).toMatchObject({ code: 'CONFIG_FILE_INVALID', exit: 3 });
  }
  expect([only(home, 'serve'), (await fetch(`${daemon.url}/health`)).status]).toEqual([pid, 200]);
});

test('a saved proxy whose port somebody took is named by flm check, and comes back when the port is free', async () => {
  using home = testHome();
  const [port, other] = [await freePort(), await freePort()];
  await using daemon = await startDaemon(home, port);
  await dataOf(home.env, ['proxy', 'start', '--port', String(other)]);
  await killAll(home);
  const squatter = await listenOn(other);
  try {
    await dataOf(home.env, ['proxy', 'start']);
    expect((await fetch(`${daemon.url}/health`)).status).toBe(200);
    const report = await flm(home.env, ['check', '--json']);
    expect(report.stdout).toContain(`proxy proxy-${other}`);
    expect(report.stdout).toContain('it does not run');
  } finally {
    squatter.stop();
  }
  await eventually(
    async () => JSON.stringify(await idsOf(home)).includes(`"proxy-${other}","running"`),
    10_000,
  );
});

test('restart without a hand-over starts the same proxies in a new process', async () => {
  using home = testHome();
  await using daemon = await startDaemon(home, await freePort());
  const before = only(home, 'serve');
  expect(await dataOf(home.env, ['proxy', 'restart'])).toMatchObject({
    port: daemon.proxy.port,
    running: true,
  });
  expect(only(home, 'serve')).not.toBe(before);
});

/** The system frees the port of a process that was killed a moment after it. */
async function listenOn(port: number): Promise<{ stop(): void }> {
  const listeners: Bun.TCPSocketListener[] = [];
  await eventually(() => {
    try {
      listeners.push(Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } }));
    } catch {
      // Not yet.
    }
    return listeners.length > 0;
  });
  return { stop: () => listeners[0]?.stop(true) };
}
