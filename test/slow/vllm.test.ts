/**
 * The executable in front of a real vLLM: known for what it is, asked by the clients that people have on every route it
 * speaks, and its answers equal to its own.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, streamText } from 'ai';
import OpenAI, { APIError, BadRequestError, NotFoundError } from 'openai';
import type { TestDir } from '../support/data-dir';
import { dataOf, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isMissing } from '../support/missing';
import { missingVllm, type RealVllm, startVllm } from './real-vllm';

setDefaultTimeout(300_000);

const noVllm = isMissing('a real vLLM behind the executable', await missingVllm());

const QUESTION = 'What is the capital of France?';
const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    // Without `strict` vLLM lets the model write what it likes, and one of this size writes anything.
    strict: true,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 12 }, unit: { type: 'string', enum: ['c', 'f'] } },
      required: ['city', 'unit'],
      additionalProperties: false,
    },
  },
};
const WEATHER_QUESTION = 'What is the weather in Paris? Use celsius.';
const CITY = {
  type: 'json_schema' as const,
  json_schema: {
    name: 'city',
    strict: true,
    schema: {
      type: 'object',
      properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } },
      required: ['city'],
      additionalProperties: false,
    },
  },
};

/** What a request is refused with. The SDK's promises do nothing before they are awaited, so `rejects` sees none. */
async function refusalOf(request: PromiseLike<unknown>): Promise<APIError> {
  try {
    await request;
  } catch (error) {
    if (error instanceof APIError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe.skipIf(noVllm)('a real vLLM behind the executable', () => {
  let vllm: RealVllm;
  let home: TestDir;
  let running: RunningFlm;

  beforeAll(async () => {
    vllm = await startVllm();
    console.log(`      vLLM ${vllm.version} was ready after ${(vllm.readyMs / 1_000).toFixed(0)} s`);
    home = testHome();
    await dataOf(home.env, ['engines', 'add', '--url', vllm.baseUrl, '--id', 'vllm']);
    running = await startFlm(home.env);
  });
  afterAll(async () => {
    try {
      expect(await running.stop()).toBe(0);
    } finally {
      // It is too large to be left behind, whatever went wrong.
      await vllm[Symbol.asyncDispose]();
      home[Symbol.dispose]();
    }
    expect(leftovers()).toEqual([]);
  });

  const clients = () => ({
    openai: new OpenAI({ baseURL: `${running.url}/v1`, apiKey: running.key, maxRetries: 0 }),
    anthropic: new Anthropic({ baseURL: running.url, apiKey: running.key, maxRetries: 0 }),
  });
  const question = () => ({
    model: vllm.model,
    messages: [{ role: 'user' as const, content: QUESTION }],
    temperature: 0,
    max_tokens: 24,
  });

  test('is known for what it is, on a port that says nothing, with its version and its context', async () => {
    expect(await dataOf(home.env, ['engines', 'list'])).toMatchObject({
      items: [
        {
          id: 'vllm',
          kind: 'vllm',
          version: vllm.version,
          status: { status: 'running-healthy' },
          models: [vllm.model],
        },
      ],
    });
    expect(await dataOf(home.env, ['models', 'list'])).toMatchObject({
      items: [{ id: vllm.model, uri: `flm://vllm/${vllm.model}`, loaded: true, context_length: 2048 }],
    });
  });

  test('is found by itself, by the command line of its process', async () => {
    using seeking = testHome({ FLM_ENGINE_DETECT: 'true' });
    const { items } = (await dataOf(seeking.env, ['engines', 'detect'])) as { items: { url: string }[] };
    expect(items.filter(({ url }) => new URL(url).port === `${vllm.port}`)).toMatchObject([
      { kind: 'vllm', version: vllm.version, models: [vllm.model] },
    ]);
  });

  describe('openai', () => {
    test('chat, with its fingerprint, and streamed with usage', async () => {
      const { openai } = clients();
      const whole = await openai.chat.completions.create(question());
      expect(whole.choices[0]?.message.content).toContain('Paris');
      expect(whole.choices[0]?.finish_reason).toBe('stop');
      expect(whole.system_fingerprint).toStartWith(`vllm-${vllm.version.split('+')[0]}`);
      const stream = await openai.chat.completions.create({
        ...question(),
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = '';
      let usage: OpenAI.CompletionUsage | null = null;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        usage = chunk.usage ?? usage;
      }
      expect(text).toBe(whole.choices[0]?.message.content ?? '');
      expect(usage).toMatchObject({
        prompt_tokens: whole.usage?.prompt_tokens,
        completion_tokens: whole.usage?.completion_tokens,
      });
    });

    test.each([
      ['named', { type: 'function' as const, function: { name: 'get_weather' } }, 'stop'],
      ['required', 'required' as const, 'tool_calls'],
    ] as const)('a tool call that is %s, streamed and not', async (_, choice, finish) => {
      const { openai } = clients();
      const asked = {
        ...question(),
        messages: [{ role: 'user' as const, content: WEATHER_QUESTION }],
        max_tokens: 120,
        tools: [WEATHER],
        tool_choice: choice,
      };
      const whole = (await openai.chat.completions.create(asked)).choices[0];
      const stream = await openai.chat.completions.stream(asked).finalChatCompletion();
      for (const each of [whole, stream.choices[0]]) {
        const call = each?.message.tool_calls?.[0];
        if (call?.type !== 'function') throw new Error('no tool call');
        expect(call.function.name).toBe('get_weather');
        expect(JSON.parse(call.function.arguments)).toEqual({
          city: expect.any(String),
          unit: expect.stringMatching(/^[cf]$/),
        });
      }
      expect(whole?.finish_reason).toBe(finish);
    });

    test('an answer by a JSON schema', async () => {
      const answer = await clients().openai.chat.completions.create({
        ...question(),
        max_tokens: 60,
        response_format: CITY,
      });
      expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({
        city: expect.stringMatching(/^(Paris|Rome)$/),
      });
    });

    test('logprobs', async () => {
      const answer = await clients().openai.chat.completions.create({
        ...question(),
        max_tokens: 3,
        logprobs: true,
        top_logprobs: 2,
      });
      const tokens = answer.choices[0]?.logprobs?.content ?? [];
      expect(tokens.map(({ token }) => token).join('')).toBe(answer.choices[0]?.message.content ?? '');
      expect(tokens.map(({ top_logprobs }) => top_logprobs.length)).toEqual([2, 2, 2]);
    });

    test('two choices, streamed and not; with temperature 0 vLLM refuses them', async () => {
      const { openai } = clients();
      const asked = { ...question(), temperature: 1, seed: 7, max_tokens: 5, n: 2 };
      const whole = await openai.chat.completions.create(asked);
      expect(whole.choices.map(({ index }) => index)).toEqual([0, 1]);
      expect(whole.system_fingerprint).toStartWith('vllm-');
      const told = new Map<number, string>();
      const fingerprints: string[] = [];
      for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true })) {
        for (const { index, delta } of chunk.choices)
          told.set(index, (told.get(index) ?? '') + (delta.content ?? ''));
        if (chunk.system_fingerprint) fingerprints.push(chunk.system_fingerprint);
      }
      expect([...told.keys()].sort()).toEqual([0, 1]);
      expect(new Set(fingerprints)).toEqual(new Set([whole.system_fingerprint ?? '']));
      console.log(`      n=2, streamed: ${fingerprints.length} chunks carry the fingerprint`);
      const refusal = await refusalOf(openai.chat.completions.create({ ...question(), n: 2 }));
      expect(refusal).toBeInstanceOf(BadRequestError);
      expect(refusal.message).toContain('greedy sampling');
    });

    test('responses, streamed and not', async () => {
      const { openai } = clients();
      const asked = { model: vllm.model, input: QUESTION, temperature: 0, max_output_tokens: 24 };
      const whole = await openai.responses.create(asked);
      expect(whole.output_text).toContain('Paris');
      expect(whole.usage?.output_tokens).toBeGreaterThan(3);
      let text = '';
      let last = '';
      for await (const event of await openai.responses.create({ ...asked, stream: true })) {
        if (event.type === 'response.output_text.delta') text += event.delta;
        last = event.type;
      }
      expect(text).toBe(whole.output_text);
      expect(last).toBe('response.completed');
    });

    test("embeddings: the engine's own 404", async () => {
      const { openai } = clients();
      const refusal = await refusalOf(openai.embeddings.create({ model: vllm.model, input: 'a red fox' }));
      expect(refusal).toBeInstanceOf(NotFoundError);
      expect(refusal.error).toEqual({ detail: 'Not Found' });
    });
  });

  describe('Anthropic', () => {
    const asked = () => ({
      model: vllm.model,
      messages: [{ role: 'user' as const, content: QUESTION }],
      max_tokens: 24,
      temperature: 0,
    });
    const textOf = ({ content }: Anthropic.Message) =>
      content.map((part) => (part.type === 'text' ? part.text : '')).join('');

    test('messages, streamed and not', async () => {
      const { anthropic } = clients();
      const whole = await anthropic.messages.create(asked());
      expect(textOf(whole)).toContain('Paris');
      expect(whole.usage.output_tokens).toBeGreaterThan(3);
      const final = await anthropic.messages.stream(asked()).finalMessage();
      expect(textOf(final)).toBe(textOf(whole));
      expect(final.stop_reason).toBe('end_turn');
    });

    test('count_tokens: what the message itself counts', async () => {
      const { anthropic } = clients();
      const { model, messages } = asked();
      const { input_tokens } = await anthropic.messages.countTokens({ model, messages });
      expect(input_tokens).toBe((await anthropic.messages.create(asked())).usage.input_tokens);
    });
  });

  test('ai with @ai-sdk/openai-compatible: text, and a stream', async () => {
    const provider = createOpenAICompatible({
      name: 'flm',
      baseURL: `${running.url}/v1`,
      apiKey: running.key,
    });
    const asked = {
      model: provider(`flm://vllm/${vllm.model}`),
      prompt: QUESTION,
      temperature: 0,
      maxOutputTokens: 24,
      maxRetries: 0,
    };
    const { text: whole } = await generateText(asked);
    expect(whole).toContain('Paris');
    let text = '';
    for await (const part of streamText(asked).textStream) text += part;
    expect(text).toBe(whole);
  });

  describe('the same request, direct and through FLM, gets the same answer', () => {
    const CHAT = '/v1/chat/completions';
    const messages = [{ role: 'user', content: QUESTION }];
    const prompt = 'The capital of France is';
    const stream = true;
    const usage = { stream, stream_options: { include_usage: true } };
    const responses = { input: QUESTION, max_output_tokens: 20, max_tokens: undefined };
    const tool = {
      messages: [{ role: 'user', content: WEATHER_QUESTION }],
      tools: [WEATHER],
      tool_choice: 'required',
      max_tokens: 120,
    };
    const REQUESTS: readonly (readonly [name: string, path: string, body: object, status: number])[] = [
      ['chat', CHAT, { messages }, 200],
      ['chat, streamed', CHAT, { messages, stream }, 200],
      ['chat, streamed with usage', CHAT, { messages, ...usage }, 200],
      [
        'chat, streamed with usage in every chunk',
        CHAT,
        { messages, stream, stream_options: { include_usage: true, continuous_usage_stats: true } },
        200,
      ],
      ['chat with logprobs', CHAT, { messages, logprobs: true, top_logprobs: 2, max_tokens: 4 }, 200],
      ['two choices', CHAT, { messages, temperature: 1, n: 2, max_tokens: 5 }, 200],
      ['a tool call', CHAT, tool, 200],
      ['a tool call, streamed', CHAT, { ...tool, stream }, 200],
      ['an answer by a schema', CHAT, { messages, response_format: CITY, max_tokens: 60 }, 200],
      ['completion', '/v1/completions', { prompt }, 200],
      ['completion, streamed', '/v1/completions', { prompt, stream }, 200],
      ['completion, streamed with usage', '/v1/completions', { prompt, ...usage }, 200],
      ['responses', '/v1/responses', responses, 200],
      ['responses, streamed', '/v1/responses', { ...responses, stream }, 200],
      ['messages', '/v1/messages', { messages }, 200],
      ['messages, streamed', '/v1/messages', { messages, stream }, 200],
      ['count_tokens', '/v1/messages/count_tokens', { messages }, 200],
      ['embeddings', '/v1/embeddings', { input: 'a red fox' }, 404],
      ['rerank', '/v1/rerank', { query: 'a', documents: ['b'] }, 404],
      ['no messages', CHAT, { messages: 'none' }, 400],
      ['more than its context', CHAT, { messages, max_tokens: 9_000 }, 400],
      ['more than its context, streamed', CHAT, { messages, max_tokens: 9_000, stream }, 400],
      ['stream_options without a stream', CHAT, { messages, stream_options: { include_usage: true } }, 400],
      ['messages that are none', '/v1/messages', { messages: 'none' }, 400],
      ['responses to nothing', '/v1/responses', { input: 7 }, 400],
    ];

    async function ask(url: string, path: string, body: object) {
      const response = await fetch(url + path, {
        method: 'POST',
        keepalive: false,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${running.key}` },
        body: JSON.stringify({ model: vllm.model, temperature: 0, seed: 1, max_tokens: 20, ...body }),
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
        .replaceAll(/"(id|item_id|response_id|call_id)":\s?"[^"]*"/g, '"$1":"*"')
        .replaceAll(/"(created|created_at|completed_at)":\s?[\d.]+/g, '"$1":0');
    }

    test.each(REQUESTS)('%s', async (_, path, body, status) => {
      // The second of two equal prompts counts what it remembers of the first.
      await ask(vllm.baseUrl, path, body);
      const direct = await ask(vllm.baseUrl, path, body);
      const through = await ask(running.url, path, body);
      expect(direct.status).toBe(status);
      expect(through).toEqual(direct);
    });
  });
});
