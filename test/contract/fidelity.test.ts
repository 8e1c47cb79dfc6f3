/**
 * What a client gets through FLM is what the engine gives, and the engine gets what the client sent, but for the changes
 * that design §3 permits: each request here is made twice, directly and through FLM.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { FAULTS, type FakeEngine, type FaultKind } from '../fake';
import { chat, type Gateway, MODEL, requestIdOf, startGateway, workOf } from './support/gateway';
import { ask, headerOf } from './support/raw';
import { chunkOf, DONE, LAST_CHUNK, STREAM_HEAD, startScripted, whole } from './support/scripted';
import { asRecord, jsonIn, readStream } from './support/sse';
import { expectSame, twice } from './support/twice';

const KINDS = ['llamacpp', 'openai'] as const;

const CHAT = '/v1/chat/completions';
const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

describe.each(KINDS)('%s', (kind) => {
  let gateway: Gateway;
  let fake: FakeEngine;
  const model = MODEL[kind];
  beforeAll(async () => {
    gateway = await startGateway();
    fake = await gateway.addFake(kind);
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  /** Bodies of all kinds, as they are written: the engine must get these very bytes. */
  const BODIES: readonly (readonly [name: string, path: string, body: string])[] = [
    ['chat', CHAT, JSON.stringify(chat(model))],
    ['a system prompt and a history', CHAT, JSON.stringify(chat(model, { messages: HISTORY }))],
    ['completions', '/v1/completions', JSON.stringify({ model, prompt: 'Once upon a time' })],
    ['several prompts', '/v1/completions', JSON.stringify({ model, prompt: ['one', 'two'], max_tokens: 3 })],
    ['embeddings', '/v1/embeddings', JSON.stringify({ model, input: 'hello' })],
    ['embeddings of a list', '/v1/embeddings', JSON.stringify({ model, input: ['hello', 'wörld 🦙'] })],
    [
      'embeddings in base64',
      '/v1/embeddings',
      JSON.stringify({ model, input: 'hello', encoding_format: 'base64' }),
    ],
    ['tools', CHAT, JSON.stringify(chat(model, { tools: [TOOL], tool_choice: 'auto' }))],
    ['a tool result', CHAT, JSON.stringify(chat(model, { tools: [TOOL], messages: TOOL_RESULT }))],
    ['n = 2', CHAT, JSON.stringify(chat(model, { n: 2 }))],
    ['logprobs', CHAT, JSON.stringify(chat(model, { logprobs: true, top_logprobs: 1 }))],
    ['a JSON schema', CHAT, JSON.stringify(chat(model, { response_format: { type: 'json_object' } }))],
    ['a cut-off answer', CHAT, JSON.stringify(chat(model, { max_tokens: 2 }))],
    [
      'unknown parameters',
      CHAT,
      JSON.stringify(chat(model, { min_p: 0.1, x_made_up: { a: [null] }, seed: -1 })),
    ],
    ['unicode', CHAT, JSON.stringify(chat(model, { messages: [{ role: 'user', content: UNICODE }] }))],
    ['escapes', CHAT, `{"model":"${model}","messages":[{"role":"user","content":"${ESCAPES}"}]}`],
    [
      'an escaped control key and model',
      CHAT,
      `{"\\u006dodel":"${escaped(model)}","messages":[{"role":"user","content":"x"}]}`,
    ],
    [
      'white space of all kinds',
      CHAT,
      ` \t\r\n{ "messages" :\t[ {"role":"user","content":"x"} ] ,\r\n\n"model":\t"${model}" }\n\n`,
    ],
    [
      'numbers that no double holds',
      CHAT,
      `{"model":"${model}","seed":12345678901234567890,"top_p":0.10000000000000000001,"messages":[{"role":"user","content":"x"}]}`,
    ],
    [
      'a key twice that is not ours',
      CHAT,
      `{"model":"${model}","user":"a","user":"b","messages":[{"role":"user","content":"x"}]}`,
    ],
    [
      'control keys inside other values',
      CHAT,
      `{"metadata":{"model":"no","stream":true},"model":"${model}","messages":[{"role":"user","content":"\\"stream\\":true"}]}`,
    ],
    ['1 MB of text', CHAT, JSON.stringify(chat(model, { messages: [{ role: 'user', content: BIG }] }))],
    [
      '1 MB of emoji',
      CHAT,
      JSON.stringify(chat(model, { messages: [{ role: 'user', content: '🦙'.repeat(262_144) }] })),
    ],
    ['a wrong type, for the engine to refuse', CHAT, JSON.stringify(chat(model, { temperature: 'warm' }))],
    ['no messages, for the engine to refuse', CHAT, JSON.stringify({ model })],
    ['too long for the engine', CHAT, JSON.stringify(chat(model, { messages: LONG }))],
    ['stream_options without a stream', CHAT, JSON.stringify(chat(model, { stream_options: {} }))],
    ['a stream that is false', CHAT, JSON.stringify(chat(model, { stream: false }))],
    ['a stream that is null', CHAT, JSON.stringify(chat(model, { stream: null }))],
  ];

  describe('not streamed', () => {
    test.each(BODIES)('%s', async (_, target, body) => {
      const pair = await twice(gateway, fake, { target, body });
      expectSame(pair);
      expect(pair.through.received.equals(Buffer.from(body))).toBe(true);
    });

    test.each([1, 7, 4_096])('in chunks of %i bytes, without Content-Length', async (chunkBytes) => {
      const body = JSON.stringify(
        chat(model, { messages: [{ role: 'user', content: chunkBytes === 4_096 ? BIG : UNICODE }] }),
      );
      const pair = await twice(gateway, fake, { target: CHAT, body, framing: { chunkBytes } });
      expectSame(pair);
      expect(pair.through.received.equals(Buffer.from(body))).toBe(true);
    });
  });

  describe('streamed', () => {
    const streamed = BODIES.filter(([, path]) => path !== '/v1/embeddings')
      .filter(([name]) => !/stream/.test(name))
      .map(([name, path, body]) => [name, path, withStream(body)] as const);

    test.each(streamed)('%s', async (_, target, body) => {
      const pair = await twice(gateway, fake, { target, body });
      // This engine counts the fields of a body in its complaint about it, and FLM's question for usage is one more.
      expectSame(pair, (said) =>
        kind === 'openai' ? said.replace('dict of 2 items', 'dict of 3 items') : said,
      );
      const permitted = kind === 'openai' ? body.replace('{', `{${ASK_USAGE}`) : body;
      expect(pair.through.received.equals(Buffer.from(permitted))).toBe(true);
      await gateway.settled();
      const [request] = gateway.account(requestIdOf(pair.through.answer)).requests;
      // Whoever asked for it: FLM knows what the answer cost.
      if (pair.through.answer.status === 200) expect(request?.usage?.completionTokens).toBeGreaterThan(0);
    });

    test.each([1, 7])('in chunks of %i bytes, without Content-Length', async (chunkBytes) => {
      const body = withStream(
        JSON.stringify(chat(model, { messages: [{ role: 'user', content: UNICODE }] })),
      );
      const pair = await twice(gateway, fake, { target: CHAT, body, framing: { chunkBytes } });
      expectSame(pair);
      const permitted = kind === 'openai' ? body.replace('{', `{${ASK_USAGE}`) : body;
      expect(pair.through.received.equals(Buffer.from(permitted))).toBe(true);
    });
  });

  /** What the client writes, and what a generic engine gets: null = the same. llama.cpp always gets the same. */
  const OPTIONS: readonly (readonly [written: string | null, spliced: string | null])[] = [
    [null, ASK_USAGE],
    ['{"include_usage":true}', null],
    ['{"include_usage":false}', '{"include_usage":true}'],
    ['{"include_usage":null}', '{"include_usage":true}'],
    ['null', '{"include_usage":true}'],
    ['{}', '{"include_usage":true}'],
    ['{"other":[1,"é"]}', '{"include_usage":true,"other":[1,"é"]}'],
    ['{"include_usage":false,"other":1}', '{"include_usage":true,"other":1}'],
    // Counts only together with include_usage (vLLM): alone it must go on doing nothing.
    ['{"continuous_usage_stats":true}', '{"include_usage":true}'],
    ['{"include_usage":true,"continuous_usage_stats":true}', null],
    // No options at all: an engine that is not strict passes over them, and one that is must refuse them itself.
    ['"include_usage"', null],
    ['[]', null],
    ['7', null],
  ];
  test.each(OPTIONS)('stream_options %s', async (written, spliced) => {
    const rest = `"stream":true,"model":"${model}","messages":[{"role":"user","content":"Hi"}]}`;
    const body = written === null ? `{${rest}` : `{"stream_options":${written},${rest}`;
    const pair = await twice(gateway, fake, { target: CHAT, body });
    expectSame(pair);
    const changed =
      written === null ? `{${ASK_USAGE}${rest}` : `{"stream_options":${spliced ?? written},${rest}`;
    expect(pair.through.received.toString()).toBe(kind === 'openai' ? changed : body);
  });

  test.each([true, false])('the model comes back as the client wrote it (streamed: %p)', async (stream) => {
    const address = `flm://${kind}/${model}`;
    const target = CHAT;
    const direct = await ask(fake.url, { target, body: JSON.stringify(chat(model, { stream })) });
    const written = JSON.stringify(chat(address, { stream }));
    const through = await gateway.post(target, written);
    expect(through.body.toString()).toBe(
      direct.body.toString().replaceAll(`"model":"${model}"`, `"model":"${address}"`),
    );
    const objects = stream ? readStream(through.body).data.slice(0, -1) : [through.body.toString()];
    expect(objects.length).toBeGreaterThan(0);
    expect(objects.map((text) => jsonIn(text)?.model)).toEqual(objects.map(() => address));
    const sent = asRecord(JSON.parse(workOf(fake).at(-1)?.body.toString() ?? ''));
    expect(sent?.model).toBe(model);
  });

  test('embeddings under an address say that address', async () => {
    const through = await gateway.post('/v1/embeddings', { model: `flm://${kind}/${model}`, input: 'hello' });
    expect(jsonIn(through.body.toString())?.model).toBe(`flm://${kind}/${model}`);
  });

  const ODD_STREAMS: readonly FaultKind[] = [
    'half-utf8',
    'one-byte-chunks',
    'crlf-frames',
    'huge-line',
    'usage-every-chunk',
    'no-usage',
    'garbage-frames',
    'status-429',
    'status-500',
    'wrong-json',
    'bad-headers',
  ];
  test.each(ODD_STREAMS)('odd but whole: %s', async (name) => {
    fake.setFault(FAULTS[name]);
    try {
      const plain = JSON.stringify(chat(model));
      // Garbage in place of the usage chunk cannot be told from other garbage: here the client asks for usage itself.
      const asked = name === 'garbage-frames' ? { stream_options: { include_usage: true } } : {};
      for (const body of [plain, withStream(JSON.stringify(chat(model, asked)))]) {
        const pair = await twice(gateway, fake, { target: CHAT, body });
        if (name !== 'bad-headers') expectSame(pair);
        // It names X-Foo as one of its connection's own.
        else expect(headerOf(pair.through.answer, 'x-foo')).toBeNull();
        expect(pair.through.answer.body.equals(pair.direct.answer.body)).toBe(true);
        const written = body.replace(`"${model}"`, `"flm://${kind}/${model}"`);
        const renamed = await gateway.post(CHAT, written);
        expect(renamed.body.toString('latin1')).toBe(
          pair.direct.answer.body
            .toString('latin1')
            .replaceAll(`"model":"${model}"`, `"model":"flm://${kind}/${model}"`),
        );
      }
    } finally {
      fake.setFault(null);
    }
  });

  test('only headers on the list reach the engine', async () => {
    const passed = [
      ['X-Request-Id', 'mine-1'],
      ['Traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
      ['Tracestate', 'a=1'],
      ['OpenAI-Beta', 'assistants=v2'],
      ['Accept', 'application/json'],
      ['Content-Type', 'application/json'],
    ] as const;
    const kept = [
      ['Cookie', 'session=1'],
      ['Origin', 'http://app.example'],
      ['X-Forwarded-For', '203.0.113.9'],
      ['Forwarded', 'for=203.0.113.9'],
      ['X-Api-Key', 'secret'],
      ['Proxy-Authorization', 'Basic eA=='],
      ['Upgrade', 'h2c'],
      ['TE', 'trailers'],
      ['Keep-Alive', 'timeout=5'],
      ['Accept-Encoding', 'gzip, br'],
      ['User-Agent', 'somebody/1.0'],
      ['X-Custom', '1'],
    ] as const;
    await gateway.post(CHAT, chat(model), { headers: [gateway.auth, ...passed, ...kept] });
    const seen = new Map(
      (workOf(fake).at(-1)?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value] as const),
    );
    for (const [name, value] of passed) expect(seen.get(name.toLowerCase())).toBe(value);
    expect([...seen.keys()].sort()).toEqual(
      [
        ...passed.map(([name]) => name.toLowerCase()),
        'accept-encoding',
        'content-length',
        'host',
        'user-agent',
      ].sort(),
    );
    expect([seen.get('accept-encoding'), seen.get('user-agent')]).toEqual(['identity', 'flm']);
  });
});

