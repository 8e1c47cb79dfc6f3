import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { createEgress, type Egress } from '../../src/egress';
import { systemClock } from '../../src/lib/clock';
import { FlmError } from '../../src/lib/errors';
import { type Answer, ask, type Door, type Question } from './ask';
import { findPlace, type Place } from './place';

interface Asked {
  readonly path: string;
  readonly authorization: string | null;
  readonly body: unknown;
}

/** A proxy that answers as the test wants and remembers what it was asked. */
let answer: (request: Request) => Response;
let asked: Asked[] = [];
let server: Bun.Server<undefined>;
let egress: Egress;
const at = (address: string): Place => ({ baseUrl: `http://${address}`, roots: null });
let door: Door;

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname: path } = new URL(request.url);
      asked.push({ path, authorization: request.headers.get('authorization'), body: await request.json() });
      return answer(request);
    },
  });
  egress = createEgress({ clock: systemClock });
  door = { egress, place: at(`127.0.0.1:${server.port}`), issueKey: async () => 'flm_key' };
});
afterEach(() => {
  asked = [];
});
afterAll(async () => {
  egress.close();
  await server.stop(true);
});

const question: Question = {
  model: 'small',
  messages: [{ role: 'user', content: 'Hello' }],
  stream: false,
  signal: new AbortController().signal,
};
const streamed: Question = { ...question, stream: true };

const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
const lastChunk = `data: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`;

