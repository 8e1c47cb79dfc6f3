/**
 * The executable in front of a real vLLM, and everything that ends too soon: clients that leave, at whatever point, and
 * must stop the engine; and a vLLM that is told to stop, or killed, under its requests.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { isRecord } from '../../src/lib/json';
import { startFake } from '../fake';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, flm, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isMissing } from '../support/missing';
import { type Collected, createCollector } from '../support/output';
import { missingVllm, type RealVllm, startVllm } from './real-vllm';

setDefaultTimeout(300_000);

const noVllm = isMissing('a real vLLM that is left, stopped and killed', await missingVllm());

const KEY = 'sk-of-this-vllm';
/** Silence after which FLM asks whether the engine is still there; by default that is a minute. */
const STALL_PROBE_MS = 2_000;
const DONE = 'data: [DONE]';

describe.skipIf(noVllm)('a real vLLM with a key', () => {
  let vllm: RealVllm;
  let home: TestDir;
  let running: RunningFlm;

  beforeAll(async () => {
    // One at a time: whatever comes second waits inside of vLLM, before its first token.
    vllm = await startVllm({ key: KEY, atOnce: 1 });
    console.log(`      vLLM ${vllm.version} was ready after ${(vllm.readyMs / 1_000).toFixed(0)} s`);
    home = testHome({ FLM_PROXY_STALL_PROBE_MS: `${STALL_PROBE_MS}`, VLLM_KEY: KEY });
    await add(['--key-env', 'VLLM_KEY']);
    running = await startFlm(home.env);
  });
  afterAll(async () => {
    try {
      expect(await running.stop()).toBe(0);
    } finally {
      // It is too large to be left behind, whatever went wrong.
      await vllm[Symbol.asyncDispose]();
      home[Symbol.dispose]();
    }
    expect(leftovers()).toEqual([]);
  });

  const add = (more: readonly string[], env = home.env) =>
    dataOf(env, ['engines', 'add', '--url', vllm.baseUrl, '--id', 'vllm', ...more]);

  /** How FLM shows it. */
  async function shown(env = home.env): Promise<unknown> {
    const { items } = (await dataOf(env, ['engines', 'list', '--engine', 'vllm'])) as { items: unknown[] };
    return items[0];
  }

  const statusIs = async (status: string) => {
    const engine = await shown();
    return isRecord(engine) && isRecord(engine.status) && engine.status.status === status;
  };

  /** Requests that FLM knows of. */
  async function requestsIn(): Promise<number> {
    const status = await dataOf(home.env, ['status']);
    return isRecord(status) ? Number(status.requests) : -1;
  }

  interface Asking {
    readonly body: Collected;
    readonly response: Promise<Response>;
    leave(): void;
  }

  /** Asks for more than it will ever get, unless `maxTokens` says otherwise. */
  function ask(stream: boolean, more: { path?: string; model?: string; max?: number } = {}): Asking {
    const leave = new AbortController();
    const response = fetch(`${running.url}${more.path ?? '/v1/chat/completions'}`, {
      method: 'POST',
      keepalive: false,
      signal: leave.signal,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${running.key}` },
      body: JSON.stringify({
        model: more.model ?? `flm://vllm/${vllm.model}`,
        stream,
        max_tokens: more.max ?? 1_900,
        ignore_eos: true,
        ...(more.path === '/v1/completions'
          ? { prompt: 'One, two,' }
          : { messages: [{ role: 'user', content: 'Count to a thousand.' }] }),
      }),
    });
    const body = createCollector();
    void (async () => {
      for await (const bytes of (await response).body ?? []) body.push(bytes);
    })()
      .catch(() => {}) // Whoever leaves is not told how it ended.
      .finally(body.end);
    return { response, body, leave: () => leave.abort() };
  }

  const hasWords = ({ body }: Asking): Promise<string> => body.until((text) => text.split('\n\n').length > 4);

  const loadIs = (running: number, waiting: number, withinMs = 20_000) =>
    eventually(async () => Bun.deepEquals(await vllm.load(), { running, waiting }), withinMs, 20);

  async function msUntil(what: Promise<unknown>): Promise<number> {
    const startedMs = performance.now();
    await what;
    return performance.now() - startedMs;
  }

  test('without its key it needs one; with a wrong one too; with the right one it runs', async () => {
    using without = testHome({ VLLM_KEY: 'sk-wrong' });
    expect(await add([], without.env)).toMatchObject({
      kind: 'vllm',
      status: { status: 'needs-key', reason: expect.stringMatching(/^it wants a key/) },
    });
    await dataOf(without.env, ['engines', 'remove', 'vllm']);
    expect(await add(['--key-env', 'VLLM_KEY'], without.env)).toMatchObject({
      kind: 'vllm',
      status: { status: 'needs-key', reason: expect.stringMatching(/^it does not accept its key/) },
    });
    expect(await shown()).toMatchObject({
      kind: 'vllm',
      version: vllm.version,
      status: { status: 'running-healthy' },
      models: [vllm.model],
    });
    const answer = ask(false, { max: 4 });
    expect((await answer.response).status).toBe(200);
    expect(await answer.body.whole).not.toContain(KEY);
  });

  describe('a client that leaves', () => {
    test('while it waits in FLM never reaches vLLM', async () => {
      using other = testHome({ VLLM_KEY: KEY });
      await add(['--key-env', 'VLLM_KEY', '--slots', '1'], other.env);
      await using narrow = await startFlm(other.env);
      const wide = running;
      running = narrow;
      try {
        const requests = async () => {
          const status = await dataOf(other.env, ['status']);
          return isRecord(status) ? Number(status.requests) : -1;
        };
        const working = ask(true);
        await hasWords(working);
        const waiting = [ask(true), ask(false)];
        await eventually(async () => (await requests()) === 3);
        expect(await vllm.load()).toEqual({ running: 1, waiting: 0 });
        for (const each of waiting) each.leave();
        const goneMs = await msUntil(eventually(async () => (await requests()) === 1));
        working.leave();
        const freeMs = await msUntil(loadIs(0, 0));
        console.log(
          `      queued in FLM: gone ${goneMs.toFixed(0)} ms later; vLLM idle ${freeMs.toFixed(0)} ms after the last`,
        );
        expect(goneMs).toBeLessThan(1_500);
        // Nothing of them arrives late.
        await Bun.sleep(300);
        expect(await vllm.load()).toEqual({ running: 0, waiting: 0 });
      } finally {
        running = wide;
        await narrow.stop();
      }
    });

    test.each([true, false])('before its first token, in the queue of vLLM (stream: %p)', async (stream) => {
      const working = ask(true);
      await hasWords(working);
      const waiting = ask(stream);
      await loadIs(1, 1);
      waiting.leave();
      const freeMs = await msUntil(loadIs(1, 0));
      working.leave();
      await loadIs(0, 0);
      console.log(
        `      before the first token (stream: ${stream}): out of vLLM after ${freeMs.toFixed(0)} ms`,
      );
      expect(freeMs).toBeLessThan(1_500);
      await eventually(async () => (await requestsIn()) === 0);
    });

    test('in the middle of a stream', async () => {
      const asking = ask(true);
      await hasWords(asking);
      await loadIs(1, 0);
      asking.leave();
      const freeMs = await msUntil(loadIs(0, 0));
      console.log(`      streaming: vLLM idle after ${freeMs.toFixed(0)} ms`);
      expect(freeMs).toBeLessThan(1_500);
      await eventually(async () => (await requestsIn()) === 0);
    });

    test('before an answer in one piece', async () => {
      const asking = ask(false);
      await loadIs(1, 0);
      asking.leave();
      const freeMs = await msUntil(loadIs(0, 0));
      console.log(`      not streaming: vLLM idle after ${freeMs.toFixed(0)} ms`);
      expect(freeMs).toBeLessThan(1_500);
      await eventually(async () => (await requestsIn()) === 0);
    });
  });

  /** What somebody who reads on is told in the end. */
  async function verdictOf(asking: Asking): Promise<{ status: number; text: string }> {
    const { status } = await asking.response;
    return { status, text: await asking.body.whole };
  }

  function expectBroken({ status, text }: { status: number; text: string }): void {
    expect(status).toBe(200);
    expect(text).toContain('"error"');
    expect(text).not.toContain(DONE);
    expect(text).not.toContain('message_stop');
  }

  test('told to stop under its requests, which it may leave hanging: an error for each, and no [DONE]', async () => {
    const streams = [ask(true), ask(true, { path: '/v1/messages' })];
    const [first] = streams;
    if (first === undefined) throw new Error('there is one');
    await hasWords(first);
    const whole = ask(false);
    await loadIs(1, 2);
    vllm.signal('SIGTERM');
    const startedMs = performance.now();
    const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1_000).toFixed(1)} s`;
    const broken = verdictOf(first);
    const told = await Promise.all([broken, ...streams.slice(1).map(verdictOf), verdictOf(whole)]);
    console.log(
      `      SIGTERM: everybody was told after ${seconds(startedMs)} (probe after ${STALL_PROBE_MS / 1_000} s)`,
    );
    expect(performance.now() - startedMs).toBeLessThan(STALL_PROBE_MS + 8_000);
    expectBroken(await broken);
    console.log(
      told.map(({ status, text }) => `      ${status} ${text.trim().split('\n\n').at(-1)}`).join('\n'),
    );
    // vLLM hangs, or finds time to tell of its end by itself: it is not always quick enough.
    for (const { text } of told) {
      expect(text).toContain('"error"');
      expect(text).not.toContain(DONE);
    }
    await eventually(() => statusIs('error-network'), 10_000, 100);
    console.log(`      SIGTERM: out of the catalogue after ${seconds(startedMs)}`);
    // With nobody left to answer, it ends.
    await vllm.exited;
    console.log(`      SIGTERM: its process ended after ${seconds(startedMs)}`);
    await eventually(async () => (await requestsIn()) === 0);
  });

  test('killed under streams: an error without [DONE], nothing is sent again, and the catalogue follows', async () => {
    const { port } = vllm;
    await vllm[Symbol.asyncDispose]();
    vllm = await startVllm({ key: KEY, port });
    const readyMs = performance.now();
    await eventually(() => statusIs('running-healthy'), 10_000, 100);
    console.log(
      `      back in the catalogue ${(performance.now() - readyMs).toFixed(0)} ms after it was ready`,
    );

    // Somebody else has the same model and would take whatever is sent again.
    const fake = await startFake('openai', { models: [vllm.model], tokens: 10_000, tokenDelayMs: 100 });
    await using _ = { [Symbol.asyncDispose]: fake.close };
    await dataOf(home.env, ['engines', 'add', '--url', fake.url, '--id', 'fake']);
    const streams: Asking[] = [];
    for (const path of ['/v1/chat/completions', '/v1/completions']) {
      const asking = ask(true, { path });
      await hasWords(asking);
      streams.push(asking);
    }
    const here: Asking[] = [];
    const there: Asking[] = [];
    for (let tries = 0; tries < 8 && (here.length === 0 || there.length === 0); tries++) {
      const asking = ask(true, { model: vllm.model });
      await hasWords(asking);
      const engine = (await asking.response).headers.get('x-flm-engine');
      (engine === 'vllm' ? here : there).push(asking);
    }
    // This one knows no ignore_eos: it is the last to begin.
    const message = ask(true, { path: '/v1/messages' });
    await hasWords(message);
    streams.push(message);
    const posts = () => fake.requests.filter(({ method }) => method === 'POST').length;
    expect(posts()).toBe(there.length);
    console.log(`      ${here.length} streams by name on vLLM, ${there.length} on the other one`);

    vllm.signal('SIGKILL');
    const startedMs = performance.now();
    const told = await Promise.all([...streams, ...here].map(verdictOf));
    const toldMs = performance.now() - startedMs;
    for (const each of told) expectBroken(each);
    expect(toldMs).toBeLessThan(STALL_PROBE_MS + 3_000);
    await eventually(() => statusIs('error-network'), 10_000, 100);
    const goneMs = performance.now() - startedMs;
    console.log(
      `      kill -9: ${told.length} streams were told after ${toldMs.toFixed(0)} ms; out of the catalogue after ${goneMs.toFixed(0)} ms`,
    );
    expect(goneMs).toBeLessThan(10_000);
    const { items } = (await dataOf(home.env, ['models', 'list', '--engine', 'vllm'])) as {
      items: unknown[];
    };
    expect(items).toEqual([]);
    expect(posts()).toBe(there.length);
    // The other one's streams have nothing to do with it.
    for (const asking of there) {
      const soFar = asking.body.text().length;
      await asking.body.until((text) => text.length > soFar);
      asking.leave();
    }
    const ran = await flm(home.env, ['engines', 'remove', 'fake']);
    expect(ran.code).toBe(0);
  });
});
