/** What an answer of /v1/models says, and what it does not. */
import { describe, expect, test } from 'bun:test';
import { egressMap } from '../../../test/support/egress-map';
import { fakeEngine, headerOf } from '../../../test/support/fakes';
import { codeOf } from '../../../test/support/thrown';
import { openai, openaiProbe, parseModels } from '.';

const target = { baseUrl: 'http://127.0.0.1:1', credential: null };
const list = (...data: unknown[]) => ({ object: 'list', data });

describe('openaiProbe', () => {
  const running = { status: 'running-healthy', version: null, slots: null } as const;
  const needsKey = { status: 'needs-key' } as const;

  test.each([
    ['a list', 200, 'uvicorn', list({ id: 'm' }), running],
    ['an empty list', 200, '', list(), running],
    ['a list without `object`', 200, '', { data: [{ id: 'm' }] }, running],
    ['a list behind another proxy', 200, 'nginx', list({ id: 'm' }), running],
    ['a list of FLM itself', 200, 'flm', list({ id: 'm' }), null],
    ['FLM that wants a key', 401, 'flm', { error: { code: 'invalid_api_key' } }, null],
    ['a refusal in JSON', 401, 'uvicorn', { error: 'Unauthorized' }, needsKey],
    ['a refusal of another kind', 403, '', { error: { message: 'no' } }, needsKey],
    ['a refusal that is a page', 401, 'nginx', undefined, null],
    ['a refusal without an error', 401, '', { detail: 'x' }, null],
    ['a page', 200, 'Apache', undefined, null],
    ['JSON of something else', 200, '', { data: 'x' }, null],
    ['a list of something else', 200, '', list({ name: 'no id' }), null],
    ['an array', 200, '', [{ id: 'm' }], null],
    ['a list with an error status', 500, '', list({ id: 'm' }), null],
    ['nothing there', 404, '', { error: {} }, null],
  ])('%s', (_, status, server, json, probe) => {
    expect(openaiProbe({ status, server, json })).toEqual(probe);
  });
});

describe('parseModels', () => {
  test('takes what is told, and says null where it is not', () => {
    const json = list(
      { id: 'a', owned_by: 'me', created: 5, max_model_len: 2_048 },
      { id: 'org/b:7b', context_length: 4_096 },
      { id: 'c', owned_by: 7, created: -1, max_model_len: 0 },
    );
    const unknown = {
      otherNames: [],
      loaded: null,
      capabilities: ['chat', 'completions'] as const,
      family: null,
      parameters: null,
      quantization: null,
      sizeBytes: null,
    };
    expect(parseModels(target, 200, json)).toEqual([
      { id: 'a', ownedBy: 'me', createdSeconds: 5, contextLength: 2_048, ...unknown },
      { id: 'org/b:7b', ownedBy: 'unknown', createdSeconds: 0, contextLength: 4_096, ...unknown },
      { id: 'c', ownedBy: 'unknown', createdSeconds: 0, contextLength: null, ...unknown },
    ]);
  });

  test.each([
    [503, list({ id: 'm' })],
    [200, undefined],
    [200, { data: [{ id: '' }] }],
    [200, { data: [{ id: 5 }] }],
  ])('refuses a list that is none: %p %p', async (status, json) => {
    expect(await codeOf(() => parseModels(target, status, json))).toBe('ENGINE_API_ERROR');
  });
});

describe('open', () => {
  test('sends the request to its route with FLM’s own credential, and the body untouched', async () => {
    await using fake = await fakeEngine('openai', { apiKey: 'sk-engine' });
    using map = egressMap({ 'http://127.0.0.1:1': fake.url });
    const body = '{"model":"fake-model","messages":[{"role":"user","content":"ü"}]}';
    const call = {
      route: '/v1/chat/completions',
      headers: { 'content-type': 'application/json' },
      body,
    } as const;
    const io = { egress: map.egress, signal: new AbortController().signal };
    const answer = await openai.open({ ...target, credential: 'sk-engine' }, call, io);
    expect(answer.status).toBe(200);
    await answer.body.bytes();
    const [request] = fake.requests;
    expect([request?.method, request?.path, request?.body.toString()]).toEqual([
      'POST',
      '/v1/chat/completions',
      body,
    ]);
    expect([headerOf(fake, 0, 'authorization'), headerOf(fake, 0, 'content-type')]).toEqual([
      'Bearer sk-engine',
      'application/json',
    ]);
  });
});
