/** What clients of one FLM have of each other, and of the engines behind it: nothing (docs/security.md). */
import { expect, test } from 'bun:test';
import { chat, MODEL, startGateway, workOf } from './support/gateway';
import { ask } from './support/raw';
import { CHAT } from './support/routes';

test('the same question of two clients is asked twice: FLM keeps no answer', async () => {
  await using gateway = await startGateway();
  const fake = await gateway.addFake('llamacpp');
  const other = await gateway.app.keys.create({ label: 'another client' });
  const body = JSON.stringify(chat(MODEL.llamacpp));
  for (const key of [gateway.key, other.plain_key, gateway.key]) {
    const answer = await ask(gateway.url, {
      target: CHAT,
      headers: [['Authorization', `Bearer ${key}`]],
      body,
    });
    expect(answer.status).toBe(200);
  }
  expect(workOf(fake).map(({ path }) => path)).toEqual([CHAT, CHAT, CHAT]);
});

test.each([
  ['POST', '/api/pull'],
  ['DELETE', '/api/delete'],
  ['POST', '/api/create'],
  ['POST', '/v1/load_lora_adapter'],
  ['POST', '/sleep'],
  ['POST', '/slots/0?action=erase'],
  ['POST', '/props'],
  ['POST', '/models/load'],
  ['POST', '/v1/../api/pull'],
])('%s %s, by which engines are managed, reaches none of them', async (method, target) => {
  await using gateway = await startGateway();
  const fakes = [
    await gateway.addFake('ollama'),
    await gateway.addFake('vllm'),
    await gateway.addFake('llamacpp'),
  ];
  const before = fakes.map((fake) => fake.requests.length);
  const answer = await ask(gateway.url, { method, target, headers: [gateway.auth], body: '{}' });
  expect(answer.status).toBe(404);
  expect(fakes.map((fake) => fake.requests.length)).toEqual(before);
});
