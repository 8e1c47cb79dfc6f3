/** Names of models from a client's side: aliases, keys that may use them alone, and what the lists show. */
import { describe, expect, test } from 'bun:test';
import { isRecord } from '../../src/lib/json';
import { chat, type Gateway, MODEL, startGateway, workOf } from './support/gateway';
import type { Answer } from './support/raw';

const CHAT = '/v1/chat/completions';

const jsonOf = (answer: Answer): Record<string, unknown> => {
  const json: unknown = JSON.parse(answer.body.toString());
  if (!isRecord(json)) throw new Error('not an object');
  return json;
};

async function aliased(): Promise<Gateway> {
  const gateway = await startGateway();
  await gateway.app.models.setAlias({
    name: 'fast',
    places: [[{ model: 'gone' }], [{ model: MODEL.openai }]],
  });
  return gateway;
}

describe('a key with a list', () => {
  test('is told the same of a model that it may not use and of one that does not exist', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('ollama');
    await gateway.addFake('llamacpp', { reranking: true }, { id: 'internal' });
    await gateway.app.models.setAlias({ name: 'empty', places: [[{ model: 'gone' }]] });
    const { plain_key: key } = await gateway.app.keys.create({
      label: 'guest',
      models: [MODEL.ollama, 'later'],
    });
    const headers = [['Authorization', `Bearer ${key}`]] as const;
    const others = [
      MODEL.llamacpp,
      'never-there',
      'empty',
      `flm://internal/${MODEL.llamacpp}`,
      'flm://internal/none',
      'flm://nobody/none',
    ];
    for (const name of others) {
      for (const path of [CHAT, '/v1/responses', '/v1/rerank']) {
        const answer = await gateway.post(path, chat(name), { headers: [...headers] });
        const text = answer.body.toString();
        expect([name, path, answer.status, text]).toEqual([
          name,
          path,
          403,
          expect.stringContaining('This key may not use the model'),
        ]);
        expect(text.replaceAll(name, '')).not.toContain('internal');
      }
      const path = `/v1/models/${encodeURIComponent(name)}`;
      const shown = await fetch(gateway.url + path, { headers: { authorization: `Bearer ${key}` } });
      expect([name, shown.status, await shown.json()]).toMatchObject([
        name,
        403,
        {
          error: {
            code: 'model_not_allowed',
            message: expect.stringContaining('This key may not use the model'),
          },
        },
      ]);
    }
    // What is on the list and not there, and what is there and does not speak a route, it may know.
    const absent = await gateway.post(CHAT, chat('later'), { headers: [...headers] });
    expect([absent.status, jsonOf(absent).error]).toMatchObject([404, { code: 'model_not_found' }]);
    const silent = await gateway.post('/v1/rerank', chat(MODEL.ollama), { headers: [...headers] });
    expect([silent.status, silent.body.toString()]).toEqual([501, expect.not.stringContaining('internal')]);
    const told = await gateway.post('/v1/rerank', chat(MODEL.ollama));
    expect([told.status, told.body.toString()]).toEqual([501, expect.stringContaining('internal')]);
  });
});

test('a key that may not ask for anything is told nothing of any name', async () => {
  await using gateway = await startGateway();
  await gateway.addFake('openai');
  const { plain_key: key } = await gateway.app.keys.create({ label: 'reader', scopes: ['metrics'] });
  for (const name of [MODEL.openai, 'never-there']) {
    const answer = await gateway.post(CHAT, chat(name), { headers: [['Authorization', `Bearer ${key}`]] });
    expect([name, answer.status, jsonOf(answer).error]).toMatchObject([name, 403, { code: 'forbidden' }]);
  }
});

