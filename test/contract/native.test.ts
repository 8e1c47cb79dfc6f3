/**
 * The routes beside OpenAI's chat: /v1/responses, /v1/messages with count_tokens, /v1/rerank. The client and the engine get
 * what the other one sent, models keep the name the client wrote, Anthropic's clients find their own manners, and what
 * goes wrong is an exception for OpenAI's own client.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import type { InferenceRoute } from '../../src/contract';
import type { FakeEngine, HeaderPair } from '../fake';
import { type Gateway, requestIdOf, startGateway, workOf } from './support/gateway';
import { type Answer, ask, headerOf } from './support/raw';
import {
  ALL,
  ALL_ROUND,
  bodyFor,
  CHAT,
  COUNT_TOKENS,
  MESSAGES,
  modesOf,
  RERANK,
  RESPONSES,
  SPOKEN,
} from './support/routes';
import { chunkOf, LAST_CHUNK, STREAM_HEAD, startScripted, whole } from './support/scripted';
import { asRecord, jsonIn, readStream } from './support/sse';
import { expectSame, twice } from './support/twice';
import { until } from './support/until';
import { judge } from './support/verdict';

const NATIVE: readonly InferenceRoute[] = [RESPONSES, MESSAGES, COUNT_TOKENS, RERANK];
const UNICODE = 'Grüße 日本語 🦙 \u2028 \u0000 \ud83d alone';

/** Further requests, as they are written: the engine must get these very bytes. */
const WRITTEN: readonly (readonly [name: string, InferenceRoute, body: string])[] = [
  [
    'instructions, a history and tools',
    RESPONSES,
    JSON.stringify({
      model: ALL,
      instructions: 'Be brief.',
      input: [
        { role: 'user', content: [{ type: 'input_text', text: UNICODE }] },
        { type: 'function_call_output', call_id: 'c1', output: 'sunny' },
      ],
      tools: [{ type: 'function', name: 'get_weather', parameters: { type: 'object' } }],
      reasoning: { effort: 'low' },
      x_made_up: [null, -0.5],
    }),
  ],
  [
    "stream_options, which are not FLM's to touch",
    RESPONSES,
    `{"model":"${ALL}","stream_options":{},"input":"x"}`,
  ],
  ['no input, for the engine to refuse', RESPONSES, JSON.stringify({ model: ALL })],
  [
    'a system prompt, tools and a result',
    MESSAGES,
    JSON.stringify({
      model: ALL,
      max_tokens: 20,
      system: [{ type: 'text', text: UNICODE, cache_control: { type: 'ephemeral' } }],
      messages: [
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 't1', name: 'get_weather', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: 'sunny' }] },
      ],
      tools: [{ name: 'get_weather', input_schema: { type: 'object' } }],
      metadata: { user_id: 'u', model: 'no' },
    }),
  ],
  [
    'white space and an escaped control key',
    MESSAGES,
    ` {\t"\\u006dodel" : "${ALL}",\r\n"max_tokens":2,"messages":[{"role":"user","content":"x"}]}\n`,
  ],
  ['no messages, for the engine to refuse', MESSAGES, JSON.stringify({ model: ALL, max_tokens: 1 })],
  ['a query and no documents', RERANK, JSON.stringify({ model: ALL, query: 'x', documents: [] })],
];

