/** What is told of a request when it is over: once for each, whatever became of it, and nothing of what was said. */
import { describe, expect, test } from 'bun:test';
import { EVERYTHING } from '../../src/activity/query';
import { chat, MODEL, requestIdOf, startGateway } from './support/gateway';
import { CHAT } from './support/routes';
import { until } from './support/until';

const model = MODEL.llamacpp;

describe('the record of a request', () => {
  test('that an engine answered in one piece', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model));
    const [record, ...others] = gateway.account().finished;
    expect(others).toEqual([]);
    expect(record).toMatchObject({
      ip: '127.0.0.1',
      method: 'POST',
      path: CHAT,
      principalId: gateway.keyId,
      model,
      engineId: 'llamacpp',
      attempts: 1,
      isStream: false,
      outcome: 'done',
      status: 200,
      errorCode: null,
      firstTokenMs: null,
      usage: { promptTokens: expect.any(Number), completionTokens: expect.any(Number) },
    });
    expect(record?.firstByteMs).toBeLessThanOrEqual(record?.durationMs ?? -1);
  });

  test('that was streamed ends with its last byte and not with its first', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('llamacpp', { tokenDelayMs: 5, tokens: 20 });
    await gateway.post(CHAT, chat(model, { stream: true }));
    const [record, ...others] = gateway.account().finished;
    expect(others).toEqual([]);
    expect(record).toMatchObject({ isStream: true, outcome: 'done', status: 200, errorCode: null });
    expect(record?.firstTokenMs).toBeGreaterThan(0);
    expect((record?.durationMs ?? 0) - (record?.firstByteMs ?? 0)).toBeGreaterThan(50);
  });

  test('whose client left', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('llamacpp', { tokenDelayMs: 20, tokens: 500 });
    const client = await gateway.start(CHAT, chat(model, { stream: true }));
    await until(() => fake.busy() === 1);
    client.close();
    await gateway.settled();
    expect(gateway.account().finished).toMatchObject([
      { outcome: 'aborted', errorCode: 'CLIENT_CLOSED_REQUEST', engineId: 'llamacpp' },
    ]);
  });

  test('that broke off in the middle of its stream', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('llamacpp', { fault: { kind: 'die-mid-stream' } });
    await gateway.post(CHAT, chat(model, { stream: true }));
    expect(gateway.account().finished).toMatchObject([
      { outcome: 'failed', status: 200, errorCode: 'ENGINE_NETWORK_ERROR' },
    ]);
  });

  test.each([
    ['a stranger', { headers: [] }, 401, 'INVALID_API_KEY', null],
    ['a model that nobody has', { body: 'nobody-has-it' }, 404, 'MODEL_NOT_FOUND', 'nobody-has-it'],
  ] as const)('of %s is one of a refusal', async (_name, given, status, errorCode, asked) => {
    await using gateway = await startGateway();
    await gateway.addFake('llamacpp');
    const body = chat('body' in given ? given.body : model);
    await gateway.post(CHAT, body, 'headers' in given ? { headers: given.headers } : {});
    expect(gateway.account().finished).toMatchObject([
      { outcome: 'refused', status, errorCode, model: asked, engineId: null, attempts: 0, usage: null },
    ]);
    expect(gateway.account().finished[0]?.principalId).toBe(asked === null ? null : gateway.keyId);
  });

  test('of a path that no route has holds the path and not its query', async () => {
    await using gateway = await startGateway();
    await fetch(`${gateway.url}/nothing/here?secret=1`);
    await fetch(`${gateway.url}/health`);
    expect(gateway.account().finished).toMatchObject([
      { path: '/nothing/here', method: 'GET', status: 404, outcome: 'refused', principalId: null },
      { path: '/health', status: 200, outcome: 'done' },
    ]);
  });

  test('that FLM itself ended, by closing without a stop before, is in the request log', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('llamacpp', { tokenDelayMs: 20, tokens: 5_000 });
    const client = await gateway.start(CHAT, chat(model, { stream: true }));
    await until(() => fake.busy() === 1);
    await gateway.app.close();
    const answer = await client.read();
    const id = requestIdOf(answer);
    // From the files: whatever was to be written has been.
    const [entry, ...others] = (
      await gateway.app.activity.list({ ...EVERYTHING, requestId: id }, { limit: 10, cursor: null })
    ).items;
    expect(others).toEqual([]);
    expect(entry).toMatchObject({ request_id: id, outcome: 'aborted', engine_id: 'llamacpp' });
    client.close();
  });
});
