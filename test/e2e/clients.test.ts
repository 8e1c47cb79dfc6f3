/** The clients that people have, through the executable: the OpenAI SDKs of npm and PyPI, and curl. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { type FakeEngine, startFake } from '../fake';
import { curl } from '../support/curl';
import type { TestDir } from '../support/data-dir';
import { dataOf, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isMissing, lacksProgram } from '../support/missing';
import { askWithNpm } from '../support/openai-npm';
import { askWithPypi, missingPypiSdk } from '../support/openai-pypi';
import { expectReport, QUESTION, SCHEMA, type Target, TOOL, TOOL_PROMPT } from '../support/openai-report';

setDefaultTimeout(30_000);

const noPypi = isMissing('the openai SDK of PyPI', await missingPypiSdk());
const noCurl = isMissing('curl', lacksProgram('curl'));

const MODEL = 'clients-model';
const LIMITED = 'limited-model';
const engines: FakeEngine[] = [];
let home: TestDir;
let running: RunningFlm;
let target: Target;

beforeAll(async () => {
  home = testHome();
  engines.push(await startFake('llamacpp', { models: [MODEL] }));
  engines.push(await startFake('openai', { models: [LIMITED], fault: { kind: 'status-429' } }));
  for (const engine of engines)
    await dataOf(home.env, ['engines', 'add', '--kind', engine.kind, '--url', engine.url]);
  running = await startFlm(home.env);
  target = { baseUrl: `${running.url}/v1`, key: running.key, model: MODEL, limitedModel: LIMITED };
});
afterAll(async () => {
  expect(await running.stop()).toBe(0);
  for (const engine of engines) await engine.close();
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

test('openai of npm: every call, and every refusal as its class of errors', async () => {
  const report = await askWithNpm(target);
  console.log(`      openai ${report.version} (npm)`);
  expectReport(report, target);
});

test.skipIf(noPypi)('openai of PyPI: every call, and every refusal as its class of errors', async () => {
  const report = await askWithPypi(target);
  console.log(`      openai ${report.version} (PyPI)`);
  expectReport(report, target);
});

test('the flm:// address of a model works as its name', async () => {
  const report = await askWithNpm({
    ...target,
    model: `flm://llamacpp-${new URL(engines[0]?.url ?? '').port}/${MODEL}`,
  }).catch((error: unknown) => error);
  // All but the list, which has plain names.
  expect(report).toMatchObject({ chat: { content: expect.stringContaining('Paris') } });
});

describe.skipIf(noCurl)('curl', () => {
  const chat = (extra: object) => ({
    model: MODEL,
    messages: [{ role: 'user', content: QUESTION }],
    ...extra,
  });
  const post = (path: string, body: unknown, key: string | null = running.key) =>
    curl(`${running.url}${path}`, key, body);

  test('asks for an answer, in one piece and streamed', async () => {
    const { status, body } = await post('/v1/chat/completions', chat({}));
    expect(status).toBe(200);
    const whole = JSON.parse(body).choices[0].message.content;
    expect(whole).toContain('Paris');

    const streamed = await post('/v1/chat/completions', chat({ stream: true }));
    expect(streamed.status).toBe(200);
    expect(streamed.body).toEndWith('data: [DONE]\n\n');
    const events = streamed.body.split('\n\n').filter((event) => event.startsWith('data: {'));
    const texts = events.map((event) => JSON.parse(event.slice(6)).choices[0]?.delta?.content ?? '');
    expect(texts.join('')).toBe(whole);
  });

  test('gets a tool call, an embedding, a filled schema', async () => {
    const tool = await post('/v1/chat/completions', {
      model: MODEL,
      messages: [{ role: 'user', content: TOOL_PROMPT }],
      tools: [TOOL],
    });
    const [call] = JSON.parse(tool.body).choices[0].message.tool_calls;
    expect(call.function.name).toBe('get_weather');
    expect(JSON.parse(call.function.arguments)).toEqual({ city: 'Paris' });

    const embedded = await post('/v1/embeddings', { model: MODEL, input: 'a red fox' });
    expect(JSON.parse(embedded.body).data[0].embedding.length).toBeGreaterThan(1);

    const format = { type: 'json_schema', json_schema: { name: 'answer', schema: SCHEMA } };
    const filled = await post('/v1/chat/completions', chat({ response_format: format }));
    expect(JSON.parse(JSON.parse(filled.body).choices[0].message.content)).toEqual({ city: 'Paris' });
  });

  test('lists the models, with what FLM knows beside them', async () => {
    const { status, body } = await curl(`${running.url}/v1/models`, running.key);
    expect(status).toBe(200);
    expect(
      JSON.parse(body)
        .data.map((entry: { id: string }) => entry.id)
        .sort(),
    ).toEqual([MODEL, LIMITED]);
    expect(JSON.parse(body).data[0].flm).toMatchObject({ uri: expect.stringMatching(/^flm:\/\//) });
  });

  test.each([
    ['no key', null, chat({}), 401, 'invalid_api_key'],
    ['a wrong key', 'flm_wrong', chat({}), 401, 'invalid_api_key'],
    ['no such model', '', chat({ model: 'none' }), 404, 'model_not_found'],
    ['no model at all', '', { messages: [] }, 400, 'invalid_model'],
  ])('is refused in words: %s', async (_, key, body, status, code) => {
    const refused = await post('/v1/chat/completions', body, key === '' ? running.key : key);
    expect(refused.status).toBe(status);
    const { error } = JSON.parse(refused.body);
    expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'request_id', 'type']);
    expect(error.code).toBe(code);
  });

  test('needs no key for /health and /ready', async () => {
    expect(await curl(`${running.url}/health`, null)).toEqual({ status: 200, body: '{"status":"ok"}' });
    expect((await curl(`${running.url}/ready`, null)).status).toBe(200);
  });
});
