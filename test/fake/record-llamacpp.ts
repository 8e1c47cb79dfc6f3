/**
 * Records a real llama.cpp server into test/golden/llamacpp (see its README.md for how to start one):
 * `bun test/fake/record-llamacpp.ts --url U [--keyed-url U --key K] [--ping-url U] [--loading-url U]`.
 * Run it again for a new version, and let fake.test.ts say what changed.
 */
import { parseArgs } from 'node:util';
import type { Section } from './golden';
import { buildRequest, connectRaw, exchange, type RawAnswer } from './raw-client';
import { nativeQuestions, rerankQuestions } from './record-native';
import { createRecorder, describeEnding, note, sectionsOf } from './recorder';

const MODEL = 'smollm2-135m-instruct';
const CHAT = '/v1/chat/completions';
const { record, save } = createRecorder('llamacpp');

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 12 }, population: { type: 'integer' } },
  required: ['city', 'population'],
  additionalProperties: false,
};
const TOOL_QUESTION =
  'Repeat this text exactly and nothing else:\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>';
const TOOL = {
  tools: [
    {
      type: 'function',
      function: {
        name: 'get_weather',
        description: 'Get the weather of a city',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    },
  ],
  messages: say(TOOL_QUESTION),
  max_tokens: 60,
};
const USAGE = { stream_options: { include_usage: true } };
const LONG = { messages: say('Tell me a very long story about llamas.'), max_tokens: 1500, ignore_eos: true };
const WORDS_3000 = 'word '.repeat(3000);

const { values: args } = parseArgs({
  options: {
    url: { type: 'string' },
    'keyed-url': { type: 'string' },
    key: { type: 'string', default: 'test-key' },
    'ping-url': { type: 'string' },
    'native-url': { type: 'string' },
    'rerank-url': { type: 'string' },
    'loading-url': { type: 'string' },
  },
});
if (args.url) await recordAnswers(args.url);
if (args.url) await recordConnections(args.url);
if (args.url) await recordDisconnects(args.url);
if (args['keyed-url']) await recordKeys(args['keyed-url'], args.key);
const native = nativeQuestions({ chat: MODEL, tools: MODEL, toolQuestion: TOOL_QUESTION });
if (args['native-url']) await recordNative(args['native-url'], native);
if (args['rerank-url']) await recordNative(args['rerank-url'], rerankQuestions(MODEL));
if (args['ping-url']) await recordPings(args['ping-url']);
if (args['loading-url']) await recordLoading(args['loading-url']);

async function recordAnswers(url: string): Promise<void> {
  const get = (path: string): Buffer => buildRequest('GET', path);
  const completion = (fields: object): Buffer =>
    buildRequest('POST', '/v1/completions', {
      model: MODEL,
      prompt: 'The capital of France is',
      max_tokens: 5,
      temperature: 0,
      ...fields,
    });
  const embed = (fields: object): Buffer =>
    buildRequest('POST', '/v1/embeddings', { model: MODEL, ...fields });
  const scenarios: Record<string, Buffer> = {
    'slots-fresh': get('/slots'),
    metrics: get('/metrics'),
    health: get('/health'),
    props: get('/props'),
    models: get('/v1/models'),
    'models-origin': buildRequest('GET', '/v1/models', undefined, [['Origin', 'http://app.example']]),
    chat: chat({}),
    'chat-length': chat({ max_tokens: 3 }),
    'chat-stream': chat({ stream: true }),
    'chat-stream-length': chat({ stream: true, max_tokens: 3 }),
    'chat-stream-usage': chat({ stream: true, ...USAGE }),
    'chat-stream-usage-false': chat({ stream: true, stream_options: { include_usage: false } }),
    'chat-stream-options-without-stream': chat(USAGE),
    'chat-stream-timings-per-token': chat({ stream: true, max_tokens: 3, timings_per_token: true }),
    'chat-stream-progress': chat({ stream: true, max_tokens: 3, return_progress: true }),
    'chat-stream-multibyte': chat({
      stream: true,
      max_tokens: 7,
      messages: say('Repeat this exactly: 🦙🎉 日本語'),
    }),
    'chat-n2': chat({ n: 2, max_tokens: 4 }),
    'chat-n2-stream': chat({ n: 2, max_tokens: 2, stream: true }),
    'chat-n2-stream-usage': chat({ n: 2, max_tokens: 2, stream: true, ...USAGE }),
    'chat-logprobs': chat({ max_tokens: 2, logprobs: true, top_logprobs: 2 }),
    'chat-logprobs-stream': chat({ max_tokens: 2, logprobs: true, top_logprobs: 1, stream: true }),
    'chat-json-schema': chat({
      max_tokens: 40,
      messages: say('Give a city as JSON.'),
      response_format: { type: 'json_schema', json_schema: { name: 'city', schema: SCHEMA, strict: true } },
    }),
    'chat-wrong-model': chat({ model: 'gpt-4o', max_tokens: 2 }),
    'chat-wrong-model-stream': chat({ model: 'gpt-4o', max_tokens: 2, stream: true }),
    'tool-call': chat(TOOL),
    'tool-call-required': chat({ ...TOOL, tool_choice: 'required' }),
    'tool-call-stream': chat({ ...TOOL, stream: true }),
    'tool-call-stream-usage': chat({ ...TOOL, stream: true, ...USAGE }),
    completion: completion({}),
    'completion-many': completion({ prompt: ['The capital of France is', 'One two'], max_tokens: 3 }),
    'completion-logprobs': completion({ max_tokens: 2, logprobs: 1 }),
    'completion-stream': completion({ stream: true }),
    'completion-stream-usage': completion({ stream: true, ...USAGE }),
    embeddings: embed({ input: 'hello' }),
    'embeddings-many': embed({ input: ['hello', 'world two'] }),
    'embeddings-base64': embed({ input: 'hello', encoding_format: 'base64' }),
    'error-embeddings-empty': embed({ input: [] }),
    'error-embeddings-too-long': embed({ input: 'word '.repeat(600) }),
    'error-bad-json': buildRequest('POST', CHAT, '{"model":"smollm2-135m-instruct","messages":['),
    'error-empty-body': buildRequest('POST', CHAT, ''),
    'error-no-messages': buildRequest('POST', CHAT, { model: MODEL }),
    'error-n': chat({ n: 9 }),
    'error-temperature': chat({ temperature: 'warm' }),
    'error-image': chat({
      messages: [
        { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }] },
      ],
    }),
    'error-context': chat({ messages: say(WORDS_3000) }),
    'error-context-stream': chat({ messages: say(WORDS_3000), stream: true }),
    'error-unknown-route': get('/v1/nope'),
    'error-one-model': get(`/v1/models/${MODEL}`),
    'error-wrong-method': get(CHAT),
    'error-gzip-body': buildRequest('POST', CHAT, 'not really gzip', [['Content-Encoding', 'gzip']]),
    'request-chunked': chunkedRequest(),
    'request-expect': buildRequest('POST', CHAT, JSON.stringify(chatBody({ max_tokens: 1 })), [
      ['Expect', '100-continue'],
      ['Connection', 'close'],
    ]),
    options: buildRequest('OPTIONS', CHAT, undefined, [
      ['Origin', 'http://app.example'],
      ['Access-Control-Request-Method', 'POST'],
      ['Access-Control-Request-Headers', 'authorization'],
    ]),
    'slots-used': get('/slots'),
  };
  for (const [name, request] of Object.entries(scenarios)) await record(name, url, request);
  await record('head-models', url, buildRequest('HEAD', '/v1/models'), { headOnly: true });
  await record('error-head-chat', url, buildRequest('HEAD', CHAT), { headOnly: true });

  const busy = await connectRaw(url);
  busy.send(chat({ ...LONG, stream: true }));
  await busy.readSome();
  await record('slots-busy', url, get('/slots'));
  await record('metrics-busy', url, get('/metrics'));
  busy.close();
}