describe('an alias', () => {
  test('reaches its target by the target’s name, and the answer says the alias', async () => {
    await using gateway = await aliased();
    const fake = await gateway.addFake('openai');
    const answer = await gateway.post(CHAT, chat('fast'));
    expect([answer.status, jsonOf(answer).model]).toEqual([200, 'fast']);
    expect(workOf(fake).map(({ body }) => JSON.parse(String(body)).model)).toEqual([MODEL.openai]);
  });

  test('is all that a key may use which has it alone on its list', async () => {
    await using gateway = await aliased();
    await gateway.addFake('openai');
    const { plain_key: key } = await gateway.app.keys.create({ label: 'guest', models: ['fast'] });
    const headers = [['Authorization', `Bearer ${key}`]] as const;
    expect((await gateway.post(CHAT, chat('fast'), { headers: [...headers] })).status).toBe(200);
    for (const name of [MODEL.openai, `flm://openai/${MODEL.openai}`])
      expect((await gateway.post(CHAT, chat(name), { headers: [...headers] })).status).toBe(403);
    const get = async (path: string) =>
      (await fetch(gateway.url + path, { headers: { authorization: `Bearer ${key}` } })).json();
    const list: unknown = await get('/v1/models');
    expect(list).toMatchObject({ data: [{ id: 'fast', owned_by: 'flm' }] });
    expect(await get('/v1/models/fast')).toMatchObject({ id: 'fast' });
    expect(JSON.stringify(list)).not.toContain(MODEL.openai);
  });

  test('keeps its key in: the model that it hides is not the alias', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('openai');
    const other = await gateway.addFake('vllm');
    // The alias has the name of openai's model and stands for vllm's.
    await gateway.app.models.setAlias({ name: MODEL.openai, places: [[{ model: MODEL.vllm }]] });
    const hidden = `flm://openai/${MODEL.openai}`;
    const asked = [MODEL.openai, hidden, MODEL.vllm, `flm://vllm/${MODEL.vllm}`];
    const table: [string, number[]][] = [
      [MODEL.openai, [200, 403, 403, 403]],
      [`${MODEL.openai}*`, [200, 403, 403, 403]],
      [hidden, [403, 200, 403, 403]],
      [MODEL.vllm, [200, 403, 200, 200]],
      ['*', [200, 200, 200, 200]],
    ];
    for (const [entry, statuses] of table) {
      const { plain_key: key } = await gateway.app.keys.create({ label: 'guest', models: [entry] });
      const auth = [['Authorization', `Bearer ${key}`]] as const;
      const statusOf = async (model: string) =>
        (await gateway.post(CHAT, chat(model), { headers: [...auth] })).status;
      const answers: number[] = [];
      for (const model of asked) answers.push(await statusOf(model));
      expect([entry, answers]).toEqual([entry, statuses]);
      // Whatever the list shows, a request is let in for.
      const list: unknown = await (
        await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
      ).json();
      const ids = isRecord(list) && Array.isArray(list.data) ? list.data.map(({ id }) => String(id)) : [];
      expect(ids).not.toEqual([]);
      for (const id of ids) expect([entry, id, await statusOf(id)]).toEqual([entry, id, 200]);
    }
    expect([workOf(fake).length, workOf(other).length]).not.toContain(0);
  });

  test('of which nothing is there is a 404, as a name that does not exist, for any key', async () => {
    await using gateway = await aliased();
    const answer = await gateway.post(CHAT, chat('fast'));
    expect([answer.status, jsonOf(answer).error]).toMatchObject([
      404,
      { code: 'model_not_found', param: 'model' },
    ]);
    const { plain_key: key } = await gateway.app.keys.create({ label: 'guest', models: ['fast'] });
    for (const authorization of [gateway.auth[1], `Bearer ${key}`]) {
      const headers = { authorization };
      const asked = await gateway.post(CHAT, chat('fast'), { headers: [['Authorization', authorization]] });
      const shown = await fetch(`${gateway.url}/v1/models/fast`, { headers });
      for (const [status, text] of [
        [asked.status, asked.body.toString()],
        [shown.status, await shown.text()],
      ] as const) {
        expect([status, text]).toEqual([404, expect.stringContaining('model_not_found')]);
        expect(text).not.toMatch(/gone|alias/);
        expect(text).not.toContain(MODEL.openai);
      }
    }
  });
});
