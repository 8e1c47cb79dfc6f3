/**
 * Records a real Ollama into test/golden/ollama (see its README.md for how to start it and make its models):
 * `bun test/fake/record-ollama.ts --url U [--single-url U]`. The server must have loaded no model yet; the second
 * one has OLLAMA_NUM_PARALLEL=1 and OLLAMA_MAX_QUEUE=1.
 */
import { parseArgs } from 'node:util';
import type { Section } from './golden';
import type { HeaderPair } from './message';
import { asLocal, buildRequest as build, connectRaw, exchange } from './raw-client';
import { nativeQuestions } from './record-native';
import { createRecorder, describeEnding, note, sectionsOf } from './recorder';

const MODEL = 'smollm2';
const TOOL_MODEL = 'smollm2-tools:135m';
const EMBED_MODEL = 'smollm2-embed';
const CHAT = '/v1/chat/completions';
const FRANCE = 'What is the capital of France?';
const USAGE = { stream_options: { include_usage: true } };
const CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const WEATHER = { name: 'get_weather', description: 'Get the weather of a city', parameters: CITY };
const TOOLS = { tools: [{ type: 'function', function: WEATHER }] };
const PARIS = 'What is the weather in Paris?';
const CALL = {
  id: 'call_1',
  type: 'function',
  function: { name: 'get_weather', arguments: '{"city":"Paris"}' },
};
const LONG = { messages: say('Tell me a very long story about llamas.'), max_tokens: 1500, temperature: 1 };

const { values: args } = parseArgs({
  options: { url: { type: 'string' }, 'single-url': { type: 'string' } },
});
// Streams of a dozen tokens are kept whole: the fake fills them in.
const { record, save } = createRecorder('ollama', 24);
if (args.url) await recordAll(args.url, lists());
if (args.url) await recordAll(args.url, chats());
if (args.url) await recordAll(args.url, others());
if (args.url) await recordAll(args.url, ownRoutes());
if (args.url)
  await recordAll(args.url, nativeQuestions({ chat: MODEL, tools: TOOL_MODEL, toolQuestion: PARIS }));
if (args.url) await recordConnections(args.url);
if (args['single-url']) await recordDisconnects(args['single-url']);
if (args['single-url']) await recordQueue(args['single-url']);

async function recordAll(url: string, questions: Record<string, Buffer>): Promise<void> {
  for (const [name, request] of Object.entries(questions)) {
    const headOnly = request.toString('latin1', 0, 4) === 'HEAD';
    await record(name, url, asLocal(request), { headOnly });
  }
}

/** In this order: `ps-empty` is asked before anything has loaded a model. */
function lists(): Record<string, Buffer> {
  const show = (fields: object): Buffer => buildRequest('POST', '/api/show', fields);
  const preflight = (origin: string): Buffer =>
    buildRequest('OPTIONS', CHAT, undefined, [
      ['Origin', origin],
      ['Access-Control-Request-Method', 'POST'],
      ['Access-Control-Request-Headers', 'authorization,content-type'],
    ]);
  return {
    'ps-empty': get('/api/ps'),
    root: get('/'),
    'head-root': buildRequest('HEAD', '/'),
    version: get('/api/version'),
    tags: get('/api/tags'),
    'head-tags': buildRequest('HEAD', '/api/tags'),
    'head-models': buildRequest('HEAD', '/v1/models'),
    show: show({ model: MODEL }),
    'show-tools': show({ model: TOOL_MODEL }),
    'show-embed': show({ model: EMBED_MODEL }),
    'error-show-wrong-model': show({ model: 'nope' }),
    'error-show-no-model': show({}),
    models: get('/v1/models'),
    'models-origin-allowed': get('/v1/models', ['Origin', 'http://localhost:3000']),
    'models-origin-refused': get('/v1/models', ['Origin', 'http://app.example']),
    'models-host-refused': Buffer.from('GET /v1/models HTTP/1.1\r\nHost: engine.example\r\n\r\n'),
    'models-any-key': get('/v1/models', ['Authorization', 'Bearer whatever']),
    'one-model': get(`/v1/models/${MODEL}`),
    'one-model-tag': get(`/v1/models/${MODEL}:latest`),
    'error-one-model': get('/v1/models/nope'),
    'options-origin-allowed': preflight('http://localhost:3000'),
    'options-origin-refused': preflight('http://app.example'),
    'error-unknown-route': get('/v1/nope'),
    'error-props': get('/props'),
    'error-health': get('/health'),
    'error-metrics': get('/metrics'),
    'error-wrong-method': get(CHAT),
  };
}