test('a model whose name needs escapes keeps it, both ways', async () => {
  await using gateway = await startGateway();
  const name = 'org/möd"el\\🦙:latest';
  const fake = await gateway.addFake('openai', { models: [name] });
  for (const stream of [false, true]) {
    const answer = await gateway.post(CHAT, chat(`flm://openai/${name}`, { stream }));
    const text = stream ? (readStream(answer.body).data[0] ?? '') : answer.body.toString();
    expect(jsonIn(text)?.model).toBe(`flm://openai/${name}`);
    expect(jsonIn(workOf(fake).at(-1)?.body.toString() ?? '')?.model).toBe(name);
  }
});

test('headers that come twice stay two values, and FLM alone says which engine it was', async () => {
  const headers = [
    'X-Many: 1',
    'X-Many: 2',
    'X-Flm-Engine: pretender',
    'X-Request-Id: theirs',
    'Set-Cookie: a=1',
  ];
  await using engine = await startScripted(async (_, wire) => {
    await wire.write(whole('200 OK', '{"object":"chat.completion","choices":[]}', headers));
    return 'keep-alive';
  });
  await using gateway = await startGateway();
  await gateway.addEngine('openai', engine.url, { id: 'scripted' });
  const answer = await gateway.post(CHAT, chat('scripted'));
  expect(headerOf(answer, 'x-many')).toBe('1, 2');
  expect(headerOf(answer, 'x-flm-engine')).toBe('scripted');
  expect(headerOf(answer, 'x-request-id')).not.toContain('theirs');
  expect(headerOf(answer, 'set-cookie')).toBeNull();
});

