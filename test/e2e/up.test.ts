/** `flm up`, the newcomer's one command: the first start, ports that are taken, the ways to end it. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../../src/lib/paths';
import { machineAddresses } from '../../src/listeners/endpoints';
import { startFake } from '../fake';
import { chat, codeOf, eventsOf } from '../support/client';
import { eventually } from '../support/eventually';
import { dataOf, errorOf, leftovers, parseResult, flm as run, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isImpossible } from '../support/missing';
import { freePort } from '../support/ports';
import { processes } from '../support/processes';
import { CTRL_C, onTerminal, plain } from '../support/terminal';

setDefaultTimeout(20_000);
afterAll(() => expect(leftovers()).toEqual([]));

const MODEL = 'up-model';

/** A data directory that knows one fake engine. */
async function homeWithEngine(engineUrl: string, extra: Env = {}) {
  const home = testHome(extra);
  await dataOf(home.env, ['engines', 'add', '--kind', 'llamacpp', '--url', engineUrl, '--id', 'fake']);
  return home;
}

describe('the first start', () => {
  test('makes the data directory, for its owner alone, and a key that works; the second shows none', async () => {
    const fake = await startFake('llamacpp', { models: [MODEL] });
    using home = testHome();
    const inside = join(home.dir, 'new', 'deep');
    const env = { ...home.env, FLM_DATA_DIR: inside };
    const first = await startFlm(env);
    console.log(`      first start: serving after ${first.startedInMs.toFixed(0)} ms`);
    expect(first.data).toMatchObject({ running: true, pid: first.pid, data_dir: inside, version: '0.1.0' });
    expect(first.key).toMatch(/^flm_[0-9A-Za-z]{46}$/);
    expect(first.stdout.text().split('\n')).toHaveLength(2);
    const files = readdirSync(inside, { recursive: true }).map(String);
    expect(files).toEqual(expect.arrayContaining(['config.db', 'security.db', 'lock.db', 'run/admin.sock']));
    for (const file of ['', ...files])
      expect({ file, open: statSync(join(inside, file)).mode & 0o077 }).toEqual({ file, open: 0 });
    await dataOf(env, ['engines', 'add', '--url', fake.url]);
    expect((await chat(first.url, { key: first.key, model: MODEL })).status).toBe(200);
    expect(await first.stop()).toBe(0);

    await using second = await startFlm(env);
    console.log(`      second start: serving after ${second.startedInMs.toFixed(0)} ms`);
    expect(second.data.plain_key).toBeNull();
    expect((await chat(second.url, { key: first.key, model: MODEL })).status).toBe(200);
    expect(await second.stop()).toBe(0);
    await fake.close();
  });

  test('makes another key when the only one was revoked: nobody is locked out', async () => {
    using home = testHome();
    const created = await dataOf(home.env, ['api-keys', 'create', '--label', 'x']);
    await dataOf(home.env, ['api-keys', 'revoke', (created as { id: string }).id]);
    await using flm = await startFlm(home.env);
    expect(flm.key).toStartWith('flm_');
    await flm.stop();
  });

  test('on a terminal: shows what to paste, and what is pasted works', async () => {
    const fake = await startFake('llamacpp', { models: [MODEL] });
    using home = await homeWithEngine(fake.url);
    await using terminal = await onTerminal(home.env, ['up', '--port', '0']);
    const text = plain(await terminal.screen.until((screen) => screen.includes('Ctrl-C')));
    expect(text).toMatch(/^FLM 0\.1\.0 is up\.\n/);
    expect(text).toMatch(/flm_[0-9A-Za-z]{46} {2}\(shown this once: keep it\)/);
    expect(text).not.toContain('"level"');
    const [, command = ''] = text.split(/Try it:\n\n|\n\nStop it/);
    const shell = Bun.spawn(['sh', '-euc', command], { stdout: 'pipe', stderr: 'ignore' });
    const answer = await new Response(shell.stdout).text();
    expect(await shell.exited).toBe(0);
    expect(answer).toStartWith('data: {');
    expect(answer).toEndWith('data: [DONE]\n\n');
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(0);
    await fake.close();
  });

  test('on a terminal without an engine: offers one, and takes no for an answer', async () => {
    using home = testHome();
    await using terminal = await onTerminal(home.env, ['up', '--port', '0']);
    await terminal.screen.until((screen) => screen.includes('Install a small one'));
    terminal.type('n');
    const text = plain(await terminal.screen.until((screen) => screen.includes('Stop it with Ctrl-C')));
    expect(text).toContain('flm engines try');
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(0);
    expect(existsSync(home.paths.trialDir)).toBe(false);
  });

  test('on a terminal: Ctrl-C at the question ends it', async () => {
    using home = testHome();
    await using terminal = await onTerminal(home.env, ['up', '--port', '0']);
    await terminal.screen.until((screen) => screen.includes('Install a small one'));
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(130);
    expect(await terminal.screen.whole).not.toContain('is up');
    expect(existsSync(home.paths.adminSocket)).toBe(false);
  });

  test('--ask prints an answer, as a second line of JSON', async () => {
    const fake = await startFake('llamacpp', { models: [MODEL] });
    using home = await homeWithEngine(fake.url);
    await using flm = await startFlm(home.env, ['--port', '0', '--ask', 'Say hello.']);
    const lines = await flm.stdout.until((text) => text.split('\n').length === 3);
    const [, answer = ''] = lines.split('\n');
    expect(JSON.parse(answer)).toMatchObject({
      version: '1.0',
      data: {
        content: expect.stringMatching(/./),
        chunks: expect.any(Number),
        usage: { prompt_tokens: expect.any(Number) },
      },
    });
    expect(await flm.stop()).toBe(0);
    await fake.close();
  });

  test('Ctrl-C ends it well while a model still answers --ask', async () => {
    const slow = await startFake('llamacpp', { models: [MODEL], tokens: 10_000, tokenDelayMs: 20 });
    using home = await homeWithEngine(slow.url);
    await using terminal = await onTerminal(home.env, ['up', '--port', '0', '--ask', 'Say hello.']);
    await eventually(() => slow.busy() === 1);
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(0);
    await slow.close();
  });

  test('--ask without an engine says so', async () => {
    using home = testHome();
    const ask = startFlm(home.env, ['--port', '0', '--ask', 'Say hello.']).then((flm) => flm.exited);
    expect(await ask).toBe(1);
  });
});

