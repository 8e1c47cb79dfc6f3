/** The fakes answer as the recordings do, the same every time, and count what happened to each request. */
import { afterAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { maskAnswer, readEvents, readRecording } from './golden';
import { FAKE_KINDS, type FakeEngine, type FakeKind, type FakeOptions, startFake } from './index';
import { findHeader } from './message';
import { asLocal, buildRequest, connectRaw, exchange, type RawAnswer, type ReadOptions } from './raw-client';

const FRANCE = { messages: [{ role: 'user', content: 'What is the capital of France?' }] };
const open: FakeEngine[] = [];
afterAll(() => Promise.all(open.map((engine) => engine.close())));

async function start(kind: FakeKind, options: FakeOptions = {}): Promise<FakeEngine> {
  const engine = await startFake(kind, options);
  open.push(engine);
  return engine;
}

/** A fake with one model, `m`, which is asked for by name: some kinds insist. */
function startOne(kind: FakeKind, options: FakeOptions = {}): Promise<FakeEngine> {
  return start(kind, { models: ['m'], ...options });
}

function chat(fields: object = {}): Buffer {
  return asLocal(buildRequest('POST', '/v1/chat/completions', { model: 'm', ...FRANCE, ...fields }));
}

function ask(engine: FakeEngine, bytes: Buffer, options: ReadOptions = {}): Promise<RawAnswer> {
  return exchange(engine.url, asLocal(bytes), { watchMs: 0, ...options });
}

describe('llamacpp', () => {
  test('keeps a connection after a whole answer, until it is idle for too long', async () => {
    const engine = await start('llamacpp', { keepAliveMs: 30 });
    const connection = await connectRaw(engine.url);
    connection.send(chat());
    expect((await connection.read({ watchMs: 5 })).ending).toBe('open');
    connection.send(buildRequest('GET', '/health'));
    expect((await connection.read({ watchMs: 2000 })).ending).toBe('fin');
    expect(engine.requests.map(({ connection, turn }) => [connection, turn])).toEqual([
      [1, 1],
      [1, 2],
    ]);
  });

  test('closes with its hundredth answer', async () => {
    const engine = await start('llamacpp');
    const connection = await connectRaw(engine.url);
    for (let turn = 1; turn < 100; turn += 1) {
      connection.send(buildRequest('GET', '/health'));
      expect((await connection.read({ watchMs: 0 })).complete).toBe(true);
    }
    connection.send(buildRequest('GET', '/health'));
    const last = await connection.read({ watchMs: 2000 });
    expect(last.ending).toBe('fin');
    const recording = readRecording('llamacpp', 'connection-hundredth');
    expect(maskAnswer(last, true)).toEqual(maskAnswer(recording.answer, true));
  });

  test('refuses every route while loading, when status-503 is on everything', async () => {
    const engine = await start('llamacpp', { fault: { kind: 'status-503', on: 'everything' } });
    const recording = readRecording('llamacpp', 'loading');
    const answer = await ask(engine, recording.request);
    expect(answer.body.toString()).toBe(recording.answer.body.toString());
    expect(maskAnswer(answer, true)).toEqual(maskAnswer(recording.answer, true));
  });

  test('shows busy slots and deferred requests', async () => {
    const engine = await start('llamacpp', { slots: 1, fault: { kind: 'stall-before-headers' } });
    const clients = [await connectRaw(engine.url), await connectRaw(engine.url)];
    for (const client of clients) client.send(chat());
    while (engine.waiting() === 0) await Bun.sleep(1);
    const slots = await ask(engine, buildRequest('GET', '/slots'));
    expect(slots.body.toString().match(/"is_processing":(true|false)/g)).toEqual(['"is_processing":true']);
    const metrics = (await ask(engine, buildRequest('GET', '/metrics'))).body.toString();
    expect(metrics).toContain('llamacpp:requests_processing 1\n');
    expect(metrics).toContain('llamacpp:requests_deferred 1\n');
    for (const client of clients) client.close();
    await engine.idle();
    expect([engine.busy(), engine.aborted(), engine.served()]).toEqual([0, 2, 0]);
  });
});

describe('openai', () => {
  test('an error inside a stream', async () => {
    const engine = await startOne('openai', { fault: { kind: 'error-frame' } });
    const { answer } = readRecording('openai', 'error-frame');
    expect(maskAnswer(await ask(engine, chat({ stream: true })), false)).toEqual(maskAnswer(answer, false));
  });

  test('carries no fingerprint of an engine', async () => {
    const engine = await start('openai');
    for (const path of ['/v1/models', '/props', '/slots', '/version', '/api/tags', '/metrics', '/health']) {
      const { wire } = await ask(engine, buildRequest('GET', path));
      expect(wire.toString()).not.toMatch(/llama|vllm|ollama/i);
    }
  });
});

/** Who takes no notice of `n`, and whose embeddings take no lists of tokens. */
const ONE_CHOICE: readonly FakeKind[] = ['ollama', 'lmstudio'];
const NO_TOKEN_LISTS: readonly FakeKind[] = ['ollama'];
const NO_EMBEDDINGS: readonly FakeKind[] = ['vllm'];

describe.each(FAKE_KINDS)('%s', (kind) => {
  test('gives equal bytes for equal requests', async () => {
    for (const fields of [{}, { stream: true }, { stream: true, n: 2 }, { tools: [TOOL] }]) {
      const [one, two] = [await startOne(kind), await startOne(kind)];
      expect((await ask(one, chat(fields))).wire).toEqual((await ask(two, chat(fields))).wire);
    }
  });

  test('honours max_tokens, ignore_eos, n and stream_options', async () => {
    const engine = await startOne(kind, { tokens: 3 });
    const say = async (fields: object): Promise<string> => (await ask(engine, chat(fields))).body.toString();
    expect(await say({})).toContain('"The capital of"');
    expect(await say({})).toContain('"completion_tokens":4');
    expect(await say({ max_tokens: 2 })).toMatch(/"The capital".*"completion_tokens":2/);
    expect((await say({ n: 3 })).match(/"The capital of"/g)).toHaveLength(ONE_CHOICE.includes(kind) ? 1 : 3);
    const long = await say({ stream: true, ignore_eos: true, max_tokens: 20 });
    expect(long.match(/"content":"[^"]/g)).toHaveLength(20);
    expect(await say({ stream: true })).not.toContain('"usage"');
    expect(await say({ stream: true, stream_options: { include_usage: true } })).toMatch(
      /"choices":\[\].*"usage"/,
    );
  });

  test('calls a tool, with arguments that its schema allows, and talks once it has the result', async () => {
    const engine = await startOne(kind);
    const whole = await ask(engine, chat({ tools: [TOOL] }));
    const call = JSON.parse(whole.body.toString()).choices[0];
    expect(call.finish_reason).toBe('tool_calls');
    expect(JSON.parse(call.message.tool_calls[0].function.arguments)).toEqual({ city: 'Paris', unit: 'c' });
    const streamed = await ask(engine, chat({ tools: [TOOL], stream: true }));
    const deltas = readEvents(streamed.body)
      .slice(0, -1)
      .map((event) => JSON.parse(event).choices[0]?.delta);
    const calls = deltas.flatMap((delta) => delta?.tool_calls ?? []);
    expect(calls[0].function.name).toBe('get_weather');
    expect(calls.map((each) => each.function.arguments ?? '').join('')).toBe('{"city":"Paris","unit":"c"}');
    const after = [...FRANCE.messages, { role: 'tool', content: 'sunny', tool_call_id: 'x' }];
    const told = await ask(engine, chat({ tools: [TOOL], messages: after }));
    expect(told.body.toString()).toContain('"finish_reason":"stop"');
  });

  test.skipIf(NO_EMBEDDINGS.includes(kind))(
    'embeds strings, lists and token lists, as floats and as base64',
    async () => {
      const engine = await startOne(kind);
      const embed = async (fields: object): Promise<unknown[]> => {
        const answer = await ask(engine, buildRequest('POST', '/v1/embeddings', { model: 'm', ...fields }));
        return JSON.parse(answer.body.toString()).data.map((row: { embedding: unknown }) => row.embedding);
      };
      const [hello] = await embed({ input: 'hello' });
      expect(await embed({ input: ['world', 'hello'] })).toEqual([expect.any(Array), hello]);
      if (!NO_TOKEN_LISTS.includes(kind)) expect(await embed({ input: [1, 2, 3] })).toHaveLength(1);
      const [base64] = await embed({ input: 'hello', encoding_format: 'base64' });
      const bytes = Buffer.from(String(base64), 'base64');
      expect([...new Float32Array(bytes.buffer, bytes.byteOffset, 8)]).toEqual([
        ...new Float32Array((hello as number[]).slice(0, 8)),
      ]);
    },
  );

  test('records requests byte for byte, chunked ones too', async () => {
    const engine = await startOne(kind);
    const json = JSON.stringify({ model: 'm', ...FRANCE });
    const head =
      'POST /v1/chat/completions?a=b HTTP/1.1\r\nhost: localhost\r\nX-Twice: 1\r\nX-Twice: 2\r\ntransfer-encoding: chunked\r\n\r\n';
    const chunks = `5\r\n${json.slice(0, 5)}\r\n${(json.length - 5).toString(16)}\r\n${json.slice(5)}\r\n0\r\n\r\n`;
    const answer = await ask(engine, Buffer.from(head + chunks));
    expect(answer.status).toBe(200);
    expect(engine.requests).toEqual([
      {
        method: 'POST',
        path: '/v1/chat/completions?a=b',
        version: '1.1',
        headers: [
          ['host', 'localhost'],
          ['X-Twice', '1'],
          ['X-Twice', '2'],
          ['transfer-encoding', 'chunked'],
        ],
        body: Buffer.from(json),
        connection: 1,
        turn: 1,
      },
    ]);
  });

  test.each([
    ['streaming', { stream: true }],
    ['not streaming', {}],
  ])('notices a client that leaves, %s', async (_, fields) => {
    const engine = await startOne(kind, { slots: 1, tokenDelayMs: 30_000 });
    for (const leave of ['close', 'reset'] as const) {
      const client = await connectRaw(engine.url);
      client.send(chat(fields));
      while (engine.busy() === 0) await Bun.sleep(1);
      client[leave]();
      await engine.idle();
    }
    expect([engine.busy(), engine.served(), engine.aborted()]).toEqual([0, 0, 2]);
  });

  test('works on no more requests at once than it has slots, in order', async () => {
    const engine = await startOne(kind, { slots: 2, tokens: 1, tokenDelayMs: 10 });
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, engine.busy());
    }, 1);
    const answers = await Promise.all(Array.from({ length: 7 }, () => ask(engine, chat())));
    clearInterval(watch);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect([most, engine.served(), engine.busy(), engine.waiting()]).toEqual([2, 7, 0, 0]);
  });

  test('meets a fault once or until healed, and spares probes', async () => {
    const engine = await startOne(kind);
    engine.setFaultOnce({ kind: 'status-429', retryAfterSeconds: 3 });
    expect((await ask(engine, buildRequest('GET', '/v1/models'))).status).toBe(200);
    const refused = await ask(engine, chat());
    expect([refused.status, findHeader(refused.headers, 'retry-after')]).toEqual([429, '3']);
    expect((await ask(engine, chat())).status).toBe(200);
    engine.setFault({ kind: 'status-500', on: 'everything' });
    expect((await ask(engine, buildRequest('GET', '/v1/models'))).status).toBe(500);
    engine.setFault(null);
    expect((await ask(engine, chat())).status).toBe(200);
  });

  test('listens on IPv6', async () => {
    const engine = await startOne(kind, { hostname: '::1' });
    expect(engine.url).toBe(`http://[::1]:${engine.port}`);
    expect((await ask(engine, chat())).status).toBe(200);
  });
});

test('runs as a process that obeys lines and ends with its standard input', async () => {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, 'main.ts'), 'llamacpp', '--slots', '2', '--stdin'],
    { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' },
  );
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const url = String((await lines.read()).value).trim();
  const send = (line: string): void => {
    child.stdin.write(`${line}\n`);
    child.stdin.flush();
  };
  expect((await exchange(url, chat(), { watchMs: 5 })).status).toBe(200);
  send('fault status-503');
  send('stats');
  expect(JSON.parse(String((await lines.read()).value))).toMatchObject({ served: 1, busy: 0 });
  expect((await exchange(url, chat(), { watchMs: 5 })).status).toBe(503);
  child.stdin.end();
  expect(await child.exited).toBe(0);
});

const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['c', 'f'] } },
    },
  },
};
