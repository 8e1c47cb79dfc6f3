/** The trial engine for real: pip's packages, llama.cpp's server, the 135M model, and processes that are killed. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTrial, type Trial, type TrialAddress, type TrialState } from '../../src/engines/trial';
import { systemClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { cachedTrial, missingTrialEngine } from './trial-engine';

const missing = await missingTrialEngine();

/** Loading the model on a busy machine takes its time, and so does a 135M model that shares two processors. */
const SLOW_MS = 90_000;

interface Tool {
  readonly name: string;
  readonly arguments: string;
}

interface Chat {
  readonly choices: readonly {
    readonly finish_reason: string;
    readonly message: {
      readonly content: string;
      readonly tool_calls?: readonly { readonly function: Tool }[];
    };
  }[];
}

describe.skipIf(missing !== null)('the real trial engine', () => {
  let trial: Trial;
  let address: TrialAddress;
  const listeners = new Set<(state: TrialState) => void>();

  /** The next state for which `matches` holds. */
  function nextState(matches: (state: TrialState) => boolean): Promise<TrialState> {
    const { promise, resolve } = Promise.withResolvers<TrialState>();
    const listener = (state: TrialState) => {
      if (!matches(state)) return;
      listeners.delete(listener);
      resolve(state);
    };
    listeners.add(listener);
    return promise;
  }

  async function ask<T>(path: string, body?: unknown): Promise<T> {
    // The engine closes connections that it promised to keep: a fresh one for each request.
    const response = await fetch(`${address.baseUrl}${path}`, {
      keepalive: false,
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    expect(response.status).toBe(200);
    return (await response.json()) as T;
  }

  const say = (content: string) => ({
    model: address.model,
    messages: [{ role: 'user', content }],
    temperature: 0,
    max_tokens: 60,
  });

  beforeAll(async () => {
    trial = cachedTrial((state) => {
      for (const listener of listeners) listener(state);
    });
    address = await trial.start();
  }, SLOW_MS);

  afterAll(() => trial.stop());

  test('listens on a loopback port and says so', async () => {
    const { pid, ...state } = trial.state();
    expect(pid).toBeGreaterThan(0);
    expect(address.baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(state).toEqual({
      installed: true,
      running: true,
      baseUrl: address.baseUrl,
      model: 'smollm2-135m-instruct',
      slots: 4,
      restarts: 0,
      error: null,
    });
    expect(await ask<unknown>('/health')).toEqual({ status: 'ok' });
  });

  test('has one model, its slots and its metrics', async () => {
    const models = await ask<{ data: { id: string; owned_by: string }[] }>('/v1/models');
    expect(models.data).toEqual([
      expect.objectContaining({ id: 'smollm2-135m-instruct', owned_by: 'llamacpp' }),
    ]);
    expect(await ask<unknown[]>('/slots')).toHaveLength(address.slots);
    expect(await ask<unknown>('/props')).toMatchObject({
      total_slots: address.slots,
      default_generation_settings: { n_ctx: 8192 },
    });
    const metrics = await fetch(`${address.baseUrl}/metrics`, { keepalive: false });
    expect(await metrics.text()).toContain('llamacpp:prompt_tokens_total');
  });

  test('lets no web page but local ones read its answers', async () => {
    const headers = { origin: 'https://page.example' };
    const response = await fetch(`${address.baseUrl}/health`, { headers, keepalive: false });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });

  test(
    'answers a chat',
    async () => {
      const answer = await ask<Chat>('/v1/chat/completions', say('What is the capital of France?'));
      expect(answer.choices[0]?.message.content).toContain('Paris');
    },
    SLOW_MS,
  );

  test(
    'embeds: equal texts equally, different ones differently',
    async () => {
      const input = ['a red fox', 'a red fox', 'tax law'];
      const answer = await ask<{ data: { embedding: number[] }[] }>('/v1/embeddings', {
        model: address.model,
        input,
      });
      const [a = [], b = [], c = []] = answer.data.map(({ embedding }) => embedding);
      const similarity = (x: number[], y: number[]) =>
        x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
      expect(a).toHaveLength(576);
      expect(similarity(a, b)).toBeCloseTo(1, 2);
      expect(similarity(a, c)).toBeLessThan(0.99);
    },
    SLOW_MS,
  );

  test(
    'calls a tool',
    async () => {
      const call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>';
      const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
      const answer = await ask<Chat>('/v1/chat/completions', {
        ...say(`Repeat this text exactly and nothing else:\n${call}`),
        tools: [{ type: 'function', function: { name: 'get_weather', description: 'Weather', parameters } }],
      });
      const [choice] = answer.choices;
      expect(choice?.finish_reason).toBe('tool_calls');
      const [tool] = choice?.message.tool_calls ?? [];
      expect(tool?.function.name).toBe('get_weather');
      expect(JSON.parse(tool?.function.arguments ?? '')).toEqual({ city: 'Paris' });
    },
    SLOW_MS,
  );

  test(
    'fills a JSON schema',
    async () => {
      const schema = {
        type: 'object',
        properties: { city: { enum: ['Paris', 'Rome'] } },
        required: ['city'],
        additionalProperties: false,
      };
      const answer = await ask<Chat>('/v1/chat/completions', {
        ...say('Which city is the capital of France?'),
        response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
      });
      const content: unknown = JSON.parse(answer.choices[0]?.message.content ?? '');
      expect(content).toEqual({ city: expect.stringMatching(/^(Paris|Rome)$/) });
    },
    SLOW_MS,
  );

  test(
    'is started again at the same address when it is killed',
    async () => {
      const { pid } = trial.state();
      if (pid === null) throw new Error('it does not run');
      const died = nextState(({ running }) => !running);
      const back = nextState(({ running, pid: newPid }) => running && newPid !== pid);
      process.kill(pid, 'SIGKILL');
      expect(await died).toMatchObject({ baseUrl: null, pid: null, error: 'it was ended by SIGKILL' });
      expect(await back).toMatchObject({ baseUrl: address.baseUrl, restarts: 1, error: null });
      expect(await ask<unknown>('/health')).toEqual({ status: 'ok' });
    },
    SLOW_MS,
  );

  test(
    'is not ended by a Ctrl-C that reaches the whole group',
    async () => {
      const { pid } = trial.state();
      if (pid === null) throw new Error('it does not run');
      process.kill(pid, 'SIGINT');
      await ask<Chat>('/v1/chat/completions', say('Are you still there?'));
      expect(trial.state()).toMatchObject({ running: true, pid });
    },
    SLOW_MS,
  );

  test(
    'does not outlive a parent that is killed',
    async () => {
      const parent = Bun.spawn([process.execPath, join(import.meta.dir, 'trial-parent.ts')], {
        stdout: 'pipe',
        stderr: 'inherit',
      });
      const [line = new Uint8Array()] = await Array.fromAsync(takeOne(parent.stdout));
      const state: TrialState = JSON.parse(new TextDecoder().decode(line));
      const { closed } = await connect(state);
      parent.kill('SIGKILL');
      const killedAtMs = performance.now();
      await parent.exited;
      await closed;
      expect(performance.now() - killedAtMs).toBeLessThan(3000);
      await expect(fetch(`${state.baseUrl}/health`, { keepalive: false })).rejects.toThrow();
    },
    SLOW_MS,
  );

  test(
    'stop() ends it, and start() brings it back',
    async () => {
      const { closed } = await connect(trial.state());
      await trial.stop();
      await closed;
      expect(trial.state()).toMatchObject({ installed: true, running: false, baseUrl: null, error: null });
      address = await trial.start();
      expect(await ask<unknown>('/health')).toEqual({ status: 'ok' });
    },
    SLOW_MS,
  );

  test(
    'stop() while it starts leaves nothing behind',
    async () => {
      await trial.stop();
      const starting = trial.start().catch((caught: unknown) => caught);
      await trial.stop();
      expect(await starting).toMatchObject({ code: 'TRIAL_FAILED', meta: { reason: 'it was stopped' } });
      expect(trial.state()).toMatchObject({ running: false, pid: null, error: null });
      address = await trial.start();
    },
    SLOW_MS,
  );

  test(
    'says that there is no network when the package index does not answer',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'flm-trial-offline-'));
      const nowhere = 'http://127.0.0.1:9/simple';
      const env = {
        ...process.env,
        PIP_INDEX_URL: nowhere,
        PIP_FIND_LINKS: '',
        PIP_RETRIES: '1',
        PIP_NO_CACHE_DIR: '1',
        UV_DEFAULT_INDEX: nowhere,
        UV_HTTP_RETRIES: '0',
        UV_NO_CACHE: '1',
      };
      const offline = createTrial({ dir, env, log: silentLog, clock: systemClock, onChange() {} });
      try {
        await expect(offline.install({ progress() {} })).rejects.toMatchObject({
          code: 'TRIAL_UNAVAILABLE',
          meta: { reason: 'the package index cannot be reached, is there a network?' },
        });
        expect(readdirSync(dir)).toEqual([]);
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
    SLOW_MS,
  );
});

async function* takeOne(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    yield chunk;
    return;
  }
}

/** Opens a connection to the engine; `closed` resolves when the engine's end closes it. */
async function connect({ baseUrl }: TrialState): Promise<{ closed: Promise<void> }> {
  const { hostname, port } = new URL(baseUrl ?? '');
  const closed = Promise.withResolvers<void>();
  await Bun.connect({
    hostname,
    port: Number(port),
    socket: { data() {}, close: () => closed.resolve(), error: () => closed.resolve() },
  });
  return { closed: closed.promise };
}
