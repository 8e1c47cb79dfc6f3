/**
 * A client that goes away stops the engine in every state, and one that reads slowly slows it down: nothing is kept for
 * it that could grow, and nothing is lost.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import type { InferenceRoute } from '../../src/contract';
import type { FakeEngine, FakeKind, FakeOptions } from '../fake';
import { chat, type Gateway, MODEL, startGateway, workOf } from './support/gateway';
import { connectRaw, type RawClient } from './support/raw';
import { ALL, ALL_ROUND, bodyFor, CHAT, MESSAGES, RERANK, RESPONSES } from './support/routes';
import { chunkOf, DONE, eventOf, LAST_CHUNK, STREAM_HEAD, startScripted } from './support/scripted';
import { jsonIn, readStream } from './support/sse';
import { until } from './support/until';
import { judge } from './support/verdict';

/** From the client's leaving to the engine's noticing. */
const NOTICED_MS = 100;

interface State {
  readonly name: string;
  readonly stream: boolean;
  readonly fake: FakeOptions;
  /** Resolves when the request is in that state. */
  reached(client: RawClient, fake: FakeEngine): Promise<void>;
}

const works = (_: RawClient, fake: FakeEngine): Promise<void> => until(() => fake.busy() === 1);

const STATES: readonly State[] = [
  {
    name: 'before the headers',
    stream: true,
    fake: { fault: { kind: 'stall-before-headers' } },
    reached: works,
  },
  {
    name: 'before the first token',
    stream: true,
    fake: { fault: { kind: 'stall-before-first-token' } },
    reached: works,
  },
  {
    name: 'in the silence after a ping',
    stream: true,
    fake: { fault: { kind: 'stall-before-headers' } },
    reached: (client) => client.until(() => client.received().includes('ping\n')),
  },
  {
    name: 'in the middle of the stream',
    stream: true,
    fake: { tokenDelayMs: 20, tokens: 500 },
    reached: (client) => client.until(() => readStream(client.answer().body).data.length > 3),
  },
  {
    name: 'while the engine works, not streaming',
    stream: false,
    fake: { tokenDelayMs: 30_000 },
    reached: works,
  },
  {
    name: 'after half of an answer, not streaming',
    stream: false,
    fake: { fault: { kind: 'never-close' } },
    reached: works,
  },
  {
    name: 'in the queue of the engine itself',
    stream: true,
    fake: { slots: 1, fault: { kind: 'stall-before-headers' } },
    reached: works,
  },
];

const SETTINGS = { 'proxy.header_grace_ms': 50, 'proxy.ping_interval_ms': 50 };

/** Where the states are gone through: in full where it all began, politely left everywhere else. */
const PLACES: readonly (readonly [FakeKind, InferenceRoute, ways: readonly ('close' | 'reset')[]])[] = [
  ['llamacpp', CHAT, ['close', 'reset']],
  ['openai', CHAT, ['close', 'reset']],
  ['ollama', CHAT, ['close']],
  ['llamacpp', RESPONSES, ['close', 'reset']],
  ['llamacpp', MESSAGES, ['close', 'reset']],
  ['llamacpp', RERANK, ['close']],
  ['ollama', RESPONSES, ['close']],
  ['ollama', MESSAGES, ['close']],
  ['vllm', CHAT, ['close']],
  ['vllm', RESPONSES, ['close']],
  ['vllm', MESSAGES, ['close']],
  ['lmstudio', CHAT, ['close']],
  ['lmstudio', RESPONSES, ['close']],
  ['lmstudio', MESSAGES, ['close']],
];

describe.each(PLACES)('%s, %s: the client leaves', (kind, route, ways) => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway({ settings: SETTINGS });
  });
  afterEach(() => gateway.afresh());
  afterAll(() => gateway[Symbol.asyncDispose]());

  // Reranking is not streamed.
  const states = STATES.filter(({ stream }) => route !== RERANK || !stream);
  const cells = states.flatMap((state) => ways.map((leave) => [state.name, leave, state] as const));
  test.each(cells)('%s (%s)', async (_, leave, state) => {
    const fake = await gateway.addFake(kind, { ...ALL_ROUND, ...state.fake });
    const client = await gateway.start(route, bodyFor(route, ALL, state.stream ? { stream: true } : {}));
    await state.reached(client, fake);
    expect(gateway.app.open()).toEqual({ exchanges: 1, tickets: 1, leases: 1 });
    const left = performance.now();
    client[leave]();
    await fake.idle();
    expect(performance.now() - left).toBeLessThan(NOTICED_MS);
    expect([fake.aborted(), fake.served(), fake.broken()]).toEqual([1, 0, 0]);
    await expectAborted(gateway, 1, 1);
  });
});

