/** Each fake answers each recorded request as the real engine did: status, headers, keys, types, chunks, ending. */
import { afterAll, describe, expect, test } from 'bun:test';
import { listRecordings, maskAnswer, type Recording, readRecording } from './golden';
import { type FakeEngine, type FakeKind, type FakeModel, type FakeOptions, startFake } from './index';
import { asLocal, exchange, type RawAnswer } from './raw-client';

const open: FakeEngine[] = [];
afterAll(() => Promise.all(open.map((engine) => engine.close())));

/** Asks what was recorded. A close is waited for, and only so long that a missing one fails. */
function replay(engine: FakeEngine, recording: Recording, closes: boolean): Promise<RawAnswer> {
  const headOnly = recording.request.toString().startsWith('HEAD');
  return exchange(engine.url, asLocal(restore(recording.request)), { headOnly, watchMs: closes ? 2000 : 5 });
}

/** Long prompts are shortened in the recordings. */
function restore(request: Buffer): Buffer {
  const [head = '', body = ''] = request.toString().split('\r\n\r\n');
  if (!body.includes('word … ')) return request;
  const length = Number(/Content-Length: (\d+)/i.exec(head)?.[1] ?? 0);
  const missing = length - Buffer.byteLength(body.replace('word … ', ''));
  return Buffer.from(`${head}\r\n\r\n${body.replace('word … ', 'word '.repeat(missing / 5))}`);
}

/** How a kind of engine is held to its recordings. */
interface Held {
  /** Recordings that no fake repeats, and why. */
  readonly notSpoken: Readonly<Record<string, string>>;
  /** What the recorded server had been started with. */
  readonly options: (name: string) => FakeOptions;
  /** Whether chunks can be compared: recordings made with curl do not have them. */
  readonly framed: boolean;
}

/** LM Studio's two models, with the first in memory. */
const LOADED: readonly FakeModel[] = [
  { name: 'smollm2-135m-instruct', loaded: true },
  { name: 'text-embedding-nomic-embed-text-v1.5', capabilities: ['embedding'] },
];

const withKey = (name: string): FakeOptions => (name.startsWith('key-') ? { apiKey: 'test-key' } : {});

const HELD = {
  llamacpp: {
    notSpoken: {
      'chat-stream-progress': 'return_progress is for the real engine',
      'chat-stream-timings-per-token': 'so is timings_per_token',
      ping: 'comments in silence: no fault needs them yet',
      'slots-used': 'parameters of the last request of a slot',
      'slots-busy': 'the same',
      disconnect: 'times, in fake.test.ts',
      'connection-reused': 'in fake.test.ts',
      'connection-hundredth': 'in fake.test.ts',
      loading: 'in fake.test.ts',
    },
    options: (name) => ({ ...withKey(name), reranking: /rerank(?!-unsupported)/.test(name) }),
    framed: true,
  },
  ollama: {
    notSpoken: {
      disconnect: 'times, told in its README.md',
      queue: 'the same',
      'connection-reused': 'in fake.test.ts',
      'connection-reused-after-stream': 'in fake.test.ts',
      'connection-reused-after-error': 'in fake.test.ts',
      'connection-pipelined': 'in fake.test.ts',
      'error-queue-full': 'in fake.test.ts',
    },
    options: (name) => (name === 'ps' ? { models: [{ name: 'smollm2', loaded: true }] } : {}),
    framed: true,
  },
  lmstudio: {
    notSpoken: {},
    options: (name) => ({
      ...withKey(name),
      ...(name.endsWith('-loaded') ? { models: LOADED } : {}),
    }),
    framed: false,
  },
  openai: {
    notSpoken: { 'error-frame': 'in fake.test.ts' },
    options: (name) => ({ models: ['smollm2'], ...withKey(name) }),
    framed: false,
  },
  vllm: {
    notSpoken: {
      disconnect: 'times, told in its README.md',
      'key-by-route': 'a table, in fake.test.ts',
      'chat-stream-usage-forced': 'a server that was told to always send usage: fault usage-every-chunk',
      'error-frame': 'in fake.test.ts',
      'error-frame-engine-died': 'the same after content',
      'error-engine-died': 'the same, not streamed',
    },
    // Its server with a key also told of cached tokens.
    options: (name) => (name.startsWith('key-') ? { apiKey: 'sekrit', cachedTokens: 0 } : {}),
    framed: false,
  },
} as const satisfies Partial<Record<FakeKind, Held>>;

describe.each(Object.keys(HELD) as (keyof typeof HELD)[])('%s answers as recorded', (kind) => {
  const { notSpoken, options, framed }: Held = HELD[kind];
  const names = listRecordings(kind).filter((name) => !(name in notSpoken));
  test.each(names)('%s', async (name) => {
    const recording = readRecording(kind, name);
    const engine = await startFake(kind, options(name));
    open.push(engine);
    const closes = recording.connection.startsWith('closed by the server (FIN)');
    const answer = await replay(engine, recording, closes);
    expect(maskAnswer(answer, framed)).toEqual(maskAnswer(recording.answer, framed));
    expect(answer.ending).toBe(closes ? 'fin' : 'open');
  });
});