test('an engine that answers a question for usage in every chunk (as OpenAI does): the client never sees it', async () => {
  const say = (json: object, asked: boolean) =>
    `data: ${JSON.stringify({ ...json, ...(asked ? { usage: null } : {}) })}\n\n`;
  await using engine = await startScripted(async (request, wire) => {
    const asked = request.body.includes('"include_usage":true');
    const events = [
      say({ choices: [{ delta: { content: 'a, "usage":null' }, finish_reason: null }] }, asked),
      say({ choices: [{ delta: {}, finish_reason: 'stop' }] }, asked),
      ...(asked ? ['data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'] : []),
      DONE,
    ];
    await wire.write(Buffer.concat([STREAM_HEAD, ...events.map(chunkOf), LAST_CHUNK]));
    return 'keep-alive';
  });
  await using gateway = await startGateway();
  await gateway.addEngine('openai', engine.url, { id: 'scripted' });
  const body = JSON.stringify(chat('scripted', { stream: true }));
  const direct = await ask(engine.url, { target: CHAT, body });
  const through = await gateway.post(CHAT, body);
  expect(through.body.toString()).toBe(direct.body.toString());
  await gateway.settled();
  expect(gateway.account().requests[0]?.usage).toEqual({
    promptTokens: 3,
    completionTokens: 2,
    cachedTokens: null,
    reasoningTokens: null,
  });
});