describe.each(['llamacpp', 'ollama', 'vllm', 'lmstudio'] as const)('%s', (kind) => {
  let gateway: Gateway;
  let fake: FakeEngine;
  beforeAll(async () => {
    gateway = await startGateway();
    fake = await gateway.addFake(kind, ALL_ROUND);
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  const routes = NATIVE.filter((route) => SPOKEN[kind].includes(route));
  const plain = routes.flatMap((route) =>
    modesOf(route).map((mode) => {
      const body = JSON.stringify(bodyFor(route, ALL, mode === 'stream' ? { stream: true } : {}));
      return [`${mode}, as usual`, route, body] as const;
    }),
  );
  const written = WRITTEN.filter(([, route]) => routes.includes(route)).flatMap(([name, route, body]) =>
    modesOf(route).map((mode) => {
      const end = body.lastIndexOf('}');
      const text = mode === 'stream' ? `${body.slice(0, end)},"stream":true${body.slice(end)}` : body;
      return [`${mode}, ${name}`, route, text] as const;
    }),
  );

  test.each([...plain, ...written])('%s, %s: the same directly and through FLM', async (_, target, body) => {
    const headers: HeaderPair[] = [['Anthropic-Version', '2023-06-01']];
    const pair = await twice(gateway, fake, { target, body, headers });
    expectSame(pair, sameIds(pair.direct.answer, pair.through.answer));
    if (target !== COUNT_TOKENS) expect(pair.through.received.toString()).toBe(body);
    await gateway.settled();
    const { attempts, requests } = gateway.account(requestIdOf(pair.through.answer));
    const [attempt] = attempts;
    const { status } = pair.through.answer;
    if (status !== 200) {
      expect([attempt?.usage, attempt?.firstTokenMs]).toEqual([null, null]);
      return;
    }
    // All of an answer in one piece comes at once.
    if (/"stream":true/.test(body)) expect(attempt?.firstTokenMs).toBeGreaterThan(0);
    else expect(attempt?.firstTokenMs).toBeNull();
    if (target === COUNT_TOKENS) expect(attempt?.usage).toBeNull();
    else expect(attempt?.usage?.promptTokens).toBeGreaterThan(0);
    if (target === RESPONSES || target === MESSAGES) {
      expect(attempt?.usage?.completionTokens).toBeGreaterThan(0);
    }
    expect(requests[0]?.usage).toEqual(attempt?.usage ?? null);
  });

  test.each(plain)(
    '%s, %s: the model comes back as the client wrote it, wherever it stands',
    async (_, route, body) => {
      const address = `flm://${kind}/${ALL}`;
      const direct = await ask(fake.url, { target: route, body });
      const through = await gateway.post(route, body.replace(`"${ALL}"`, `"${address}"`));
      const renamed = direct.body.toString().replaceAll(`"model":"${ALL}"`, `"model":"${address}"`);
      expect(through.body.toString()).toBe(sameIds(direct, through)(renamed));
      expect(through.body.toString()).not.toContain(`"${ALL}"`);
      if (route !== COUNT_TOKENS) expect(through.body.toString()).toContain(`"${address}"`);
      if (route !== COUNT_TOKENS) {
        expect(asRecord(JSON.parse(workOf(fake).at(-1)?.body.toString() ?? ''))?.model).toBe(ALL);
      }
    },
  );
});

/** Ids that an engine makes up anew each time, made the same. */
function sameIds(direct: Answer, through: Answer): (body: string) => string {
  const id = /"request_id":"(req_[^"]*)"/;
  const [, old] = id.exec(direct.body.toString()) ?? [];
  const [, now] = id.exec(through.body.toString()) ?? [];
  return (body) => (old === undefined || now === undefined ? body : body.replaceAll(old, now));
}