function sse(...pieces: readonly (string | Uint8Array)[]): Response {
  const body = new ReadableStream({
    async pull(controller) {
      for (const piece of pieces) controller.enqueue(typeof piece === 'string' ? Buffer.from(piece) : piece);
      controller.close();
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

/** Asks, and keeps every piece of text that was handed out. */
async function collect(
  asking: Question,
  from: Door = door,
): Promise<{ texts: string[]; result: Answer | FlmError }> {
  const texts: string[] = [];
  const result = await ask(from, asking, (text) => texts.push(text)).catch((error: unknown) => {
    if (error instanceof FlmError) return error;
    throw error;
  });
  return { texts, result };
}

describe('an answer in one piece', () => {
  test('is handed out once, with what it cost', async () => {
    answer = () => Response.json({ choices: [{ message: { content: 'Hi there.' } }], usage });
    expect(await collect(question)).toEqual({
      texts: ['Hi there.'],
      result: { content: 'Hi there.', chunks: 1, usage },
    });
  });

  test('is asked for as any client would: with a key, and with nothing that was not said', async () => {
    answer = () => Response.json({ choices: [{ message: { content: '' } }] });
    await collect(question);
    const body = { model: 'small', messages: question.messages };
    expect(asked).toEqual([{ path: '/v1/chat/completions', authorization: 'Bearer flm_key', body }]);
  });

  test('carries what was said', async () => {
    answer = () => Response.json({ choices: [{ message: { content: '' } }] });
    await collect({ ...question, temperature: 0, maxTokens: 5 });
    expect(asked[0]?.body).toEqual({
      model: 'small',
      messages: question.messages,
      temperature: 0,
      max_tokens: 5,
    });
  });

  test('may come although a stream was asked for', async () => {
    answer = () => Response.json({ choices: [{ message: { content: 'All of it.' } }], usage });
    expect(await collect(streamed)).toEqual({
      texts: ['All of it.'],
      result: { content: 'All of it.', chunks: 1, usage },
    });
  });

  test('may hold nothing', async () => {
    answer = () => Response.json({ choices: [] });
    expect((await collect(question)).result).toEqual({ content: '', chunks: 1, usage: null });
  });
});

describe('a stream', () => {
  test('is handed out piece by piece, and its usage is asked for', async () => {
    answer = () => sse(chunk('Hi'), chunk(' there'), ': ping\n\n', chunk(''), lastChunk);
    expect(await collect(streamed)).toEqual({
      texts: ['Hi', ' there'],
      result: { content: 'Hi there', chunks: 2, usage },
    });
    expect(asked[0]?.body).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });

  test('is put together again where the network cut it, also within a character', async () => {
    const bytes = Buffer.from(chunk('Grüße 👋') + lastChunk);
    answer = () => sse(...Array.from(bytes, (byte) => Uint8Array.of(byte)));
    expect((await collect(streamed)).result).toEqual({ content: 'Grüße 👋', chunks: 1, usage });
  });

  test('that ends with an error says so, after what had come', async () => {
    const error = {
      message: 'The engine "gpu" cannot be reached.',
      type: 'server_error',
      code: 'network_error',
    };
    answer = () => sse(chunk('Hi'), `data: ${JSON.stringify({ error })}\n\n`);
    const { texts, result } = await collect(streamed);
    expect(texts).toEqual(['Hi']);
    expect(result).toMatchObject({ code: 'ENGINE_NETWORK_ERROR', message: error.message, exit: 1 });
  });
});

describe('a refusal', () => {
  test.each([
    [401, { message: 'No.', code: 'invalid_api_key' }, 'INVALID_API_KEY', 'No.'],
    [404, { message: 'No such model.', code: 'model_not_found' }, 'MODEL_NOT_FOUND', 'No such model.'],
    [429, { message: 'Later.', code: 'queue_full' }, 'QUEUE_FULL', 'Later.'],
    [502, { message: 'Gone.', code: 'network_error' }, 'ENGINE_NETWORK_ERROR', 'Gone.'],
    [500, { message: 'Oh.', code: 'internal_error' }, 'INTERNAL_ERROR', 'Oh.'],
    [400, { message: "The engine's own words", code: 400 }, 'ENGINE_API_ERROR', "The engine's own words"],
    [400, { message: 'Too long.', code: 'context_length_exceeded' }, 'ENGINE_API_ERROR', 'Too long.'],
    [500, null, 'ENGINE_API_ERROR', 'The engine gave no reason.'],
  ])('%i %j', async (status, error, code, message) => {
    answer = () => Response.json({ error }, { status });
    for (const each of [question, streamed])
      expect(await collect(each)).toMatchObject({ texts: [], result: { code, message } });
  });

  test('that is not even JSON', async () => {
    answer = () => new Response('<h1>Bad gateway</h1>', { status: 502 });
    expect((await collect(question)).result).toMatchObject({ code: 'ENGINE_API_ERROR' });
  });
});

describe('a proxy that has gone', () => {
  test('before it was asked', async () => {
    const closed = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
    const place = at(`127.0.0.1:${closed.port}`);
    await closed.stop(true);
    expect((await collect(question, { ...door, place })).result).toMatchObject({
      code: 'PROXY_NOT_RUNNING',
    });
  });

  test('in the middle of its answer', async () => {
    const dying = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket) {
          const head =
            'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';
          const text = chunk('Hi');
          socket.write(`${head}${text.length.toString(16)}\r\n${text}\r\n`);
          socket.end();
        },
      },
    });
    const { texts, result } = await collect(streamed, { ...door, place: at(`127.0.0.1:${dying.port}`) });
    dying.stop(true);
    expect(texts).toEqual(['Hi']);
    expect(result).toMatchObject({ code: 'PROXY_NOT_RUNNING' });
  });

  test.each([
    ['0.0.0.0', '127.0.0.1'],
    ['[::]', '[::1]'],
  ])('a listener on %s is asked on %s', async (bind, own) => {
    answer = () => Response.json({ choices: [{ message: { content: 'here' } }] });
    const hosts: (string | null)[] = [];
    await using everywhere = Bun.serve({
      port: 0,
      hostname: bind === '[::]' ? '::' : bind,
      fetch(request) {
        hosts.push(request.headers.get('host'));
        return answer(request);
      },
    });
    const open = { client_certificates: 'off', proxy_protocol: false } as const;
    const proxy = { running: true, mode: 'local-http', https_port: null, ...open } as const;
    const proxies = [{ ...proxy, listen_addr: `${bind}:${everywhere.port}` }];
    const place = await findPlace({ proxies }, { status: () => Promise.reject(new Error('no TLS here')) });
    if (place === null) throw new Error('no place');
    expect((await collect(question, { ...door, place })).result).toMatchObject({ content: 'here' });
    expect(hosts).toEqual([`${own}:${everywhere.port}`]);
  });
});

test('somebody who leaves gets the reason of leaving, and the proxy is told', async () => {
  const leaving = new AbortController();
  const gone = Promise.withResolvers<void>();
  answer = () => {
    const endless = new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.from(chunk('Hi'))),
      cancel: () => gone.resolve(),
    });
    return new Response(endless, { headers: { 'content-type': 'text/event-stream' } });
  };
  const reason = new DOMException('left', 'AbortError');
  const error: unknown = await ask(door, { ...streamed, signal: leaving.signal }, () =>
    leaving.abort(reason),
  ).catch((thrown: unknown) => thrown);
  expect(error).toBe(reason);
  await gone.promise;
});