function chats(): Record<string, Buffer> {
  const picture = [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }];
  const tool = (fields: object): Buffer =>
    chat({ model: TOOL_MODEL, messages: say(PARIS), max_tokens: 60, ...TOOLS, ...fields });
  const result = [
    ...say(PARIS),
    { role: 'assistant', content: '', tool_calls: [CALL] },
    { role: 'tool', tool_call_id: 'call_1', content: 'sunny' },
  ];
  return {
    chat: chat({}),
    ps: get('/api/ps'),
    'chat-length': chat({ max_tokens: 3 }),
    'chat-stream': chat({ stream: true }),
    'chat-stream-length': chat({ stream: true, max_tokens: 3 }),
    'chat-stream-usage': chat({ stream: true, ...USAGE }),
    'chat-stream-usage-false': chat({ stream: true, stream_options: { include_usage: false } }),
    'chat-stream-options-without-stream': chat(USAGE),
    'chat-request-id': buildRequest('POST', CHAT, chatBody({ max_tokens: 1 }), [['X-Request-Id', 'mine']]),
    'chat-n2': chat({ n: 2, max_tokens: 2 }),
    'chat-logprobs': chat({ max_tokens: 2, logprobs: true, top_logprobs: 2 }),
    'chat-logprobs-stream': chat({ max_tokens: 2, logprobs: true, top_logprobs: 1, stream: true }),
    'chat-json-schema': chat({
      max_tokens: 40,
      messages: say('Give a city as JSON.'),
      response_format: { type: 'json_schema', json_schema: { name: 'city', schema: CITY, strict: true } },
    }),
    'chat-model-tag': chat({ model: `${MODEL}:latest`, max_tokens: 1 }),
    'chat-model-case': chat({ model: 'SmolLM2', max_tokens: 1 }),
    'error-empty-messages': chat({ messages: [] }),
    'tool-call': tool({}),
    'tool-call-stream': tool({ stream: true }),
    'tool-call-stream-usage': tool({ stream: true, ...USAGE }),
    'tool-result': chat({ model: TOOL_MODEL, messages: result, max_tokens: 5, ...TOOLS }),
    'error-tools-unsupported': chat(TOOLS),
    'chat-image-ignored': chat({ messages: [{ role: 'user', content: picture }] }),
    'error-wrong-model': chat({ model: 'nope' }),
    'error-wrong-model-stream': chat({ model: 'nope', stream: true }),
    'error-wrong-tag': chat({ model: `${MODEL}:nope` }),
    'error-no-model': buildRequest('POST', CHAT, { messages: say(FRANCE) }),
    'error-no-messages': buildRequest('POST', CHAT, { model: MODEL }),
    'error-embed-model': chat({ model: EMBED_MODEL }),
    'error-temperature': chat({ temperature: 'warm' }),
    'error-bad-json': buildRequest('POST', CHAT, '{"model":"smollm2","messages":['),
    'error-empty-body': buildRequest('POST', CHAT, ''),
    'error-gzip-body': buildRequest('POST', CHAT, 'not really gzip', [['Content-Encoding', 'gzip']]),
    'request-chunked': chunkedRequest(),
    'request-expect': buildRequest('POST', CHAT, JSON.stringify(chatBody({ max_tokens: 1 })), [
      ['Expect', '100-continue'],
      ['Connection', 'close'],
    ]),
  };
}