describe.each(['llamacpp', 'openai'] as const)('%s: the client leaves', (kind) => {
  test('while it waits in the queue of FLM: the engine never hears of it', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake(kind, { fault: { kind: 'stall-before-headers' } }, { slots: 1 });
    const first = await gateway.start(CHAT, chat(MODEL[kind]));
    await until(() => fake.busy() === 1);
    for (const stream of [true, false]) {
      const waiting = await gateway.start(CHAT, chat(MODEL[kind], { stream }));
      await until(() => gateway.app.open().tickets === 2);
      const left = performance.now();
      waiting.close();
      await until(() => gateway.app.open().tickets === 1);
      expect(performance.now() - left).toBeLessThan(NOTICED_MS);
    }
    expect(gateway.app.open()).toEqual({ exchanges: 1, tickets: 1, leases: 1 });
    expect(workOf(fake)).toHaveLength(1);
    first.close();
    await fake.idle();
    await expectAborted(gateway, 3, 1);
  });

  test('200 at once, in all states', async () => {
    await using gateway = await startGateway({ settings: SETTINGS });
    const fake = await gateway.addFake(kind, { slots: 150, tokenDelayMs: 20 }, { slots: 150 });
    const clients = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        gateway.start(CHAT, chat(MODEL[kind], { stream: index % 3 > 0, max_tokens: 500, ignore_eos: true })),
      ),
    );
    await until(() => fake.busy() === 150 && gateway.app.open().tickets === 200);
    const left = performance.now();
    for (const client of clients) client.close();
    await until(() => gateway.app.open().tickets === 0 && fake.busy() === 0);
    expect(performance.now() - left).toBeLessThan(1_000);
    await gateway.settled();
    const { attempts, requests } = gateway.account();
    expect(requests).toHaveLength(200);
    expect(new Set(requests.map(({ outcome }) => outcome))).toEqual(new Set(['aborted']));
    expect(new Set(attempts.map(({ outcome }) => outcome))).toEqual(new Set(['aborted']));
    // The engine goes on as before.
    expect((await gateway.post(CHAT, chat(MODEL[kind]))).status).toBe(200);
  });
});

test.each(['close', 'reset'] as const)(
  'leaves after [DONE], before the engine has closed (%s): that was all',
  async (leave) => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('openai', { fault: { kind: 'never-close' } });
    for (let at = 0; at < 5; at += 1) {
      const client = await gateway.start(CHAT, chat(MODEL.openai, { stream: true }));
      await client.until(() => client.received().includes(DONE));
      client[leave]();
      await fake.idle();
    }
    await gateway.settled();
    expect(gateway.account().requests.map(({ outcome }) => outcome)).toEqual(Array(5).fill('done'));
  },
);

test('leaves in the middle of its own request', async () => {
  await using gateway = await startGateway();
  const fake = await gateway.addFake('openai');
  for (const head of [
    'Content-Length: 1000\r\n\r\n{"model":',
    'Transfer-Encoding: chunked\r\n\r\n5\r\n{"mod\r\n',
  ]) {
    const half = await connectRaw(gateway.url);
    half.send(`POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\n${gateway.auth.join(': ')}\r\n${head}`);
    await until(() => gateway.app.open().exchanges === 1);
    half.close();
    await gateway.settled();
  }
  expect(workOf(fake)).toEqual([]);
});

// The runtime takes the end of the sending side for the end of the connection; what counts is that nothing is left over.
test.each([true, false])(
  'closes only its sending side (streaming: %p): the engine is freed',
  async (stream) => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('openai', { tokenDelayMs: 5_000 });
    const client = await gateway.start(CHAT, chat(MODEL.openai, { stream }));
    await until(() => fake.busy() === 1);
    client.halfClose();
    await fake.idle();
    await client.until(() => client.ended());
    await expectAborted(gateway, 1, 1);
  },
);

