/**
 * The life of streams, and of what waits for an engine: grace, pings, deadlines, engines that vanish or hang, keys that
 * end, FLM that stops, connections that engines close, and the queue.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { FakeEngine } from '../fake';
import { startFront } from './support/front';
import {
  type Account,
  chat,
  type Gateway,
  type GatewayOptions,
  MODEL,
  requestIdOf,
  startGateway,
  workOf,
} from './support/gateway';
import { startPair } from './support/pair';
import { type Answer, ask, connectRaw, headerOf, type RawClient } from './support/raw';
import { ALL } from './support/routes';
import {
  chunkOf,
  DONE,
  eventOf,
  LAST_CHUNK,
  type Script,
  type ScriptedEngine,
  STREAM_HEAD,
  startScripted,
  whole,
} from './support/scripted';
import { asRecord, jsonIn, readStream } from './support/sse';
import { until } from './support/until';
import { judge } from './support/verdict';

const CHAT = '/v1/chat/completions';
/** Deadlines, silences and pings are looked at this often. */
const SWEEP_MS = 250;
const STREAM = { stream: true };

/** A gateway in front of one scripted engine. */
async function gatewayTo(engine: ScriptedEngine, options: GatewayOptions): Promise<Gateway> {
  const gateway = await startGateway(options);
  await gateway.addEngine('openai', engine.url, { id: 'scripted' });
  return gateway;
}

function outcomes({ attempts, requests }: Account): string[] {
  return [...attempts, ...requests].map(({ outcome }) => outcome);
}

/** Why an answer of FLM's own failed. */
function messageOf(answer: Answer): string {
  const last = readStream(answer.body).data.at(-1) ?? answer.body.toString();
  return String(asRecord(jsonIn(last)?.error)?.message);
}