function others(): Record<string, Buffer> {
  const completion = (fields: object): Buffer =>
    buildRequest('POST', '/v1/completions', {
      model: MODEL,
      prompt: 'The capital of France is',
      max_tokens: 5,
      temperature: 0,
      ...fields,
    });
  const embed = (fields: object): Buffer =>
    buildRequest('POST', '/v1/embeddings', { model: EMBED_MODEL, ...fields });
  return {
    completion: completion({}),
    'completion-stream': completion({ stream: true }),
    'completion-stream-usage': completion({ stream: true, ...USAGE }),
    'error-completion-many': completion({ prompt: ['The capital of France is', 'One two'] }),
    embeddings: embed({ input: 'hello' }),
    'embeddings-many': embed({ input: ['hello', 'world two'] }),
    'embeddings-base64': embed({ input: 'hello', encoding_format: 'base64' }),
    'embeddings-chat-model': embed({ model: MODEL, input: 'hello' }),
    'error-embeddings-tokens': embed({ input: [1, 2, 3] }),
    'error-embeddings-empty': embed({ input: [] }),
    'error-embeddings-no-input': embed({}),
    'error-embeddings-wrong-model': embed({ model: 'nope', input: 'hello' }),
  };
}

/** Ollama's own API; where `stream` is not given, it streams. */
function ownRoutes(): Record<string, Buffer> {
  const options = { temperature: 0, num_predict: 12 };
  const own = (path: string, fields: object): Buffer =>
    buildRequest('POST', path, { model: MODEL, options, ...fields });
  const ask = { messages: say(FRANCE) };
  const tools = {
    model: TOOL_MODEL,
    messages: say(PARIS),
    options: { temperature: 0, num_predict: 60 },
    ...TOOLS,
  };
  return {
    'api-chat': own('/api/chat', { ...ask, stream: false }),
    'api-chat-stream': own('/api/chat', ask),
    'api-chat-length': own('/api/chat', {
      ...ask,
      stream: false,
      options: { temperature: 0, num_predict: 3 },
    }),
    'api-chat-length-stream': own('/api/chat', { ...ask, options: { temperature: 0, num_predict: 3 } }),
    'api-chat-tool': own('/api/chat', { ...tools, stream: false }),
    'api-chat-tool-stream': own('/api/chat', tools),
    'api-chat-format': own('/api/chat', { ...ask, stream: false, format: CITY }),
    'api-generate': own('/api/generate', { prompt: 'The capital of France is', raw: true, stream: false }),
    'api-generate-stream': own('/api/generate', { prompt: 'The capital of France is', raw: true }),
    'api-generate-context': own('/api/generate', { prompt: FRANCE, stream: false }),
    'api-embed': own('/api/embed', { model: EMBED_MODEL, input: 'hello' }),
    'api-embed-many': own('/api/embed', { model: EMBED_MODEL, input: ['hello', 'world two'] }),
    'api-embeddings': own('/api/embeddings', { model: EMBED_MODEL, prompt: 'hello' }),
    'error-api-chat-wrong-model': own('/api/chat', { ...ask, model: 'nope' }),
    'error-api-chat-tools-unsupported': own('/api/chat', { ...ask, ...TOOLS }),
    'error-api-chat-bad-json': buildRequest('POST', '/api/chat', '{"model":'),
    'error-api-chat-empty-body': buildRequest('POST', '/api/chat', ''),
    'error-api-generate-wrong-model': own('/api/generate', { model: 'nope', prompt: 'x' }),
    'api-chat-load': own('/api/chat', {}),
    'api-chat-unload': own('/api/chat', { keep_alive: 0 }),
  };
}

async function recordConnections(url: string): Promise<void> {
  const version = get('/api/version');
  for (const [name, first] of [
    ['connection-reused', chat({ max_tokens: 1 })],
    ['connection-reused-after-stream', chat({ max_tokens: 1, stream: true })],
    ['connection-reused-after-error', chat({ model: 'nope' })],
  ] as const) {
    const connection = await connectRaw(url);
    connection.send(first);
    const one = await connection.read({ watchMs: 600, timeoutMs: 60_000 });
    connection.send(version);
    const two = await connection.read({ watchMs: name === 'connection-reused' ? 90_000 : 600 });
    connection.close();
    save(name, [
      ...sectionsOf(first, one),
      { title: 'request on the same connection', bytes: version },
      { title: 'response', bytes: two.wire },
      note(
        `connection: ${two.ending === 'open' && name === 'connection-reused' ? 'still open 90 s later' : describeEnding(two.ending)}`,
      ),
    ]);
  }
  const asked: HeaderPair = ['Connection', 'close'];
  await record('connection-close-asked', url, get('/api/version', asked));
  const pipelined = Buffer.concat([chat({ stream: true, max_tokens: 1 }), version]);
  await record('connection-pipelined', url, pipelined, {}, 'two requests were sent at once');
}

