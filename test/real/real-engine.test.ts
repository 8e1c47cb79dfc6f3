/**
 * The executable in front of the real llama.cpp server with its 135M model (issue #3, points 2 and 4): the clients that
 * people have, answers equal to the engine's own, and slots that are free again when a client is killed.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { isRecord } from '../../src/lib/json';
import { curl } from '../support/curl';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isMissing, lacksProgram } from '../support/missing';
import { askWithNpm } from '../support/openai-npm';
import { askWithPypi, missingPypiSdk } from '../support/openai-pypi';
import { expectReport, QUESTION, SCHEMA, type Target, TOOL, TOOL_PROMPT } from '../support/openai-report';
import { busySlots } from '../support/slots';
import { missingTrialEngine, startTrialEngine, type TrialEngine } from './trial-engine';

setDefaultTimeout(90_000);

const missing = await missingTrialEngine();
const noPypi = isMissing('the openai SDK of PyPI, with a real engine', await missingPypiSdk());
const noCurl = isMissing('curl, with a real engine', lacksProgram('curl'));

describe.skipIf(missing !== null)('the real engine behind the executable', () => {
  let engine: TrialEngine;
  let home: TestDir;
  let running: RunningFlm;
  let target: Target;

  beforeAll(async () => {
    engine = await startTrialEngine();
    home = testHome();
    await dataOf(home.env, ['engines', 'add', '--url', engine.baseUrl, '--id', 'real']);
    running = await startFlm(home.env);
    target = { baseUrl: `${running.url}/v1`, key: running.key, model: engine.model, limitedModel: null };
  });
  afterAll(async () => {
    expect(await running.stop()).toBe(0);
    await engine.stop();
    home[Symbol.dispose]();
    expect(leftovers()).toEqual([]);
  });

  test('is known for what it is', async () => {
    const list = await dataOf(home.env, ['engines', 'list']);
    expect(list).toMatchObject({
      items: [
        {
          id: 'real',
          kind: 'llamacpp',
          slots: engine.slots,
          status: { status: 'running-healthy' },
          models: [engine.model],
        },
      ],
    });
    expect(await dataOf(home.env, ['models', 'list'])).toMatchObject({
      items: [{ id: engine.model, uri: `flm://real/${engine.model}`, loaded: true, context_length: 8192 }],
    });
  });

  describe('answers', () => {
    test('openai of npm: chat, stream, tool call, embeddings, structured output, errors', async () => {
      expectReport(await askWithNpm(target), target);
    });

    test.skipIf(noPypi)('openai of PyPI: the same', async () => {
      expectReport(await askWithPypi(target), target);
    });

    test.skipIf(noCurl)('curl: the same', async () => {
      const post = async (path: string, extra: object) => {
        const body = { model: engine.model, temperature: 0, max_tokens: 24, ...extra };
        const { status, body: text } = await curl(`${running.url}/v1${path}`, running.key, body);
        expect(status).toBe(200);
        return text;
      };
      const messages = [{ role: 'user', content: QUESTION }];

      const whole = JSON.parse(await post('/chat/completions', { messages })).choices[0].message.content;
      expect(whole).toContain('Paris');

      const stream = await post('/chat/completions', { messages, stream: true });
      expect(stream).toEndWith('data: [DONE]\n\n');
      const events = stream.split('\n\n').filter((event) => event.startsWith('data: {'));
      expect(events.length).toBeGreaterThan(2);
      const texts = events.map((event) => JSON.parse(event.slice(6)).choices[0]?.delta?.content ?? '');
      expect(texts.join('')).toBe(whole);

      const called = await post('/chat/completions', {
        messages: [{ role: 'user', content: TOOL_PROMPT }],
        max_tokens: 60,
        tools: [TOOL],
      });
      const [call] = JSON.parse(called).choices[0].message.tool_calls;
      expect(call.function.name).toBe('get_weather');
      expect(JSON.parse(call.function.arguments)).toEqual({ city: 'Paris' });

      const embedded = await post('/embeddings', { input: 'a red fox' });
      expect(JSON.parse(embedded).data[0].embedding).toHaveLength(576);

      const format = { type: 'json_schema', json_schema: { name: 'answer', schema: SCHEMA } };
      const filled = await post('/chat/completions', { messages, response_format: format });
      expect(JSON.parse(JSON.parse(filled).choices[0].message.content)).toEqual({
        city: expect.stringMatching(/^(Paris|Rome)$/),
      });
    });
  });

  describe('the same request, direct and through FLM, gets the same answer', () => {
    // The engine's own parameter: what it remembers of earlier prompts would change what it counts.
    const base = { temperature: 0, seed: 1, cache_prompt: false, max_tokens: 20 };
    const messages = [{ role: 'user', content: QUESTION }];
    const tool = { messages: [{ role: 'user', content: TOOL_PROMPT }], tools: [TOOL], max_tokens: 60 };
    const format = { type: 'json_schema', json_schema: { name: 'answer', schema: SCHEMA } };

    const REQUESTS: readonly (readonly [name: string, path: string, body: object])[] = [
      ['chat', '/v1/chat/completions', { messages }],
      ['chat, streamed', '/v1/chat/completions', { messages, stream: true }],
      [
        'chat, streamed with usage',
        '/v1/chat/completions',
        { messages, stream: true, stream_options: { include_usage: true } },
      ],
      [
        'chat with logprobs',
        '/v1/chat/completions',
        { messages, logprobs: true, top_logprobs: 2, max_tokens: 4 },
      ],
      ['a tool call', '/v1/chat/completions', tool],
      ['a tool call, streamed', '/v1/chat/completions', { ...tool, stream: true }],
      ['structured output', '/v1/chat/completions', { messages, response_format: format }],
      ['completion', '/v1/completions', { prompt: 'The capital of France is', max_tokens: 6 }],
      [
        'completion, streamed',
        '/v1/completions',
        { prompt: 'The capital of France is', max_tokens: 6, stream: true },
      ],
      ['embeddings', '/v1/embeddings', { input: ['a red fox', 'tax law'] }],
      ['embeddings in base64', '/v1/embeddings', { input: 'a red fox', encoding_format: 'base64' }],
      ['a refusal', '/v1/chat/completions', { messages: 'none' }],
      ['another refusal', '/v1/chat/completions', { messages, temperature: 'hot' }],
    ];

    async function ask(url: string, path: string, body: object) {
      const response = await fetch(url + path, {
        method: 'POST',
        keepalive: false,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${running.key}` },
        body: JSON.stringify({ model: engine.model, ...base, ...body }),
      });
      const type = response.headers.get('content-type');
      return { status: response.status, type, body: comparable(await response.text()) };
    }

    /** Without what differs between any two runs: ids, times, measurements. */
    function comparable(text: string): unknown {
      const clean = (json: string) =>
        JSON.parse(json, (name, value) =>
          name === 'id' || name === 'created' || name === 'timings' ? '*' : value,
        );
      if (!text.startsWith('data: ')) return clean(text);
      return text.split('\n\n').map((event) => (event.startsWith('data: {') ? clean(event.slice(6)) : event));
    }

    test.each(REQUESTS)('%s', async (_, path, body) => {
      const direct = await ask(engine.baseUrl, path, body);
      const through = await ask(running.url, path, body);
      expect(through).toEqual(direct);
      expect([200, 400, 500]).toContain(direct.status);
    });
  });

  describe('a client that is killed', () => {
    /** Starts a client that asks for more than it will ever get. */
    function client(stream: boolean, url = running.url) {
      const body = {
        model: engine.model,
        stream,
        max_tokens: 4_000,
        ignore_eos: true,
        messages: [{ role: 'user', content: 'Count to a thousand.' }],
      };
      const words = [
        'curl',
        '-sN',
        `${url}/v1/chat/completions`,
        '-H',
        `Authorization: Bearer ${running.key}`,
      ];
      const child = Bun.spawn(
        [...words, '-H', 'Content-Type: application/json', '-d', JSON.stringify(body)],
        {
          stdout: 'ignore',
        },
      );
      return {
        async kill() {
          child.kill('SIGKILL');
          await child.exited;
        },
      };
    }

    const works = (count: number) =>
      eventually(async () => (await busySlots(engine.baseUrl)) === count, 20_000, 50);

    /** Requests that FLM knows of. */
    async function requestsIn(): Promise<number> {
      const status = await dataOf(home.env, ['status']);
      return isRecord(status) ? Number(status.requests) : -1;
    }

    test.skipIf(noCurl)('in the middle of a stream frees the slot within a second', async () => {
      const asking = client(true);
      await works(1);
      await asking.kill();
      const killedMs = performance.now();
      await eventually(async () => (await busySlots(engine.baseUrl)) === 0, 5_000, 20);
      const freeMs = performance.now() - killedMs;
      console.log(`      streaming: the slot was free ${freeMs.toFixed(0)} ms after the kill`);
      expect(freeMs).toBeLessThan(1_000);
      expect(await requestsIn()).toBe(0);
    });

    /**
     * llama.cpp looks whether the client of an answer in one piece is still there once a second, and starts that second
     * anew whenever it is asked for anything: so it is left alone, and looked at once.
     */
    async function freeAfterQuiet(url: string): Promise<number> {
      const asking = client(false, url);
      await works(1);
      await asking.kill();
      const killedMs = performance.now();
      for (let look = 0; look < 3; look++) {
        await Bun.sleep(look === 0 ? 1_050 : 1_200);
        if ((await busySlots(engine.baseUrl)) === 0) break;
      }
      return performance.now() - killedMs;
    }

    test.skipIf(noCurl)(
      'before an answer in one piece frees the slot as soon as the engine looks',
      async () => {
        const direct = await freeAfterQuiet(engine.baseUrl);
        const through = await freeAfterQuiet(running.url);
        console.log(
          `      not streaming: free ${direct.toFixed(0)} ms after the kill direct, ${through.toFixed(0)} ms through FLM`,
        );
        // FLM adds nothing that could be seen: the engine's own second is all there is.
        expect(through).toBeLessThan(Math.max(direct, 1_050) + 150);
        expect(await requestsIn()).toBe(0);
      },
    );

    test.skipIf(noCurl)('while it waits in the queue never reaches the engine', async () => {
      const working = Array.from({ length: engine.slots }, () => client(true));
      await works(engine.slots);
      const waiting = [client(true), client(false)];
      await eventually(async () => (await requestsIn()) === engine.slots + 2);
      expect(await busySlots(engine.baseUrl)).toBe(engine.slots);

      const killedMs = performance.now();
      await Promise.all(waiting.map((each) => each.kill()));
      await eventually(async () => (await requestsIn()) === engine.slots);
      const gone = performance.now() - killedMs;
      await Promise.all(working.map((each) => each.kill()));
      await eventually(async () => (await busySlots(engine.baseUrl)) === 0, 5_000, 20);
      const freeMs = performance.now() - killedMs;
      console.log(
        `      queued: gone from FLM after ${gone.toFixed(0)} ms; all slots free after ${freeMs.toFixed(0)} ms`,
      );
      expect(gone).toBeLessThan(1_000);
      expect(await requestsIn()).toBe(0);
      // Nothing of them arrives late.
      expect(await busySlots(engine.baseUrl)).toBe(0);
    });
  });
});
