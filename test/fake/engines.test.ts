/** What is particular to one kind of fake: native routes and their usage, models in memory, connections, queues, keys. */
import { afterAll, describe, expect, test } from 'bun:test';
import { maskAnswer, readEvents, readLines, readRecording } from './golden';
import { type FakeEngine, type FakeKind, type FakeOptions, type Fault, startFake } from './index';
import { asLocal, buildRequest, connectRaw, exchange, type RawAnswer } from './raw-client';

const open: FakeEngine[] = [];
afterAll(() => Promise.all(open.map((engine) => engine.close())));

async function start(kind: FakeKind, options: FakeOptions = {}): Promise<FakeEngine> {
  const engine = await startFake(kind, { models: ['m'], ...options });
  open.push(engine);
  return engine;
}

async function post(engine: FakeEngine, path: string, fields: object): Promise<RawAnswer> {
  const request = asLocal(buildRequest('POST', path, { model: 'm', ...fields }));
  return exchange(engine.url, request, { watchMs: 0 });
}

async function read(engine: FakeEngine, path: string): Promise<RawAnswer> {
  return exchange(engine.url, asLocal(buildRequest('GET', path)), { watchMs: 0 });
}

// biome-ignore lint/suspicious/noExplicitAny: answers of five engines in ten shapes, of which a test reads a few fields.
const parse = (text: { toString(): string }): any => JSON.parse(text.toString());
// biome-ignore lint/suspicious/noExplicitAny: the same.
const events = (answer: RawAnswer): any[] =>
  readEvents(answer.body).map((event) => parse(event.replace(/^event: .*\ndata: /, '')));

const MESSAGES = [{ role: 'user', content: 'What is the capital of France?' }];
const TOOL = { name: 'get_weather', description: 'weather' };
const CITY = { type: 'object', properties: { city: { type: 'string' } } };

/** What a route answers: 200, or how it says that it is none. */
const NATIVE: Record<
  FakeKind,
  Record<'responses' | 'messages' | 'messages/count_tokens' | 'rerank', string>
> = {
  llamacpp: { responses: '200', messages: '200', 'messages/count_tokens': '200', rerank: '501 {"error":' },
  ollama: {
    responses: '200',
    messages: '200',
    'messages/count_tokens': '404 404 page',
    rerank: '404 404 page',
  },
  vllm: { responses: '200', messages: '200', 'messages/count_tokens': '200', rerank: '404 {"detail":' },
  lmstudio: {
    responses: '200',
    messages: '200',
    'messages/count_tokens': '200 {"error":"Unexpected',
    rerank: '200 {"error":"Unexpected',
  },
  openai: {
    responses: '404 {"detail":',
    messages: '404 {"detail":',
    'messages/count_tokens': '404 {"detail":',
    rerank: '404 {"detail":',
  },
};

describe.each(Object.keys(NATIVE) as FakeKind[])('%s and the native routes', (kind) => {
  const ask = {
    input: 'Hi',
    messages: MESSAGES,
    max_tokens: 20,
    max_output_tokens: 20,
    query: 'a',
    documents: ['a'],
  };

  test.each(Object.entries(NATIVE[kind]))('/v1/%s: %s', async (route, answers) => {
    const engine = await start(kind);
    const answer = await post(engine, `/v1/${route}`, ask);
    expect(`${answer.status} ${answer.body}`).toStartWith(answers);
    const works = answers === '200' && !route.endsWith('count_tokens');
    expect(engine.served()).toBe(works || answers.startsWith('501') ? 1 : 0);
  });

  const speaks = NATIVE[kind].responses === '200';
  test.skipIf(!speaks)('tell usage in their own words, at their own places', async () => {
    const engine = await start(kind, { tokens: 3 });
    const whole = parse((await post(engine, '/v1/responses', { input: 'Hi' })).body);
    expect(whole.usage).toMatchObject({ input_tokens: 27, output_tokens: 4, total_tokens: 31 });
    const streamed = events(await post(engine, '/v1/responses', { input: 'Hi', stream: true }));
    expect(streamed.at(-1).response.usage).toEqual(whole.usage);
    const deltas = streamed.filter(({ type }) => type === 'response.output_text.delta');
    expect(deltas.map(({ delta }) => delta).join('')).toBe('The capital of');
    expect(streamed.at(-1).response.output[0].content[0].text).toBe('The capital of');

    const message = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 20 };
    const { usage } = parse((await post(engine, '/v1/messages', message)).body);
    expect((usage.cache_read_input_tokens ?? 0) + usage.input_tokens).toBe(27);
    const parts = events(await post(engine, '/v1/messages', { ...message, stream: true }));
    expect(parts.map(({ type }) => type).slice(-2)).toEqual(['message_delta', 'message_stop']);
    expect(parts.at(-2).usage.output_tokens).toBe(4);
  });

  test.skipIf(!speaks || kind === 'vllm')('call a tool, streamed and not', async () => {
    const engine = await start(kind);
    const asked = { input: 'Hi', tools: [{ type: 'function', ...TOOL, parameters: CITY }] };
    const whole = parse((await post(engine, '/v1/responses', asked)).body);
    expect(whole.output[0]).toMatchObject({ name: 'get_weather', arguments: '{"city":"Paris"}' });
    const streamed = events(await post(engine, '/v1/responses', { ...asked, stream: true }));
    const deltas = streamed.filter(({ type }) => type === 'response.function_call_arguments.delta');
    expect(deltas.map(({ delta }) => delta).join('')).toBe('{"city":"Paris"}');
    const message = { messages: MESSAGES, max_tokens: 20, tools: [{ ...TOOL, input_schema: CITY }] };
    const { content, stop_reason } = parse((await post(engine, '/v1/messages', message)).body);
    expect([content[0].input, stop_reason]).toEqual([{ city: 'Paris' }, 'tool_use']);
  });

  test.skipIf(!speaks)('meet faults as chats do', async () => {
    const engine = await start(kind);
    const say = async (fault: Fault, path: string): Promise<RawAnswer> => {
      engine.setFaultOnce(fault);
      return post(engine, path, { input: 'Hi', messages: MESSAGES, max_tokens: 9, stream: true });
    };
    for (const path of ['/v1/responses', '/v1/messages']) {
      expect((await say({ kind: 'no-usage' }, path)).body.toString()).not.toMatch(/"(usage|timings)":\{/);
      expect((await say({ kind: 'no-done' }, path)).body.toString()).toMatch(/delta[^\n]*\n\n$/);
      expect(events(await say({ kind: 'error-frame' }, path))).toHaveLength(1);
    }
  });
});

