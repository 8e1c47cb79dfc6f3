/** What attackers found and may not find again: each of these once got through in the executable. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { FakeEngine } from '../fake';
import { chat, type Gateway, MODEL, startGateway } from './support/gateway';
import { ask, headerOf } from './support/raw';
import { CHAT } from './support/routes';

let gateway: Gateway;
let fake: FakeEngine;

beforeAll(async () => {
  gateway = await startGateway();
  fake = await gateway.addFake('openai');
});
afterAll(() => gateway[Symbol.asyncDispose]());

describe('a charset that an engine might believe', () => {
  // "+AG0-odel" is "model" in UTF-7: an engine that honours the charset reads a second key, which FLM has not checked.
  test.each([
    ['application/json; charset=utf-7', 'application/json'],
    ['application/json;charset=UTF-16', 'application/json'],
    ['application/json', 'application/json'],
    ['application/vnd.api+json; charset=utf-8; x=y', 'application/vnd.api+json'],
    ['text/plain; charset=utf-7', 'text/plain'],
    ['application/json, application/json; charset=utf-7', 'application/json'],
    ['; charset=utf-7', 'application/json'],
    ['garbage', 'application/json'],
  ])('%p reaches the engine as %p', async (sent, received) => {
    const body = `{"model":"${MODEL.openai}","messages":[],"+AG0-odel":"secret-model"}`;
    await ask(gateway.url, {
      target: CHAT,
      headers: [gateway.auth, ['Content-Type', sent]],
      body,
    });
    const header = fake.requests.at(-1)?.headers.filter(([name]) => name.toLowerCase() === 'content-type');
    expect(header?.map(([, value]) => value)).toEqual([received]);
  });
});

test('a key that may not use models does not learn which there are', async () => {
  const { plain_key: key } = await gateway.app.keys.create({ label: 'graphs', scopes: ['metrics'] });
  for (const target of ['/v1/models', `/v1/models/${MODEL.openai}`]) {
    const answer = await ask(gateway.url, {
      target,
      method: 'GET',
      headers: [['Authorization', `Bearer ${key}`]],
    });
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).not.toContain('"flm"');
  }
});

test('a header of an engine that is called like something every object has', async () => {
  await using engine = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request) =>
      new URL(request.url).pathname === '/v1/models'
        ? Response.json({ object: 'list', data: [{ id: 'odd', object: 'model' }] })
        : Response.json({ choices: [] }, { headers: { constructor: 'x', valueOf: 'y' } }),
  });
  await gateway.addEngine('openai', `http://127.0.0.1:${engine.port}`, { id: 'odd' });
  const answer = await gateway.post(CHAT, chat('odd'));
  expect([headerOf(answer, 'constructor'), headerOf(answer, 'valueof')]).toEqual(['x', 'y']);
});