async function recordConnections(url: string): Promise<void> {
  const health = buildRequest('GET', '/health');
  const reused = await connectRaw(url);
  const first = chat({ max_tokens: 1 });
  reused.send(first);
  const one = await reused.read({ watchMs: 600 });
  reused.send(health);
  const two = await reused.read({ watchMs: 8000 });
  reused.close();
  save('connection-reused', [
    ...sectionsOf(first, one),
    { title: 'request on the same connection', bytes: health },
    { title: 'response', bytes: two.wire },
    note(`connection: ${describeEnding(two.ending)}, after about 5 idle seconds`),
  ]);

  const many = await connectRaw(url);
  let count = 0;
  let last = await ask();
  while (last.ending === 'open') last = await ask();
  many.close();
  save('connection-hundredth', [
    note(`note: answer number ${count} on one connection`),
    ...sectionsOf(health, last),
  ]);
  async function ask(): Promise<RawAnswer> {
    count += 1;
    many.send(health);
    return many.read({ watchMs: count < 99 ? 1 : 200 });
  }

  const stream = chat({ stream: true, max_tokens: 1 });
  const pipelined = Buffer.concat([stream, health]);
  await record('connection-stream-then-request', url, pipelined, {}, 'the second request is never answered');
  await record(
    'connection-close-asked',
    url,
    buildRequest('GET', '/health', undefined, [['Connection', 'close']]),
  );
}

