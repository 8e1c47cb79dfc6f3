/**
 * The executable in front of a real Ollama and the real llama.cpp server at once (issue #4, point 3): clients that people
 * have, on every route the two speak, answers equal to the engine's own, and a stop for whoever leaves.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isImpossible } from '../support/missing';
import { missingOllama, type RealOllama, startOllama } from './real-ollama';
import { missingTrialEngine, startTrialEngine, type TrialEngine } from './trial-engine';

setDefaultTimeout(90_000);

const noOllama = isImpossible('a real Ollama behind the executable', missingOllama());
const noTrial = await missingTrialEngine();

describe.skipIf(noOllama || noTrial !== null)('Ollama and llama.cpp behind the executable', () => {
  let ollama: RealOllama;
  let llama: TrialEngine;
  let home: TestDir;
  let running: RunningFlm;

  beforeAll(async () => {
    [ollama, llama] = await Promise.all([startOllama(), startTrialEngine()]);
    home = testHome();
    await dataOf(home.env, ['engines', 'add', '--url', ollama.baseUrl, '--id', 'ollama']);
    await dataOf(home.env, ['engines', 'add', '--url', llama.baseUrl, '--id', 'llama']);
    running = await startFlm(home.env);
  });
  afterAll(async () => {
    expect(await running.stop()).toBe(0);
    await Promise.all([ollama.stop(), llama.stop()]);
    home[Symbol.dispose]();
    expect(leftovers()).toEqual([]);
  });

  const models = () => [`flm://ollama/${ollama.model}:latest`, `flm://llama/${llama.model}`] as const;
  const QUESTION = 'What is the capital of France?';

  test('are known for what they are, with what their models are', async () => {
    expect(await dataOf(home.env, ['engines', 'list', '--engine', 'ollama'])).toMatchObject({
      items: [
        {
          id: 'ollama',
          kind: 'ollama',
          version: ollama.version,
          status: { status: 'running-healthy' },
          breaker: 'closed',
          capabilities: { chat: true, embeddings: false, tools: false },
          models: [`${ollama.model}:latest`],
        },
      ],
    });
    const list = (await dataOf(home.env, ['models', 'list', '--engine', 'ollama'])) as { items: unknown[] };
    expect(list.items).toMatchObject([
      {
        id: `${ollama.model}:latest`,
        uri: models()[0],
        capabilities: ['chat', 'completions'],
        quantization: 'Q4_1',
        family: 'llama',
      },
    ]);
  });

  test('a name without its tag is taken, and given back as it was written', async () => {
    const client = new OpenAI({ baseURL: `${running.url}/v1`, apiKey: running.key, maxRetries: 0 });
    const answer = await client.chat.completions.create({
      model: ollama.model,
      messages: [{ role: 'user', content: QUESTION }],
      temperature: 0,
      max_tokens: 24,
    });
    expect(answer.model).toBe(ollama.model);
    expect(answer.choices[0]?.message.content).toContain('Paris');
    expect((await client.models.retrieve(ollama.model)).id).toBe(ollama.model);
  });

  describe.each(['ollama', 'llama'] as const)('%s', (engine) => {
    const model = () => models()[engine === 'ollama' ? 0 : 1];
    const baseURL = () => `${running.url}/v1`;

    test('openai: chat, streamed with usage', async () => {
      const client = new OpenAI({ baseURL: baseURL(), apiKey: running.key, maxRetries: 0 });
      const stream = await client.chat.completions.create({
        model: model(),
        messages: [{ role: 'user', content: QUESTION }],
        temperature: 0,
        max_tokens: 24,
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = '';
      let usage: OpenAI.CompletionUsage | null = null;
      for await (const chunk of stream) {
        expect(chunk.model).toBe(model());
        text += chunk.choices[0]?.delta.content ?? '';
        usage = chunk.usage ?? usage;
      }
      expect(text).toContain('Paris');
      expect(usage?.completion_tokens).toBeGreaterThan(3);
    });

    test('openai: responses, streamed and not', async () => {
      const client = new OpenAI({ baseURL: baseURL(), apiKey: running.key, maxRetries: 0 });
      const asked = { model: model(), input: QUESTION, temperature: 0, max_output_tokens: 24 };
      const whole = await client.responses.create(asked);
      expect(whole.output_text).toContain('Paris');
      expect(whole.usage?.output_tokens).toBeGreaterThan(3);
      let text = '';
      let last = '';
      for await (const event of await client.responses.create({ ...asked, stream: true })) {
        if (event.type === 'response.output_text.delta') text += event.delta;
        last = event.type;
      }
      expect(text).toContain('Paris');
      expect(last).toBe('response.completed');
    });

    test('Anthropic: messages, streamed and not', async () => {
      const client = new Anthropic({ baseURL: running.url, apiKey: running.key, maxRetries: 0 });
      const asked = {
        model: model(),
        messages: [{ role: 'user' as const, content: QUESTION }],
        temperature: 0,
        max_tokens: 24,
      };
      const whole = await client.messages.create(asked);
      expect(whole.content.map((part) => (part.type === 'text' ? part.text : '')).join('')).toContain(
        'Paris',
      );
      expect(whole.model).toBe(model());
      expect(whole.usage.output_tokens).toBeGreaterThan(3);
      const final = await client.messages.stream(asked).finalMessage();
      expect(final.content.map((part) => (part.type === 'text' ? part.text : '')).join('')).toContain(
        'Paris',
      );
      expect(final.stop_reason).toMatch(/end_turn|max_tokens/);
    });

    test('Anthropic: refusals are its own classes of errors', async () => {
      const stranger = new Anthropic({ baseURL: running.url, apiKey: 'flm_wrong', maxRetries: 0 });
      const client = new Anthropic({ baseURL: running.url, apiKey: running.key, maxRetries: 0 });
      const asked = { model: model(), messages: [{ role: 'user' as const, content: 'hi' }], max_tokens: 1 };
      // Its promises begin to work when they are awaited, which `rejects` does not do.
      const failureOf = (request: Promise<unknown>) =>
        request.then(
          () => null,
          (error: unknown) => error,
        );
      expect(await failureOf(stranger.messages.create(asked))).toBeInstanceOf(Anthropic.AuthenticationError);
      const unknown = await failureOf(client.messages.create({ ...asked, model: 'no-such' }));
      expect(unknown).toBeInstanceOf(Anthropic.NotFoundError);
    });

    test('count_tokens and rerank: of those who speak it, and 501 with their names elsewhere', async () => {
      const post = async (path: string, body: object) => {
        const response = await fetch(baseURL() + path, {
          method: 'POST',
          headers: { authorization: `Bearer ${running.key}`, 'content-type': 'application/json' },
          body: JSON.stringify({ model: model(), ...body }),
        });
        return { status: response.status, json: (await response.json()) as Record<string, unknown> };
      };
      const count = await post('/messages/count_tokens', { messages: [{ role: 'user', content: QUESTION }] });
      if (engine === 'llama') {
        expect(count).toEqual({ status: 200, json: { input_tokens: expect.any(Number) } });
      } else {
        expect(count.status).toBe(501);
        expect(JSON.stringify(count.json)).toContain('llama');
        const rerank = await post('/rerank', { query: 'a', documents: ['b'] });
        expect(rerank.status).toBe(501);
      }
    });

    test('ai with @ai-sdk/openai-compatible: text, and a stream', async () => {
      const provider = createOpenAICompatible({ name: 'flm', baseURL: baseURL(), apiKey: running.key });
      const asked = {
        model: provider(model()),
        prompt: QUESTION,
        temperature: 0,
        maxOutputTokens: 24,
        maxRetries: 0,
      };
      expect((await generateText(asked)).text).toContain('Paris');
      let text = '';
      for await (const part of streamText(asked).textStream) text += part;
      expect(text).toContain('Paris');
    });
  });

  describe('the same request, direct and through FLM, gets the same answer from Ollama', () => {
    const messages = [{ role: 'user', content: QUESTION }];
    const base = { temperature: 0, seed: 1, max_tokens: 20 };
    const REQUESTS: readonly (readonly [name: string, path: string, body: object])[] = [
      ['chat', '/v1/chat/completions', { messages }],
      ['chat, streamed', '/v1/chat/completions', { messages, stream: true }],
      [
        'chat, streamed with usage',
        '/v1/chat/completions',
        { messages, stream: true, stream_options: { include_usage: true } },
      ],
      ['completion', '/v1/completions', { prompt: 'The capital of France is' }],
      ['completion, streamed', '/v1/completions', { prompt: 'The capital of France is', stream: true }],
      ['responses', '/v1/responses', { input: QUESTION, max_output_tokens: 20 }],
      ['responses, streamed', '/v1/responses', { input: QUESTION, max_output_tokens: 20, stream: true }],
      ['messages', '/v1/messages', { messages }],
      ['messages, streamed', '/v1/messages', { messages, stream: true }],
      ['embeddings of a model that has none', '/v1/embeddings', { input: 'a red fox' }],
      ['a refusal', '/v1/chat/completions', { messages: 'none' }],
    ];

    async function ask(url: string, path: string, body: object) {
      const response = await fetch(url + path, {
        method: 'POST',
        keepalive: false,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${running.key}` },
        body: JSON.stringify({ model: `${ollama.model}:latest`, ...base, ...body }),
      });
      return {
        status: response.status,
        type: response.headers.get('content-type'),
        body: comparable(await response.text()),
      };
    }

    /** Without what differs between any two runs: ids and times. */
    function comparable(text: string): string {
      return text
        .replaceAll(/"(id|item_id|response_id)":"[^"]*"/g, '"$1":"*"')
        .replaceAll(/"(created|created_at|completed_at)":\d+/g, '"$1":0');
    }

    test.each(REQUESTS)('%s', async (_, path, body) => {
      // The second of two equal prompts counts what it remembers of the first.
      await ask(ollama.baseUrl, path, body);
      const direct = await ask(ollama.baseUrl, path, body);
      const through = await ask(running.url, path, body);
      expect(through).toEqual(direct);
    });
  });

  describe('a client that leaves', () => {
    /** Ollama works on one request here: how long the next one has to wait shows when it stopped. */
    async function waitOfTheNext(): Promise<number> {
      const startedMs = performance.now();
      const response = await fetch(`${ollama.baseUrl}/v1/chat/completions`, {
        method: 'POST',
        keepalive: false,
        body: JSON.stringify({
          model: ollama.model,
          max_tokens: 1,
          messages: [{ role: 'user', content: 'Hi' }],
        }),
      });
      await response.text();
      return performance.now() - startedMs;
    }

    test.each([true, false])('stops Ollama (stream: %p)', async (stream) => {
      const quickMs = await waitOfTheNext();
      const leave = new AbortController();
      const asking = fetch(`${running.url}/v1/chat/completions`, {
        method: 'POST',
        keepalive: false,
        signal: leave.signal,
        headers: { authorization: `Bearer ${running.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: ollama.model,
          stream,
          max_tokens: 6_000,
          temperature: 2,
          messages: [{ role: 'user', content: 'Count from one to a thousand, in words, without a pause.' }],
        }),
      });
      if (stream) await (await asking).body?.getReader().read();
      else await Bun.sleep(1_000);
      leave.abort();
      await asking.catch(() => {});
      const waitedMs = await waitOfTheNext();
      console.log(
        `      stream ${stream}: the next request took ${waitedMs.toFixed(0)} ms (${quickMs.toFixed(0)} ms alone)`,
      );
      expect(waitedMs).toBeLessThan(quickMs + 2_000);
      await eventually(async () => {
        const status = (await dataOf(home.env, ['status'])) as { requests: number };
        return status.requests === 0;
      });
    });
  });
});