describe.concurrent('grace: headers are held back for a while', () => {
  // One gateway for all of them: to start one each, at once, would hold the times up that this is about.
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway({
      settings: { 'proxy.header_grace_ms': 300, 'proxy.ping_interval_ms': 60_000 },
    });
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  let engines = 0;
  /** Asks a scripted engine of its own for a stream. */
  async function askScripted(script: Script): Promise<Answer> {
    await using engine = await startScripted(script);
    const id = `scripted-${++engines}`;
    await gateway.addEngine('openai', engine.url, { id });
    return await gateway.post(CHAT, chat(`flm://${id}/scripted`, STREAM));
  }

  test('a silent engine: the stream opens with a ping, and its events follow', async () => {
    const fake = await gateway.addFake('llamacpp', { fault: { kind: 'slow', delayMs: 1_500 } });
    const started = performance.now();
    const client = await gateway.start(CHAT, chat(`flm://llamacpp/${MODEL.llamacpp}`, STREAM));
    await client.until(() => client.received().includes(': ping\n\n'));
    const openedMs = performance.now() - started;
    expect(openedMs).toBeGreaterThan(290);
    expect(openedMs).toBeLessThan(300 + 2 * SWEEP_MS);
    expect(client.answer().status).toBe(200);
    expect(headerOf(client.answer(), 'content-type')).toBe('text/event-stream');
    const answer = await client.read();
    expect(judge(answer)).toBe('[DONE]');
    expect(fake.served()).toBe(1);
    client.close();
  });

  const soon: readonly (readonly [name: string, afterMs: number])[] = [
    ['at once', 0],
    ['within the grace', 100],
  ];
  test.each(soon)('an engine that refuses %s: the status is its own', async (_, delayMs) => {
    await using engine = await startScripted(async (_request, wire) => {
      await wire.wait(delayMs);
      await wire.write(
        whole('500 Internal Server Error', '{"error":{"message":"out of memory","code":500}}'),
      );
      return 'keep-alive';
    });
    await using gateway = await gatewayTo(engine, { settings: { 'proxy.header_grace_ms': 5_000 } });
    const answer = await gateway.post(CHAT, chat('scripted', STREAM));
    expect([answer.status, judge(answer)]).toEqual([500, "engine's error"]);
  });

  const LATE: readonly (readonly [name: string, code: string, said: RegExp, Script])[] = [
    [
      'a late 500',
      '500',
      /out of memory/,
      async (_, wire) => {
        await wire.wait(900);
        await wire.write(
          whole('500 Internal Server Error', '{"error":{"message":"out of memory","code":500}}'),
        );
        return 'keep-alive';
      },
    ],
    [
      'a late refusal',
      'null',
      /too many/,
      async (_, wire) => {
        await wire.wait(900);
        await wire.write(
          whole('429 Too Many Requests', '{"error":{"message":"too many"}}', ['Retry-After: 7']),
        );
        return 'keep-alive';
      },
    ],
    [
      'a late answer in one piece',
      'invalid_response',
      /it answered 200 and no stream/,
      async (_, wire) => {
        await wire.wait(900);
        await wire.write(whole('200 OK', '{"object":"chat.completion","choices":[]}'));
        return 'keep-alive';
      },
    ],
    [
      'a late error without words',
      'null',
      /answered 503 and no stream/,
      async (_, wire) => {
        await wire.wait(900);
        await wire.write(whole('503 Service Unavailable', '<html>'));
        return 'keep-alive';
      },
    ],
    [
      'a late death',
      'network_error',
      /connection was closed/,
      async (_, wire) => {
        await wire.wait(900);
        return 'reset';
      },
    ],
    [
      'a stream that is empty',
      'invalid_response',
      /before the answer was complete/,
      async (_, wire) => {
        await wire.write(STREAM_HEAD);
        await wire.wait(900);
        await wire.write(LAST_CHUNK);
        return 'keep-alive';
      },
    ],
    [
      'a late demand for a key',
      'engine_needs_key',
      /wants a key/,
      async (_, wire) => {
        await wire.wait(900);
        await wire.write(whole('401 Unauthorized', '{"error":{"message":"who are you"}}'));
        return 'keep-alive';
      },
    ],
  ];
  test.each(LATE)('%s is one error event', async (_, code, said, script) => {
    const answer = await askScripted(script);
    expect([answer.status, judge(answer)]).toEqual([200, `error ${code}`]);
    expect(readStream(answer.body).data).toHaveLength(1);
    expect(messageOf(answer)).toMatch(said);
  });
});

describe.concurrent('pings', () => {
  test('fill the silence between events, and never tear one apart', async () => {
    await using engine = await startScripted(async (_, wire) => {
      await wire.write(STREAM_HEAD);
      for (const [at, text] of [eventOf('one'), eventOf('two'), eventOf(null), DONE].entries()) {
        const half = Math.floor(text.length / 2);
        await wire.write(chunkOf(text.slice(0, half)));
        // The silence falls into the middle of the second event.
        if (at === 1) await wire.wait(1_200);
        await wire.write(chunkOf(text.slice(half)));
      }
      await wire.write(LAST_CHUNK);
      return 'keep-alive';
    });
    await using gateway = await gatewayTo(engine, { settings: { 'proxy.ping_interval_ms': 300 } });
    const answer = await gateway.post(CHAT, chat('scripted', STREAM));
    const { comments, data, rest } = readStream(answer.body);
    expect(comments.length).toBeGreaterThanOrEqual(2);
    expect(comments.length).toBeLessThanOrEqual(4);
    expect(new Set(comments)).toEqual(new Set([': ping']));
    expect(data.join('\n')).toBe(
      [eventOf('one'), eventOf('two'), eventOf(null), DONE].map((event) => event.slice(6).trim()).join('\n'),
    );
    expect(rest).toBe('');
  });

  test('stay away while events flow', async () => {
    await using gateway = await startGateway({ settings: { 'proxy.ping_interval_ms': 1_200 } });
    await gateway.addFake('openai', { tokenDelayMs: 50, tokens: 40 });
    const answer = await gateway.post(CHAT, chat(MODEL.openai, STREAM));
    expect(readStream(answer.body).comments).toEqual([]);
    expect(judge(answer)).toBe('[DONE]');
  });
});