async function recordDisconnects(url: string): Promise<void> {
  const rows: Section[] = [];
  const tell = (text: string): void => void rows.push(note(`note: ${text}`));
  for (const rude of [false, true]) {
    const leaver = await connectRaw(url);
    leaver.send(chat({ ...LONG, stream: true }));
    await leaver.readSome();
    await Bun.sleep(400);
    tell(`streaming: ${await countBusy(url)} slot busy, client leaves with ${rude ? 'RST' : 'FIN'}`);
    if (rude) leaver.reset();
    else leaver.close();
    tell(`streaming: slot free after ${await waitForIdle(url, 10)} ms (/slots asked every 10 ms)`);
  }
  for (const [pollMs, beside] of [
    [1300, false],
    [100, false],
    [1300, true],
  ] as const) {
    const other = beside ? await connectRaw(url) : null;
    other?.send(chat({ ...LONG, stream: true }));
    await other?.readSome();
    const leaver = await connectRaw(url);
    leaver.send(chat({ ...LONG, messages: say('Tell me about the sea.') }));
    await Bun.sleep(500);
    leaver.close();
    const where = `not streaming${beside ? ', beside a running stream' : ''}, /slots asked every ${pollMs} ms`;
    const freed = await waitForIdle(url, pollMs, beside ? 1 : 0, 8000);
    tell(`${where}: slot ${freed === null ? 'STILL BUSY 8 s' : `free ${freed} ms`} after the client left`);
    other?.close();
    await waitForIdle(url, 1300);
  }
  save('disconnect', rows);
}

async function recordKeys(url: string, key: string): Promise<void> {
  const get = (path: string, ...headers: [string, string][]): Buffer =>
    buildRequest('GET', path, undefined, headers);
  await record('key-missing', url, get('/v1/models'));
  await record('key-missing-chat', url, chat({ max_tokens: 1 }));
  await record('key-wrong', url, get('/v1/models', ['Authorization', 'Bearer wrong']));
  await record('key-lower-case-scheme', url, get('/v1/models', ['Authorization', `bearer ${key}`]));
  await record('key-right', url, get('/v1/models', ['Authorization', `Bearer ${key}`]));
  await record('key-right-x-api-key', url, get('/v1/models', ['X-Api-Key', key]));
  await record('key-health-is-open', url, get('/health'));
  await record('key-unknown-route', url, get('/v1/nope'));
}

/** Short streams of the native routes are kept whole: the fake fills them in. */
async function recordNative(url: string, questions: Record<string, Buffer>): Promise<void> {
  const recorder = createRecorder('llamacpp', 24);
  for (const [name, request] of Object.entries(questions)) await recorder.record(name, url, request);
}

async function recordPings(url: string): Promise<void> {
  // Numbers cannot be guessed from the prompt cache: the prompt has to be read, which takes seconds.
  const numbers = Array.from({ length: 250 }, () => `w${Math.floor(Math.random() * 1e6)}`).join(' ');
  const request = chat({ messages: say('PROMPT'), max_tokens: 2, stream: true });
  const sent = chat({ messages: say(numbers), max_tokens: 2, stream: true });
  const answer = await exchange(url, sent, { timeoutMs: 60_000 });
  const remark = 'note: PROMPT stands for 250 random words; sse_ping_interval was 1 s (default 30 s)';
  save('ping', [note(remark), ...sectionsOf(request, answer)]);
}

async function recordLoading(url: string): Promise<void> {
  const request = buildRequest('GET', '/v1/models');
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const answer = await exchange(url, request).catch(() => null);
    if (answer?.status === 503) return save('loading', sectionsOf(request, answer));
    await Bun.sleep(20);
  }
  throw new Error('the server was never seen loading');
}

async function countBusy(url: string): Promise<number> {
  const answer = await exchange(url, buildRequest('GET', '/slots'), { watchMs: 0 });
  return answer.body.toString().split('"is_processing":true').length - 1;
}

async function waitForIdle(
  url: string,
  pollMs: number,
  allowed = 0,
  limitMs = 120_000,
): Promise<number | null> {
  const start = performance.now();
  while (performance.now() - start < limitMs) {
    await Bun.sleep(pollMs);
    if ((await countBusy(url)) <= allowed) return Math.round(performance.now() - start);
  }
  return null;
}

function say(content: string): { role: string; content: string }[] {
  return [{ role: 'user', content }];
}

function chatBody(fields: object): object {
  const messages = say('What is the capital of France?');
  return { model: MODEL, messages, temperature: 0, max_tokens: 10, ...fields };
}

function chat(fields: object): Buffer {
  return buildRequest('POST', CHAT, chatBody(fields));
}

function chunkedRequest(): Buffer {
  const body = JSON.stringify(chatBody({ max_tokens: 1 }));
  const parts = [body.slice(0, 40), body.slice(40)].map(
    (part) => `${part.length.toString(16)}\r\n${part}\r\n`,
  );
  return Buffer.from(
    `POST ${CHAT} HTTP/1.1\r\nHost: engine.test\r\nContent-Type: application/json\r\n` +
      `Transfer-Encoding: chunked\r\n\r\n${parts.join('')}0\r\n\r\n`,
  );
}