describe('a port that is taken', () => {
  /** Who has it, what it is called, and how it is given back. */
  const OWNERS: readonly (readonly [by: string, take: (port: number) => Promise<() => Promise<unknown>>])[] =
    [
      [
        'another program',
        async (port) => {
          const socket = Bun.listen({ port, hostname: '127.0.0.1', socket: { data() {} } });
          return async () => socket.stop(true);
        },
      ],
      ['an engine (llama.cpp)', async (port) => (await startFake('llamacpp', { port })).close],
      ['an engine (OpenAI-compatible)', async (port) => (await startFake('openai', { port })).close],
      [
        'another FLM',
        async (port) => {
          const home = testHome();
          const flm = await startFlm(home.env, ['--port', String(port)]);
          return async () => {
            expect(await flm.stop()).toBe(0);
            home[Symbol.dispose]();
          };
        },
      ],
    ];

  test.each(OWNERS)('by %s: is refused, wherever it was asked for', async (by, take) => {
    const port = await freePort();
    const giveBack = await take(port);
    using home = testHome();
    const message = `Port ${port} on 127.0.0.1 is taken by ${by}.`;
    for (const [env, words] of [
      [home.env, ['up', '--port', String(port)]],
      [{ ...home.env, FLM_PROXY_PORT: String(port) }, ['up']],
    ] as const) {
      const refused = await errorOf(env, words);
      expect(refused).toMatchObject({ code: 'PROXY_PORT_IN_USE', exit: 1, message });
      expect(refused.hint).toContain('--port');
    }
    await giveBack();
  });
});