/** Ollama shows nowhere whether a slot is busy: with a single one, the next answer's delay does. */
async function recordDisconnects(url: string): Promise<void> {
  const rows: Section[] = [];
  const tell = (text: string): void => void rows.push(note(`note: ${text}`));
  const short = chat({ max_tokens: 1, messages: say('Hi') });
  await timed(url, short);
  tell(`one token, nothing else going on: ${await timed(url, short)} ms (one slot)`);
  for (const [what, fields, rude] of [
    ['streaming, FIN', { stream: true }, false],
    ['streaming, RST', { stream: true }, true],
    ['not streaming, FIN', {}, false],
    ['not streaming, RST', {}, true],
  ] as const) {
    const leaver = await connectRaw(url);
    leaver.send(chat({ ...LONG, ...fields }));
    await Bun.sleep(1500);
    if (rude) leaver.reset();
    else leaver.close();
    tell(`${what}: after the client left, one token for somebody else took ${await timed(url, short)} ms`);
  }
  const prompt = say(`${Date.now()} ${'word '.repeat(1500)}`);
  const reader = await connectRaw(url);
  reader.send(chat({ messages: prompt, max_tokens: 5, stream: true }));
  await Bun.sleep(1500);
  reader.close();
  const took = await timed(url, short);
  tell(`while it read a prompt of 1,500 words, FIN: one token for somebody else took ${took} ms`);
  save('disconnect', rows);
}

async function recordQueue(url: string): Promise<void> {
  const rows: Section[] = [];
  const tell = (text: string): void => void rows.push(note(`note: ${text}`));
  const request = chat({ max_tokens: 20, messages: say('Tell a story.') });
  await exchange(url, chat({ max_tokens: 1 }), { timeoutMs: 60_000 });
  const order: number[] = [];
  const all = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      await Bun.sleep(index * 60);
      const answer = await exchange(url, request, { timeoutMs: 120_000, watchMs: 0 });
      order.push(index);
      return answer.status;
    }),
  );
  tell(`OLLAMA_NUM_PARALLEL=1, OLLAMA_MAX_QUEUE=1, model loaded: six requests 60 ms apart were answered`);
  tell(`statuses by arrival: ${all.join(' ')}; order of answers: ${order.join(' ')}`);
  await exchange(url, buildRequest('POST', '/api/chat', { model: MODEL, keep_alive: 0 }), {
    timeoutMs: 60_000,
  });
  await Bun.sleep(3000);
  const during = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      exchange(url, chat({ max_tokens: 1, ...(index % 2 ? { model: TOOL_MODEL } : {}) }), {
        timeoutMs: 120_000,
        watchMs: 600,
      }),
    ),
  );
  tell(
    `the same while no model is loaded, eight at once, two models: ${during.map(({ status }) => status).join(' ')}`,
  );
  const refused = during.find(({ status }) => status === 503);
  save('queue', rows);
  if (refused) save('error-queue-full', sectionsOf(chat({ max_tokens: 1 }), refused));
}

/** `build` of raw-client.ts asks `engine.test`, which Ollama on loopback refuses: it guards against DNS rebinding. */
function buildRequest(...parts: Parameters<typeof build>): Buffer {
  return asLocal(build(...parts));
}

async function timed(url: string, request: Buffer): Promise<number> {
  const start = performance.now();
  await exchange(url, request, { timeoutMs: 300_000, watchMs: 0 });
  return Math.round(performance.now() - start);
}

function get(path: string, ...headers: HeaderPair[]): Buffer {
  return buildRequest('GET', path, undefined, headers);
}

function say(content: string): { role: string; content: string }[] {
  return [{ role: 'user', content }];
}

function chatBody(fields: object): object {
  return { model: MODEL, messages: say(FRANCE), temperature: 0, max_tokens: 12, ...fields };
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
    `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
      `Transfer-Encoding: chunked\r\n\r\n${parts.join('')}0\r\n\r\n`,
  );
}