describe("Anthropic's clients", () => {
  let gateway: Gateway;
  let fake: FakeEngine;
  let key: HeaderPair;
  beforeAll(async () => {
    gateway = await startGateway({ settings: { 'proxy.max_body_bytes': 100_000 } });
    fake = await gateway.addFake('llamacpp', ALL_ROUND);
    key = ['X-Api-Key', gateway.key];
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  const post = (target: string, headers: readonly HeaderPair[], body?: string): Promise<Answer> =>
    ask(gateway.url, { target, headers, body: body ?? JSON.stringify(bodyFor(MESSAGES, ALL)) });

  test.each([MESSAGES, COUNT_TOKENS] as const)('%s takes the key in x-api-key', async (route) => {
    const answer = await post(route, [key, ['anthropic-version', '2023-06-01']]);
    expect([answer.status, judge(answer, route)]).toEqual([200, "engine's JSON"]);
  });

  test('no other route does, and where both are sent Authorization counts', async () => {
    const before = workOf(fake).length;
    const wrong: HeaderPair = ['Authorization', 'Bearer flm_wrong'];
    for (const route of [CHAT, RESPONSES, RERANK, '/v1/embeddings'] as const) {
      const answer = await post(route, [key], JSON.stringify(bodyFor(route, ALL)));
      expect([answer.status, judge(answer, route)]).toEqual([401, 'error invalid_api_key']);
    }
    expect((await ask(gateway.url, { target: '/v1/models', headers: [key] })).status).toBe(401);
    for (const headers of [
      [wrong, key],
      [key, wrong],
      [['X-Api-Key', 'flm_wrong']],
      [['X-Api-Key', '']],
      [],
    ]) {
      const answer = await post(MESSAGES, headers as HeaderPair[]);
      expect([answer.status, judge(answer, MESSAGES)]).toEqual([401, 'error authentication_error']);
      expect(answer.body.toString()).not.toContain(gateway.key);
    }
    expect(workOf(fake)).toHaveLength(before);
    const good = await post(MESSAGES, [['X-Api-Key', 'sk-ant-1'], gateway.auth]);
    expect(good.status).toBe(200);
  });

  test('their headers reach the engine, and a key never does', async () => {
    const told: HeaderPair[] = [
      ['anthropic-version', '2023-06-01'],
      ['anthropic-beta', 'tools-2024-05-16,other'],
    ];
    const kept: HeaderPair[] = [
      ['anthropic-dangerous-direct-browser-access', 'true'],
      ['x-stainless-lang', 'js'],
      ['openai-beta', 'x'],
    ];
    for (const credential of [key, gateway.auth]) {
      await post(MESSAGES, [credential, ...told, ...kept]);
      const received = workOf(fake).at(-1)?.headers ?? [];
      const names = received.map(([name]) => name.toLowerCase());
      for (const pair of told)
        expect(received.map(([name, value]) => [name.toLowerCase(), value])).toContainEqual([...pair]);
      for (const [name] of [...kept, ...[key, gateway.auth]]) expect(names).not.toContain(name.toLowerCase());
      expect(JSON.stringify(received)).not.toContain(gateway.key);
    }
    // And stay away where they mean nothing.
    await gateway.post(CHAT, bodyFor(CHAT, ALL), { headers: [gateway.auth, ...told] });
    expect(
      workOf(fake)
        .at(-1)
        ?.headers.some(([name]) => /^anthropic/i.test(name)),
    ).toBe(false);
  });

  const REFUSED: readonly (readonly [
    name: string,
    target: string,
    body: string,
    status: number,
    type: string,
  ])[] = [
    ['an unknown model', MESSAGES, '{"model":"nope"}', 404, 'not_found_error'],
    ['no JSON', MESSAGES, '{', 400, 'invalid_request_error'],
    ['the model twice', COUNT_TOKENS, '{"model":"a","model":"b"}', 400, 'invalid_request_error'],
    ['too large', MESSAGES, `{"model":"${'x'.repeat(100_000)}"}`, 413, 'request_too_large'],
    ['a route that is not there', '/v1/messages/batches', '{}', 404, 'not_found_error'],
  ];
  test.each(REFUSED)('%s is refused in their words', async (_, target, body, status, type) => {
    const answer = await post(target, [key], body);
    expect([answer.status, judge(answer, MESSAGES)]).toEqual([status, `error ${type}`]);
  });

  test('the wrong method', async () => {
    const answer = await ask(gateway.url, { target: MESSAGES, headers: [key] });
    expect([answer.status, judge(answer, MESSAGES)]).toEqual([405, 'error invalid_request_error']);
    expect(headerOf(answer, 'allow')).toBe('POST');
  });

  test('a key that may not', async () => {
    const { plain_key: other } = await gateway.app.keys.create({ label: 'other', models: ['none'] });
    const answer = await post(MESSAGES, [['X-Api-Key', other]]);
    expect([answer.status, judge(answer, MESSAGES)]).toEqual([403, 'error permission_error']);
  });

  test('a Host that is not allowed, before any route', async () => {
    const answer = await ask(gateway.url, { target: MESSAGES, host: 'evil.example', body: '{}' });
    expect([answer.status, judge(answer, MESSAGES)]).toEqual([403, 'error permission_error']);
  });
});

describe('in silence', () => {
  const settings = { 'proxy.header_grace_ms': 100, 'proxy.ping_interval_ms': 250 };

  test.each([
    [MESSAGES, 'event: ping\ndata: {"type": "ping"}\n\n'],
    [RESPONSES, ': ping\n\n'],
  ] as const)('%s pings in its own manner, and ends as ever', async (route, ping) => {
    await using gateway = await startGateway({ settings });
    await gateway.addFake('llamacpp', { ...ALL_ROUND, fault: { kind: 'slow', delayMs: 1_200 } });
    const answer = await gateway.post(route, bodyFor(route, ALL, { stream: true }));
    expect(answer.body.toString().split(ping).length).toBeGreaterThan(3);
    expect(answer.body.toString()).toStartWith(ping);
    expect(judge(answer, route)).toBe('end');
  });

  test.each([MESSAGES, RESPONSES] as const)('%s: what comes late is one error event', async (route) => {
    await using gateway = await startGateway({ settings });
    const fake = await gateway.addFake('llamacpp', { ...ALL_ROUND, fault: { kind: 'stall-before-headers' } });
    const client = await gateway.start(route, bodyFor(route, ALL, { stream: true }));
    await client.until(() => client.received().includes('ping'));
    await gateway.app.keys.revoke(gateway.keyId);
    const answer = await client.read();
    expect(judge(answer, route)).toBe(
      `error ${route === MESSAGES ? 'authentication_error' : 'invalid_api_key'}`,
    );
    expect(answer.body.toString()).toContain('event: error\ndata: {"type":"error",');
    client.close();
    await fake.idle();
  });
});

describe('an error that comes after the stream had to be opened says what it says', () => {
  const LATE: readonly (readonly [InferenceRoute, status: string, said: object, told: object])[] = [
    [
      CHAT,
      '400 Bad Request',
      { error: { message: 'bad tools', type: 'invalid_request_error', param: 'tools', code: 400 } },
      { message: 'bad tools', type: 'invalid_request_error', param: 'tools', code: 400 },
    ],
    [
      CHAT,
      '429 Too Many Requests',
      { error: { message: 'too many', type: 'rate_limit_error', param: null, code: 'slow_down' } },
      { message: 'too many', type: 'rate_limit_error', param: null, code: 'slow_down' },
    ],
    [
      CHAT,
      '400 Bad Request',
      { object: 'error', message: 'too long', type: 'BadRequestError', param: null, code: 400 },
      { message: 'too long', type: 'BadRequestError', param: null, code: 400 },
    ],
    [
      CHAT,
      '404 Not Found',
      { error: 'no such model' },
      { message: 'no such model', type: 'not_found_error' },
    ],
    [
      CHAT,
      '422 No',
      {},
      { message: 'The engine answered 422 and no stream.', type: 'invalid_request_error' },
    ],
    [CHAT, '500 No', { error: {} }, { type: 'server_error', param: null, code: null }],
    [
      RESPONSES,
      '400 Bad Request',
      { error: { message: 'bad tools', type: 'invalid_request_error', param: 'tools', code: 'invalid' } },
      { message: 'bad tools', type: 'invalid_request_error', param: 'tools', code: 'invalid' },
    ],
    [
      MESSAGES,
      '429 Too Many Requests',
      { type: 'error', error: { type: 'overloaded_error', message: 'too many' } },
      { type: 'overloaded_error', message: 'too many' },
    ],
    [MESSAGES, '429 Too Many Requests', { error: 'busy' }, { type: 'rate_limit_error', message: 'busy' }],
  ];
  test.each(LATE)('%s %s %j', async (route, status, said, told) => {
    await using engine = await startScripted(async (_, wire) => {
      await wire.wait(600);
      await wire.write(whole(status, JSON.stringify(said)));
      return 'keep-alive';
    });
    await using gateway = await startGateway({ settings: { 'proxy.header_grace_ms': 1 } });
    await gateway.addEngine('openai', engine.url);
    const answer = await gateway.post(route, bodyFor(route, 'scripted', { stream: true }));
    expect(answer.status).toBe(200);
    expect(judge(answer, route)).toStartWith('error ');
    const { data } = readStream(answer.body);
    expect(asRecord(jsonIn(data.at(-1) ?? '')?.error)).toMatchObject(told);
  });
});

describe("OpenAI's own client, responses", () => {
  const clientOf = (gateway: Gateway): OpenAI =>
    new OpenAI({ apiKey: gateway.key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  const request = { model: ALL, input: 'What is the capital of France?' };

  test.each(['llamacpp', 'ollama', 'vllm', 'lmstudio'] as const)(
    '%s: whole, streamed, collected',
    async (kind) => {
      await using gateway = await startGateway();
      await gateway.addFake(kind, ALL_ROUND);
      const client = clientOf(gateway);
      const whole = await client.responses.create(request);
      expect(whole.output_text).not.toBe('');
      let text = '';
      let last = '';
      for await (const event of await client.responses.create({ ...request, stream: true })) {
        if (event.type === 'response.output_text.delta') text += event.delta;
        last = event.type;
      }
      expect([text, last]).toEqual([whole.output_text, 'response.completed']);
    },
  );

  const BROKEN = [
    ['die-mid-stream', { kind: 'die-mid-stream', afterChunks: 6 }],
    ['no end', { kind: 'no-done' }],
    ["the engine's own error", { kind: 'error-frame', afterChunks: 6 }],
  ] as const;
  test.each(BROKEN)('a stream that breaks (%s) is an exception', async (_, fault) => {
    await using gateway = await startGateway();
    await gateway.addFake('ollama', { ...ALL_ROUND, fault });
    const stream = await clientOf(gateway).responses.create({ ...request, stream: true });
    const seen: string[] = [];
    const error = await read(stream, seen);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(seen).not.toContain('response.completed');
    expect(seen).toContain('response.output_text.delta');
  });

  test('and so is a stream that is collected', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('ollama', { ...ALL_ROUND, fault: { kind: 'die-mid-stream', afterChunks: 6 } });
    const collected = clientOf(gateway).responses.stream(request).finalResponse();
    const error: unknown = await collected.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(String(error)).toMatch(/cannot be reached/);
  });

  test('an error before the first word has its status, code and request id', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('ollama', { ...ALL_ROUND, fault: { kind: 'die-before-headers' } });
    for (const stream of [true, false]) {
      const error: unknown = await clientOf(gateway)
        .responses.create({ ...request, stream })
        .then(
          () => null,
          (reason: unknown) => reason,
        );
      expect(error).toMatchObject({ status: 502, code: 'network_error' });
    }
  });

  test('an error event continues the numbers of the events before it', async () => {
    const words = [0, 1, 2].map(
      (number) =>
        `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"x","sequence_number":${number}}\n\n`,
    );
    await using engine = await startScripted(async (_, wire) => {
      await wire.write(STREAM_HEAD);
      for (const word of words) await wire.write(chunkOf(word));
      await wire.write(LAST_CHUNK);
      return 'keep-alive';
    });
    await using gateway = await startGateway();
    await gateway.addEngine('openai', engine.url, { id: 'scripted' });
    const answer = await gateway.post(RESPONSES, bodyFor(RESPONSES, 'scripted', { stream: true }));
    const last = jsonIn(readStream(answer.body).data.at(-1) ?? '');
    expect(last).toMatchObject({ type: 'error', sequence_number: 3, code: 'invalid_response' });
  });

  async function read(stream: AsyncIterable<{ type: string }>, seen: string[]): Promise<unknown> {
    try {
      for await (const event of stream) seen.push(event.type);
      return null;
    } catch (error) {
      return error;
    }
  }
});

test('time to the first token: an opening and a ping are none', async () => {
  await using gateway = await startGateway();
  await using engine = await startScripted(async (_, wire) => {
    await wire.write(STREAM_HEAD);
    await wire.write(chunkOf('event: message_start\ndata: {"type":"message_start","message":{}}\n\n'));
    await wire.write(chunkOf('event: ping\ndata: {"type": "ping"}\n\n'));
    await wire.wait(200);
    await wire.write(chunkOf('data: {"type":"content_block_delta","delta":{"text":"x"}}\n\n'));
    await wire.wait(200);
    await wire.write(chunkOf('data: {"type":"message_stop"}\n\n'));
    await wire.write(LAST_CHUNK);
    return 'keep-alive';
  });
  await gateway.addEngine('openai', engine.url, { id: 'scripted' });
  expect(judge(await gateway.post(MESSAGES, bodyFor(MESSAGES, 'scripted', { stream: true })), MESSAGES)).toBe(
    'end',
  );
  await gateway.settled();
  const [attempt] = gateway.account().attempts;
  expect(attempt?.firstTokenMs).toBeGreaterThan(190);
  expect(attempt?.firstTokenMs).toBeLessThan((attempt?.durationMs ?? 0) - 150);
});

describe('a base URL that is not quite right', () => {
  test.each([
    '/',
    '/v1',
    '/chat/completions',
    '/responses',
    '/messages',
    '/models',
    '/models/x',
    '/rerank',
    '/embeddings',
  ])('%s: 404, and where it ends', async (target) => {
    await using gateway = await startGateway();
    for (const method of ['GET', 'POST']) {
      const answer = await ask(gateway.url, { method, target });
      expect([answer.status, judge(answer)]).toEqual([404, 'error not_found']);
      expect(answer.body.toString()).toContain('The base URL ends in /v1: http://127.0.0.1/v1');
    }
  });

  test('and nothing of the kind for any other path', async () => {
    await using gateway = await startGateway();
    for (const target of ['/api/tags', '/v2/models', '/health/x', '/favicon.ico']) {
      const answer = await ask(gateway.url, { target });
      expect(answer.status).toBe(404);
      expect(answer.body.toString()).not.toContain('base URL');
    }
    const doubled = await gateway.post('/v1/v1/messages', '{}');
    expect(doubled.body.toString()).toContain('ends before /v1: http://127.0.0.1');
    await until(() => gateway.app.open().exchanges === 0);
  });
});