describe('a second one on the same data directory', () => {
  test('is refused at once, with the process that has it', async () => {
    using home = testHome();
    await using flm = await startFlm(home.env);
    const startedMs = performance.now();
    for (const words of [['up'], ['up', '--port', '0'], ['up', '--try']]) {
      expect(await errorOf(home.env, words)).toMatchObject({
        code: 'PROXY_ALREADY_RUNNING',
        exit: 1,
        message: `FLM already runs on this data directory (process ${flm.pid}).`,
      });
    }
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(await flm.stop()).toBe(0);
  });

  test('of two that start at the same moment, one serves', async () => {
    using home = testHome();
    const starts = await Promise.allSettled([startFlm(home.env), startFlm(home.env)]);
    const served = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
    const [refused] = starts.flatMap((start) => (start.status === 'rejected' ? [String(start.reason)] : []));
    expect(served).toHaveLength(1);
    expect(refused).toContain('PROXY_ALREADY_RUNNING');
    for (const flm of served) expect(await flm.stop()).toBe(0);
  });

  test('one that does not answer is told apart from none', async () => {
    using home = testHome();
    await using flm = await startFlm(home.env);
    process.kill(flm.pid, 'SIGSTOP');
    expect(await errorOf(home.env, ['status'])).toMatchObject({ code: 'DB_LOCKED', exit: 1 });
    process.kill(flm.pid, 'SIGCONT');
    expect(await dataOf(home.env, ['status'])).toMatchObject({ running: true, pid: flm.pid });
    expect(await flm.stop()).toBe(0);
  });
});

describe('the end', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s: what is under way ends with an error, nothing stays',
    async (signal) => {
      const slow = await startFake('llamacpp', { models: [MODEL], tokens: 10_000, tokenDelayMs: 20 });
      using home = await homeWithEngine(slow.url);
      const flm = await startFlm(home.env);
      const ask = { key: flm.key, model: MODEL };
      const streams = await Promise.all([1, 2].map(() => chat(flm.url, { ...ask, stream: true })));
      const stalled = chat(flm.url, ask).then(codeOf);
      await eventually(() => slow.busy() === 3);

      const stoppedMs = performance.now();
      const exit = flm.stop(signal);
      for (const { events } of await Promise.all(streams.map(eventsOf))) {
        expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({ error: { code: 'shutting_down' } });
        expect(events).not.toContain('[DONE]');
      }
      expect(await stalled).toBe('503 shutting_down');
      expect(await exit).toBe(0);
      console.log(`      ${signal}: gone after ${(performance.now() - stoppedMs).toFixed(0)} ms`);
      expect(performance.now() - stoppedMs).toBeLessThan(2_500);

      expect(existsSync(home.paths.adminSocket)).toBe(false);
      await slow.idle();
      const status = await run(home.env, ['status']);
      expect(status).toMatchObject({ code: 1, stderr: '' });
      expect(parseResult(status.stdout)).toMatchObject({ running: false, pid: null, requests: 0 });
      const { port } = new URL(flm.url);
      await using again = await startFlm(home.env, ['--port', port]);
      expect(again.url).toBe(flm.url);
      expect(await again.stop()).toBe(0);
      await slow.close();
    },
  );

  test('Ctrl-C on a terminal', async () => {
    const fake = await startFake('llamacpp', { models: [MODEL] });
    using home = await homeWithEngine(fake.url);
    await using terminal = await onTerminal(home.env, ['up', '--port', '0']);
    await terminal.screen.until((screen) => screen.includes('Stop it with Ctrl-C'));
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(0);
    // No trace, no stack, nothing but the terminal's own echo.
    expect(plain(await terminal.screen.whole)).toMatch(/Stop it with Ctrl-C\.\n(\^C)?\n?$/);
    await fake.close();
  });

  test('nobody reading what it writes is none', async () => {
    using home = testHome({ FLM_LOG_LEVEL: 'debug' });
    const flm = await startFlm(home.env, ['--port', '0'], {
      // As in `flm up 2>&1 | head -1`: the reader has gone after the first line.
      prefix: ['bash', '-c', 'exec "$0" "$@" 2> >(head -1 >/dev/null)'],
    });
    for (let i = 0; i < 5; i++)
      expect((await chat(flm.url, { key: 'wrong', model: MODEL })).status).toBe(401);
    expect(await dataOf(home.env, ['status'])).toMatchObject({ running: true });
    expect(await flm.stop()).toBe(0);
  });
});