test('other fields of an event, its line ends and a missing last empty line survive a new model name', async () => {
  const said = [
    ': welcome\r\n\r\n',
    'event: message\r\nid: 7\r\ndata:{"model":"scripted","choices":[{"finish_reason":null}]}\r\nretry: 10\r\n\r\n',
    'data: {"model":"scripted","choices":[{"finish_reason":"stop"}]}',
  ];
  await using engine = await startScripted(async (_, wire) => {
    await wire.write(STREAM_HEAD);
    for (const text of said) await wire.write(chunkOf(text));
    await wire.write(LAST_CHUNK);
    return 'keep-alive';
  });
  await using gateway = await startGateway();
  await gateway.addEngine('openai', engine.url, { id: 'scripted' });
  const answer = await gateway.post(CHAT, chat('flm://scripted/scripted', { stream: true }));
  expect(answer.body.toString()).toBe(said.join('').replaceAll('"scripted"', '"flm://scripted/scripted"'));
});

const ASK_USAGE = '"stream_options":{"include_usage":true},';
const HISTORY = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Hello.' },
  { role: 'user', content: [{ type: 'text', text: 'And now?' }] },
];
const TOOL_RESULT = [
  { role: 'user', content: 'Weather?' },
  {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{}' } }],
  },
  { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
];
const UNICODE = 'Grüße 日本語 🦙🎉 naïve Ελλάδα 👩‍👩‍👧 \u2028\u2029 \u0000 \uffff é \ud83d alone';
const ESCAPES = '\\u00e9\\ud83e\\udd99\\ud83d\\n\\t\\"\\\\\\/ \\u0000';
const BIG = 'x'.repeat(2 ** 20);
const LONG = [{ role: 'user', content: 'word '.repeat(3_000) }];

function escaped(text: string): string {
  return [...text].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
}

/** The same body asking for a stream, with the key where a client might put it. */
function withStream(body: string): string {
  const end = body.lastIndexOf('}');
  return `${body.slice(0, end)},"stream":true${body.slice(end)}`;
}