describe.concurrent('deadlines', () => {
  const settings = { 'proxy.stream_timeout_ms': 600, 'proxy.request_timeout_ms': 600 };

  test('cut a stream that flows for too long, with an error event', async () => {
    await using gateway = await startGateway({ settings });
    const fake = await gateway.addFake('llamacpp', { tokenDelayMs: 20 });
    const answer = await gateway.post(
      CHAT,
      chat(MODEL.llamacpp, { ...STREAM, max_tokens: 1_000, ignore_eos: true }),
    );
    expect([answer.status, judge(answer)]).toEqual([200, 'error streaming_timeout']);
    expect(readStream(answer.body).data.length).toBeGreaterThan(10);
    await fake.idle();
    expect(fake.aborted()).toBe(1);
    await gateway.settled();
    expect(outcomes(gateway.account(requestIdOf(answer)))).toEqual(['aborted', 'aborted']);
  });

  test('count the time in the queue: 408, and the engine never hears of it', async () => {
    await using gateway = await startGateway({
      settings: { ...settings, 'proxy.stream_timeout_ms': 60_000 },
    });
    const fake = await gateway.addFake('llamacpp', { fault: { kind: 'stall-before-headers' } }, { slots: 1 });
    const holder = await gateway.start(CHAT, chat(MODEL.llamacpp, STREAM));
    await until(() => fake.busy() === 1);
    const answer = await gateway.post(CHAT, chat(MODEL.llamacpp));
    expect([answer.status, judge(answer)]).toEqual([408, 'error request_timeout']);
    expect(workOf(fake)).toHaveLength(1);
    holder.close();
  });

  test('cut a request whose own body never comes', async () => {
    await using gateway = await startGateway({ settings });
    await gateway.addFake('llamacpp');
    const client = await connectRaw(gateway.url);
    client.send(
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\n${gateway.auth.join(': ')}\r\nContent-Length: 1000\r\n\r\n{"model"`,
    );
    const answer = await client.read();
    expect([answer.status, judge(answer)]).toEqual([408, 'error request_timeout']);
    client.close();
  });
});

describe.concurrent('an engine behind a silent stream', () => {
  const settings = { 'proxy.stall_probe_ms': 300, 'proxy.header_grace_ms': 100 };

  test.each(['llamacpp', 'openai'] as const)(
    '%s is gone: the stream ends with an error event',
    async (kind) => {
      await using gateway = await startGateway({ settings });
      const fake = await gateway.addFake(kind, { fault: { kind: 'stall-before-first-token' } });
      await using front = await startFront(fake.url);
      await gateway.app.engines.remove(kind);
      await gateway.addEngine(kind, front.url);
      const client = await gateway.start(CHAT, chat(MODEL[kind], STREAM));
      await until(() => fake.busy() === 1);
      front.shut();
      const shut = performance.now();
      const answer = await client.read();
      expect(judge(answer)).toBe('error network_error');
      expect(messageOf(answer)).toMatch(/went away while it worked/);
      expect(performance.now() - shut).toBeLessThan(300 + 3 * SWEEP_MS);
      await fake.idle();
      client.close();
      await gateway.settled();
      expect(outcomes(gateway.account())).toEqual(['failed', 'failed']);
    },
  );

  test('lives: the stream goes on, however long it is silent', async () => {
    await using gateway = await startGateway({ settings });
    await gateway.addFake('llamacpp', { fault: { kind: 'slow', delayMs: 2_000 } });
    const answer = await gateway.post(CHAT, chat(MODEL.llamacpp, STREAM));
    expect(judge(answer)).toBe('[DONE]');
  });
});

test('an engine that has hung and answers nobody: the stream ends after three tries', async () => {
  await using gateway = await startGateway({
    settings: { 'proxy.stall_probe_ms': 300, 'engine.timeout_ms': 400 },
  });
  const fake = await gateway.addFake('openai', { fault: { kind: 'stall-before-first-token' } });
  await using front = await startFront(fake.url);
  await gateway.app.engines.remove('openai');
  await gateway.addEngine('openai', front.url);
  const client = await gateway.start(CHAT, chat(MODEL.openai, STREAM));
  await until(() => fake.busy() === 1);
  // A probe would take the connection that FLM keeps: it has to be gone.
  front.hang();
  await until(() => fake.connections() === 1);
  const answer = await client.read();
  expect(judge(answer)).toBe('error network_error');
  expect(messageOf(answer)).toMatch(/has hung/);
  client.close();
});

describe.concurrent('keys that end', () => {
  const LONG = { ...STREAM, max_tokens: 10_000, ignore_eos: true };

  test('a revoked key: refused at once, and what it has under way ends within two seconds', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('openai', { tokenDelayMs: 20 });
    const busyOne = await gateway.addFake(
      'llamacpp',
      { fault: { kind: 'stall-before-headers' } },
      { slots: 1 },
    );
    const other = await gateway.app.keys.create({ label: 'other' });
    const stranger = ask(gateway.url, {
      target: CHAT,
      headers: [['Authorization', `Bearer ${other.plain_key}`]],
      body: JSON.stringify(chat(MODEL.openai, { ...STREAM, max_tokens: 60, ignore_eos: true })),
    });
    const streaming = await gateway.start(CHAT, chat(MODEL.openai, LONG));
    await streaming.until(() => readStream(streaming.answer().body).data.length > 2);
    const working = await gateway.start(CHAT, chat(MODEL.llamacpp));
    await until(() => busyOne.busy() === 1);
    const queued = await gateway.start(CHAT, chat(MODEL.llamacpp, STREAM));
    await until(() => gateway.app.open().tickets === 4);

    const revoked = performance.now();
    await gateway.app.keys.revoke(gateway.keyId);
    const refused = await gateway.post(CHAT, chat(MODEL.openai));
    expect([refused.status, judge(refused)]).toEqual([401, 'error invalid_api_key']);
    const cut = await streaming.read();
    expect([cut.status, judge(cut)]).toEqual([200, 'error invalid_api_key']);
    for (const client of [working, queued]) {
      const answer = await client.read();
      expect([answer.status, judge(answer)]).toEqual([401, 'error invalid_api_key']);
      client.close();
    }
    expect(performance.now() - revoked).toBeLessThan(2_000);
    // Somebody else's stream has nothing to do with it.
    expect(judge(await stranger)).toBe('[DONE]');
    streaming.close();
    await Promise.all([fake.idle(), busyOne.idle()]);
    await gateway.settled();
    const ended = gateway.account().requests.map(({ outcome }) => outcome);
    expect(ended.sort()).toEqual(['aborted', 'aborted', 'aborted', 'done']);
  });

  test('a rotated key with grace: both work, then the old one ends with its streams', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('openai', { tokenDelayMs: 20 });
    const rotated = performance.now();
    const fresh = await gateway.app.keys.rotate(gateway.keyId, { grace_s: 1 });
    const freshAuth = ['Authorization', `Bearer ${fresh.plain_key}`] as const;
    const streaming = await gateway.start(CHAT, chat(MODEL.openai, LONG));
    const models = (headers: Gateway['auth']) =>
      ask(gateway.url, { target: '/v1/models', headers: [headers] });
    expect((await models(gateway.auth)).status).toBe(200);
    expect((await models(freshAuth)).status).toBe(200);
    const cut = await streaming.read();
    expect(judge(cut)).toBe('error invalid_api_key');
    expect(performance.now() - rotated).toBeGreaterThan(900);
    expect(performance.now() - rotated).toBeLessThan(3_000);
    expect((await models(gateway.auth)).status).toBe(401);
    expect((await models(freshAuth)).status).toBe(200);
    streaming.close();
  });
});

describe('FLM stops', () => {
  test('everybody is told: streams by an error event, the rest by 503', async () => {
    await using gateway = await startGateway({ settings: { 'proxy.header_grace_ms': 60_000 } });
    const fake = await gateway.addFake('openai', { tokenDelayMs: 20 });
    const stuck = await gateway.addFake(
      'llamacpp',
      { fault: { kind: 'stall-before-headers' } },
      { slots: 2 },
    );
    const clients = {
      streams: await startMany(
        gateway,
        20,
        chat(MODEL.openai, { ...STREAM, max_tokens: 10_000, ignore_eos: true }),
      ),
      silent: await startMany(gateway, 1, chat(MODEL.llamacpp, STREAM)),
      whole: await startMany(gateway, 1, chat(MODEL.llamacpp)),
      queued: await startMany(gateway, 20, chat(MODEL.llamacpp)),
    };
    for (const client of clients.streams)
      await client.until(() => readStream(client.answer().body).data.length > 2);
    await until(() => gateway.app.open().tickets === 42 && stuck.busy() === 2);

    const stopping = performance.now();
    const stopped = gateway.app.close();
    const answers = async (list: readonly RawClient[]) => {
      const all = await Promise.all(list.map((client) => client.read()));
      return [...new Set(all.map((answer) => `${answer.status} ${judge(answer)}`))];
    };
    expect(await answers(clients.streams)).toEqual(['200 error shutting_down']);
    expect(await answers(clients.silent)).toEqual(['503 error shutting_down']);
    expect(await answers(clients.whole)).toEqual(['503 error shutting_down']);
    expect(await answers(clients.queued)).toEqual(['503 error shutting_down']);
    await stopped;
    expect(performance.now() - stopping).toBeLessThan(2_500);
    await Promise.all([fake.idle(), stuck.idle()]);
    expect(connectRaw(gateway.url)).rejects.toThrow();
    const ended = gateway.account().requests.map(({ outcome }) => outcome);
    expect(ended).toEqual(Array(42).fill('aborted'));
  });
});

describe('connections to engines', () => {
  test('500 requests, streamed and not, through an engine that closes after each stream: no failure', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('llamacpp', { slots: 8 });
    const worker = async (from: number): Promise<void> => {
      for (let at = from; at < 500; at += 5) {
        const stream = at % 2 === 0;
        const answer = await gateway.post(CHAT, chat(MODEL.llamacpp, { stream }));
        expect([at, answer.status, judge(answer)]).toEqual([at, 200, stream ? '[DONE]' : "engine's JSON"]);
      }
    };
    // One after the other, then five at once.
    await worker(0);
    await Promise.all([1, 2, 3, 4].map(worker));
    expect([fake.served(), fake.broken()]).toEqual([500, 0]);
    // Answers in one piece leave their connection to the next request.
    expect(workOf(fake).some(({ turn }) => turn > 1)).toBe(true);
  });

  test('are used again after streams where the engine keeps them open', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('openai');
    for (let at = 0; at < 50; at += 1) {
      const answer = await gateway.post(CHAT, chat(MODEL.openai, { stream: at % 2 === 0 }));
      expect(answer.status).toBe(200);
    }
    expect(new Set(workOf(fake).map(({ connection }) => connection)).size).toBe(1);
  });

  test('are read again after a stream that ended while its client was not yet ready', async () => {
    await using engine = await startScripted(async (request, wire) => {
      if (!request.body.includes('"stream":true')) {
        await wire.write(whole('200 OK', '{"choices":[]}'));
        return 'keep-alive';
      }
      await wire.write(STREAM_HEAD);
      await wire.wait(30);
      // The first event opens the answer, and everything after it is there in the same packet.
      const rest = [chunkOf(eventOf('one')), chunkOf(eventOf(null) + DONE), LAST_CHUNK];
      await wire.write(Buffer.concat(rest));
      return 'keep-alive';
    });
    await using gateway = await startGateway();
    await gateway.addEngine('openai', engine.url, { id: 'scripted' });
    for (let at = 0; at < 3; at += 1) {
      expect(judge(await gateway.post(CHAT, chat('scripted', STREAM)))).toBe('[DONE]');
      expect((await gateway.post(CHAT, chat('scripted'))).status).toBe(200);
    }
    expect(new Set(engine.requests.map(({ connection }) => connection)).size).toBe(1);
  });

  test('do not outlive an error inside the first piece of a stream', async () => {
    let isOpen = true;
    await using engine = await startScripted(async (_, wire) => {
      await wire.write(Buffer.concat([STREAM_HEAD, chunkOf('data: {"error":{"message":"no"}}\n\n')]));
      // Without a time, only the other end's leaving ends it.
      await wire.wait().finally(() => {
        isOpen = false;
      });
      return 'close';
    });
    await using gateway = await startGateway();
    await gateway.addEngine('openai', engine.url, { id: 'scripted' });
    expect(judge(await gateway.post(CHAT, chat('scripted', STREAM)))).toBe("engine's error");
    await until(() => !isOpen);
  });

  test('another engine with the model takes over while nothing has been sent, and only then', async () => {
    await using pair = await startPair('openai');
    const { gateway } = pair;
    for (const fault of [{ kind: 'die-before-headers' }, { kind: 'garbage' }] as const) {
      for (const stream of [true, false]) {
        pair.faultNext(fault);
        const answer = await gateway.post(CHAT, chat(ALL, { stream }));
        expect([answer.status, judge(answer)]).toEqual([200, stream ? '[DONE]' : "engine's JSON"]);
        expect(pair.met().second.busy()).toBe(0);
        await gateway.settled();
        expect(outcomes(gateway.account(requestIdOf(answer)))).toEqual(['failed', 'done', 'done']);
        await pair.heal();
      }
    }
    pair.faultNext({ kind: 'die-mid-stream' });
    const broken = await gateway.post(CHAT, chat(ALL, STREAM));
    expect(judge(broken)).toBe('error network_error');
    await gateway.settled();
    expect(outcomes(gateway.account(requestIdOf(broken)))).toEqual(['failed', 'failed']);
  });
});

describe.concurrent('a finishing chunk that waits for the usage behind it', () => {
  test('is not kept for long', async () => {
    await using engine = await startScripted(async (_, wire) => {
      await wire.write(Buffer.concat([STREAM_HEAD, chunkOf(eventOf('one') + eventOf(null))]));
      await wire.wait(1_500);
      await wire.write(Buffer.concat([chunkOf(DONE), LAST_CHUNK]));
      return 'keep-alive';
    });
    await using gateway = await gatewayTo(engine, {});
    const client = await gateway.start(CHAT, chat('scripted', STREAM));
    const started = performance.now();
    await client.until(() => client.received().includes('"finish_reason":"stop"'));
    expect(performance.now() - started).toBeLessThan(3 * SWEEP_MS);
    expect(readStream((await client.read()).body).data.at(-1)).toBe('[DONE]');
    client.close();
  });

  test('comes before the error when the engine dies', async () => {
    await using engine = await startScripted(async (_, wire) => {
      await wire.write(Buffer.concat([STREAM_HEAD, chunkOf(eventOf('one') + eventOf(null))]));
      await wire.wait(30);
      return 'reset';
    });
    await using gateway = await gatewayTo(engine, {});
    const answer = await gateway.post(CHAT, chat('scripted', STREAM));
    expect(judge(answer)).toBe('error network_error');
    expect(readStream(answer.body).data).toHaveLength(3);
  });
});

test('streams under way count as requests served at once', async () => {
  await using gateway = await startGateway({ settings: { 'proxy.max_connections': 2 } });
  const fake = await gateway.addFake('openai', { tokenDelayMs: 20 });
  const endless = chat(MODEL.openai, { ...STREAM, max_tokens: 10_000, ignore_eos: true });
  const clients = await startMany(gateway, 2, endless);
  for (const client of clients) await client.until(() => readStream(client.answer().body).data.length > 2);
  for (const body of [endless, chat(MODEL.openai)]) {
    const refused = await gateway.post(CHAT, body);
    expect([refused.status, judge(refused)]).toEqual([503, 'error resource_throttle']);
    expect(headerOf(refused, 'retry-after')).toBe('1');
  }
  for (const client of clients) client.close();
  await fake.idle();
  await gateway.settled();
  expect((await gateway.post(CHAT, chat(MODEL.openai))).status).toBe(200);
});

describe('the queue in front of an engine with one slot', () => {
  test('first come, first served; when it is full, 429 with Retry-After', async () => {
    await using gateway = await startGateway({ settings: { 'engine.queue_limit': 3 } });
    const fake = await gateway.addFake('openai', { fault: { kind: 'stall-before-headers' } }, { slots: 1 });
    const holder = await gateway.start(CHAT, chat(MODEL.openai));
    await until(() => fake.busy() === 1);
    const waiting: Promise<Answer>[] = [];
    for (const [at, stream] of [true, false, true].entries()) {
      waiting.push(gateway.post(CHAT, chat(MODEL.openai, { stream, user: `waiter ${at}` })));
      await until(() => gateway.app.open().tickets === at + 2);
    }
    for (const stream of [true, false]) {
      const refused = await gateway.post(CHAT, chat(MODEL.openai, { stream }));
      expect([refused.status, judge(refused)]).toEqual([429, 'error queue_full']);
      expect(Number(headerOf(refused, 'retry-after'))).toBeGreaterThanOrEqual(1);
      expect(messageOf(refused)).toMatch(/as may wait for it do: 3/);
      await until(() => gateway.account(requestIdOf(refused)).requests.length === 1);
      expect(outcomes(gateway.account(requestIdOf(refused)))).toEqual(['refused']);
    }
    expect(workOf(fake)).toHaveLength(1);
    fake.setFault(null);
    holder.close();
    for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(200);
    expect(ordersOf(fake)).toEqual(['waiter 0', 'waiter 1', 'waiter 2']);
  });

  test('a limit of 0 lets nobody wait', async () => {
    await using gateway = await startGateway({ settings: { 'engine.queue_limit': 0 } });
    const fake = await gateway.addFake('llamacpp', { fault: { kind: 'stall-before-headers' } }, { slots: 1 });
    const holder = await gateway.start(CHAT, chat(MODEL.llamacpp));
    await until(() => fake.busy() === 1);
    expect((await gateway.post(CHAT, chat(MODEL.llamacpp))).status).toBe(429);
    holder.close();
  });

  test('never more at the engine than it has slots, and nobody is forgotten', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('openai', { slots: 3, tokenDelayMs: 1, tokens: 2 }, { slots: 3 });
    let most = 0;
    let queuedAtEngine = 0;
    const watch = setInterval(() => {
      most = Math.max(most, fake.busy());
      queuedAtEngine = Math.max(queuedAtEngine, fake.waiting());
    }, 1);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, at) =>
        gateway.post(CHAT, chat(MODEL.openai, { stream: at % 2 === 0 })),
      ),
    );
    clearInterval(watch);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect([fake.served(), queuedAtEngine]).toEqual([100, 0]);
    expect(most).toBeLessThanOrEqual(3);
  });
});

async function startMany(
  gateway: Gateway,
  count: number,
  body: ReturnType<typeof chat>,
): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let at = 0; at < count; at += 1) clients.push(await gateway.start(CHAT, body));
  return clients;
}

function ordersOf(fake: FakeEngine): unknown[] {
  const users = workOf(fake).map((request) => jsonIn(request.body.toString())?.user);
  return users.filter((user) => user !== undefined);
}