describe('where it listens', () => {
  test('on loopback only, unless it is told otherwise', async () => {
    using home = testHome();
    await using flm = await startFlm(home.env);
    expect(flm.data.listen_addr).toStartWith('127.0.0.1:');
    expect(flm.data.endpoints).toEqual({
      localhost: flm.url.replace('127.0.0.1', 'localhost'),
      local_network: null,
      local_networks: [],
      public: [],
    });
    const { port } = new URL(flm.url);
    for (const address of machineAddresses().filter((ip) => !ip.includes(':') && ip !== '127.0.0.1')) {
      const reached = await fetch(`http://${address}:${port}/health`).then(
        () => address,
        () => null,
      );
      expect(reached).toBeNull();
    }
    expect(await flm.stop()).toBe(0);
  });

  const noIpv6 = machineAddresses().includes('::1') ? null : 'this machine has no IPv6';
  test.skipIf(isImpossible('listening on ::1', noIpv6))('on ::1', async () => {
    using home = testHome();
    await using flm = await startFlm(home.env, ['--port', '0', '--bind', '::1']);
    expect(flm.data.listen_addr).toStartWith('[::1]:');
    expect((await fetch(`${flm.url}/health`)).status).toBe(200);
    expect(await dataOf(home.env, ['status'])).toMatchObject({ listen_addr: flm.data.listen_addr });
    expect(await flm.stop()).toBe(0);
  });

  test('on every network, where none of them is public', async () => {
    using home = testHome();
    const { stderr, code } = await upBriefly(home.env, ['--bind', '0.0.0.0']);
    if (code === 0) expect(stderr).toContain('FLM listens beyond this machine, without TLS');
    else expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining('EXPOSURE_REFUSED') });
  });

  test.each([
    ['8.8.8.8', 'EXPOSURE_REFUSED', 'a public address'],
    ['2001:4860:4860::8888', 'EXPOSURE_REFUSED', 'a public address'],
    ['::ffff:8.8.8.8', 'EXPOSURE_REFUSED', 'a public address in another spelling'],
    ['10.255.255.254', 'PROXY_INVALID_CONFIG', 'an address of another machine'],
    ['my-machine', 'CONFIG_INVALID', 'a name'],
    ['127.0.0.1:80', 'CONFIG_INVALID', 'an address with a port'],
  ])('not on %s (%s: %s)', async (bind, code) => {
    using home = testHome();
    const exit = code === 'CONFIG_INVALID' ? 1 : 3;
    expect(await errorOf(home.env, ['up', '--port', '0', '--bind', bind])).toMatchObject({ code, exit });
  });

  test('on a public address only when that was said', async () => {
    using home = testHome();
    // The address is not this machine's: it gets past the refusal and no further.
    const error = await errorOf(home.env, ['up', '--port', '0', '--bind', '8.8.8.8', '--allow-plaintext']);
    expect(error).toMatchObject({ code: 'PROXY_INVALID_CONFIG', exit: 3 });
  });

  /** Starts it, lets it say what it has to say, ends it. */
  async function upBriefly(env: Env, words: readonly string[]): Promise<{ code: number; stderr: string }> {
    try {
      const flm = await startFlm(env, ['--port', '0', ...words]);
      expect((await fetch(`${flm.data.endpoints.localhost}/health`)).status).toBe(200);
      const code = await flm.stop();
      return { code, stderr: flm.stderr.text() };
    } catch (error) {
      const text = String(error);
      return { code: Number(/exit (\d+)/.exec(text)?.[1]), stderr: text };
    }
  }
});

test('with an engine behind HTTPS it raises the limit of the runtime, as the same process', async () => {
  using home = testHome();
  await dataOf(home.env, ['engines', 'add', '--kind', 'openai', '--url', 'https://127.0.0.1:9']);
  await using flm = await startFlm(home.env);
  expect(flm.data.pid).toBe(flm.pid);
  const own = processes().find(({ pid }) => pid === flm.pid);
  if (own !== undefined) expect(own.environment).toContain('BUN_CONFIG_MAX_HTTP_REQUESTS=65535');
  expect(flm.key).toStartWith('flm_');
  expect(await flm.stop()).toBe(0);
});