describe('ollama', () => {
  test.each(['connection-reused', 'connection-reused-after-stream', 'connection-reused-after-error'])(
    '%s',
    async (name) => {
      const recording = readRecording('ollama', name);
      const engine = await start('ollama', { models: ['smollm2'] });
      const connection = await connectRaw(engine.url);
      const [first, second] = recording.sections.filter(({ title }) => title.startsWith('request'));
      for (const request of [first, second]) {
        connection.send(request?.bytes ?? '');
        expect((await connection.read({ watchMs: 20 })).ending).toBe('open');
      }
      connection.close();
      expect(engine.requests.map(({ turn }) => turn)).toEqual([1, 2]);
    },
  );

  test('has a model in memory once it has worked, until it is told to drop it', async () => {
    const engine = await start('ollama', { models: [{ name: 'm', loadedContextLength: 2048 }, 'n:1b'] });
    const loaded = async (): Promise<unknown> => parse((await read(engine, '/api/ps')).body).models;
    expect(await loaded()).toEqual([]);
    await post(engine, '/v1/chat/completions', { model: 'M', messages: MESSAGES });
    expect(await loaded()).toMatchObject([{ name: 'm:latest', context_length: 2048 }]);
    expect(parse((await post(engine, '/api/chat', { keep_alive: 0 })).body).done_reason).toBe('unload');
    expect(await loaded()).toEqual([]);
    engine.setModels(['other']);
    expect((await post(engine, '/v1/chat/completions', { messages: MESSAGES })).status).toBe(404);
  });

  test('shows what each model can do', async () => {
    const engine = await start('ollama', {
      models: [{ name: 'v', capabilities: ['completion', 'vision'], contextLength: 512, family: 'gemma3' }],
    });
    const shown = parse((await post(engine, '/api/show', { model: 'v:latest' })).body);
    expect(shown.capabilities).toEqual(['completion', 'vision']);
    expect(shown.model_info['gemma3.context_length']).toBe(512);
    expect(shown.details.family).toBe('gemma3');
  });

  test('queues, and refuses once the queue is full', async () => {
    const engine = await start('ollama', { slots: 1, maxWaiting: 1, tokenDelayMs: 20 });
    const ask = (): Promise<RawAnswer> => post(engine, '/v1/chat/completions', { messages: MESSAGES });
    const answers = await Promise.all([ask(), ask(), ask(), ask()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 503, 503]);
    const { answer } = readRecording('ollama', 'error-queue-full');
    const refused = answers.find(({ status }) => status === 503);
    expect(refused?.body.toString()).toBe(answer.body.toString());
    expect(refused && maskAnswer(refused, true)).toEqual(maskAnswer(answer, true));
  });

  test('speaks lines, and an error is the last of them', async () => {
    const engine = await start('ollama');
    const lines = async (fault: Fault | null): Promise<string[]> => {
      engine.setFault(fault);
      return readLines((await post(engine, '/api/chat', { messages: MESSAGES })).body);
    };
    const [first, ...rest] = await lines(null);
    expect(parse(first ?? '')).toMatchObject({ message: { content: 'The' }, done: false });
    expect(parse(rest.at(-1) ?? '')).toMatchObject({ done: true, prompt_eval_count: 32, eval_count: 8 });
    const broken = await lines({ kind: 'error-frame', afterChunks: 2 });
    expect(broken.slice(2).map((line) => Object.keys(parse(line)))).toEqual([['error']]);
    engine.setFault({ kind: 'die-mid-frame' });
    const cut = await post(engine, '/api/chat', { messages: MESSAGES });
    expect(cut.wire.toString()).toMatch(/\r\n\{"model":[^\n]*$/);
    const half = await lines({ kind: 'half-utf8' });
    expect(half.map((line) => parse(line).message.content).join('')).toContain('日本語');
  });
});

describe('vllm', () => {
  const rows = readRecording('vllm', 'key-by-route').sections.flatMap(({ title }) => {
    const [, method = '', path = '', without = ''] = /^note: (\w+) (\S+) nokey=(\d+)/.exec(title) ?? [];
    const known = /^\/(health|version|metrics|load|ping|tokenize|invocations|nope|v1\/(?!systemone).*)$/.test(
      path,
    );
    return known && method === 'GET' ? [[path, Number(without)] as const] : [];
  });
  test.each([...rows, ['/v1/messages', 401] as const])('%s without the key: %i', async (path, status) => {
    const engine = await start('vllm', { apiKey: 'sekrit' });
    expect((await read(engine, path)).status).toBe(status);
  });

  test('works without the key on /invocations, and tells of cached tokens', async () => {
    const engine = await start('vllm', { apiKey: 'sekrit', cachedTokens: 16 });
    const answer = parse((await post(engine, '/invocations', { messages: MESSAGES })).body);
    expect(answer.usage.prompt_tokens_details.cached_tokens).toBe(16);
  });

  test('sends an error as a frame, byte for byte', async () => {
    const engine = await start('vllm', { fault: { kind: 'error-frame' } });
    const recording = readRecording('vllm', 'error-frame');
    const answer = await post(engine, '/v1/chat/completions', { messages: MESSAGES, stream: true });
    expect(answer.body.toString()).toBe(recording.answer.body.toString());
  });

  test('falls silent within a stream while its health is good, and says how much is running', async () => {
    const engine = await start('vllm', { fault: { kind: 'stall-mid-stream' } });
    const client = await connectRaw(engine.url);
    client.send(buildRequest('POST', '/v1/chat/completions', { messages: MESSAGES, stream: true }));
    await client.readSome();
    expect((await read(engine, '/health')).status).toBe(200);
    expect((await read(engine, '/metrics')).body.toString()).toContain(
      'vllm:num_requests_running{engine="0",model_name="m"} 1.0',
    );
    client.reset();
    await engine.idle();
    expect((await read(engine, '/metrics')).body.toString()).toContain('model_name="m"} 0.0');
  });
});

describe('lmstudio', () => {
  test('loads a model for its first request, and gives the only loaded one to any name', async () => {
    const engine = await start('lmstudio', { models: ['a', 'b'] });
    const ask = (model: string): Promise<RawAnswer> =>
      post(engine, '/v1/chat/completions', { model, messages: MESSAGES });
    const states = async (): Promise<string[]> =>
      parse((await read(engine, '/api/v0/models')).body).data.map(({ state }: { state: string }) => state);
    expect([(await ask('nope')).status, await states()]).toEqual([404, ['not-loaded', 'not-loaded']]);
    expect([(await ask('a')).status, await states()]).toEqual([200, ['loaded', 'not-loaded']]);
    expect(parse((await ask('nope')).body).model).toBe('a');
    await ask('b');
    expect((await ask('nope')).status).toBe(404);
  });
});

test('llama.cpp ranks when it was started to, and leaves cached tokens out of a message’s input', async () => {
  const engine = await start('llamacpp', { reranking: true, cachedTokens: 20 });
  const asked = {
    query: 'capital of France',
    documents: ['llamas', 'the capital of France is Paris'],
    top_n: 1,
  };
  const { results } = parse((await post(engine, '/v1/rerank', asked)).body);
  expect(results).toEqual([{ index: 1, relevance_score: 1.5 }]);
  const { usage } = parse((await post(engine, '/v1/messages', { messages: MESSAGES, max_tokens: 5 })).body);
  expect(usage).toEqual({ cache_read_input_tokens: 20, input_tokens: 12, output_tokens: 5 });
});