describe('a client that reads nothing for two seconds of a fast stream', () => {
  const EVENTS = 100_000;

  test('pauses the engine, costs bounded memory, and misses nothing', async () => {
    let sentBytes = 0;
    let sentEvents = 0;
    await using engine = await startScripted(async (_, wire) => {
      await wire.write(STREAM_HEAD);
      for (; sentEvents < EVENTS; sentEvents += 100) {
        const events = Array.from({ length: 100 }, (_, at) =>
          eventOf(`#${sentEvents + at} ${'x'.repeat(300)}`),
        );
        const bytes = chunkOf(events.join(''));
        await wire.write(bytes);
        sentBytes += bytes.length;
      }
      await wire.write(chunkOf(eventOf(null) + DONE));
      await wire.write(LAST_CHUNK);
      return 'keep-alive';
    });
    await using gateway = await startGateway();
    await gateway.addEngine('openai', engine.url, { id: 'scripted' });
    const client = await gateway.start(CHAT, chat('scripted', { stream: true }));
    await client.until(() => client.received().length > 100_000);
    client.pause();
    await Bun.sleep(1_000);
    const paused = sentBytes;
    const rss = process.memoryUsage.rss();
    await Bun.sleep(1_000);
    expect(sentBytes).toBe(paused);
    expect(sentEvents).toBeLessThan(EVENTS);
    // What the three pairs of socket buffers hold on a loopback interface, and a read ahead of FLM's.
    expect(sentBytes - client.received().length).toBeLessThan(28 * 2 ** 20);
    expect(process.memoryUsage.rss() - rss).toBeLessThan(16 * 2 ** 20);
    client.resume();
    const answer = await client.read({ timeoutMs: 15_000 });
    expect(answer.complete).toBe(true);
    const seen = [...answer.body.toString('latin1').matchAll(/"#(\d+) /g)].map((match) => Number(match[1]));
    expect(seen).toHaveLength(EVENTS);
    expect(seen.every((number, at) => number === at)).toBe(true);
    expect(answer.body.toString('latin1')).toEndWith(DONE);
    client.close();
    await gateway.settled();
    expect(gateway.account().requests.map(({ outcome }) => outcome)).toEqual(['done']);
  }, 20_000);

  test.each(['leaves', 'meets the deadline', 'sees FLM stop'] as const)(
    'and then %s: the engine is freed',
    async (what) => {
      let freed = 0;
      const text = chunkOf(eventOf('y'.repeat(20_000)));
      await using engine = await startScripted(async (_, wire) => {
        wire.gone.addEventListener('abort', () => {
          freed = performance.now();
        });
        await wire.write(STREAM_HEAD);
        for (;;) await wire.write(text);
      });
      const settings = what === 'meets the deadline' ? { 'proxy.stream_timeout_ms': 800 } : {};
      await using gateway = await startGateway({ settings });
      await gateway.addEngine('openai', engine.url, { id: 'scripted' });
      const client = await gateway.start(CHAT, chat('scripted', { stream: true }));
      await client.until(() => client.received().length > 100_000);
      client.pause();
      await Bun.sleep(400);
      const left = performance.now();
      if (what === 'leaves') client.reset();
      if (what === 'sees FLM stop') await gateway.app.close();
      await until(() => freed > 0);
      expect(freed - left).toBeLessThan(what === 'meets the deadline' ? 1_000 : NOTICED_MS);
      if (what === 'meets the deadline') {
        // It still gets what was sent, and why there is no more.
        client.resume();
        const answer = await client.read();
        expect(judge(answer)).toBe('error streaming_timeout');
        for (const event of readStream(answer.body).data) expect(jsonIn(event)).not.toBeNull();
      }
      client.close();
      await gateway.settled();
      expect(gateway.account().requests.map((request) => request.outcome)).toEqual(['aborted']);
    },
  );
});

async function expectAborted(gateway: Gateway, requests: number, attempts: number): Promise<void> {
  await gateway.settled();
  const account = gateway.account();
  expect(account.requests.map(({ outcome }) => outcome)).toEqual(Array(requests).fill('aborted'));
  expect(account.attempts.map(({ outcome }) => outcome)).toEqual(Array(attempts).fill('aborted'));
}
