/** Limits through the real gateway: each one refuses with 429 when it should, tells why, and gives back what was not used. */
import { expect, test } from 'bun:test';
import type { KeyInput } from '../../src/admission';
import type { Clock } from '../../src/contract';
import { manualClock, systemClock } from '../../src/lib/clock';
import { chat, type Gateway, MODEL, startGateway } from './support/gateway';
import { type Answer, ask, connectRaw, headerOf, wireRequest } from './support/raw';
import { until } from './support/until';

const CHAT = '/v1/chat/completions';

/** A clock whose monotonic time stands still unless told, so that no bucket refills meanwhile. */
function standing(): Clock & { advance(ms: number): void } {
  const still = manualClock();
  return { nowMs: systemClock.nowMs, monotonicMs: still.monotonicMs, advance: still.advance };
}

async function keyed(gateway: Gateway, input: Omit<KeyInput, 'label'>): Promise<string> {
  return (await gateway.app.keys.create({ label: 'limited', ...input })).plain_key;
}

function as(key: string, ...more: [string, string][]) {
  return { headers: [['Authorization', `Bearer ${key}`], ...more] as [string, string][] };
}

function codeOf(answer: Answer): string {
  return JSON.parse(answer.body.toString()).error.code;
}

const limitHeaders = (answer: Answer) =>
  answer.headers
    .filter(([name]) => name.toLowerCase().startsWith('x-ratelimit-'))
    .map(([name]) => name.toLowerCase());

test('requests a minute: told on every answer, streams too; 429 with bare seconds; free again after them', async () => {
  const clock = standing();
  await using gateway = await startGateway({ clock });
  await gateway.addFake('openai');
  const key = await keyed(gateway, { requests_per_minute: 3, burst: 2 });
  const send = (fields = {}) => gateway.post(CHAT, chat(MODEL.openai, fields), as(key));

  const first = await send();
  const told = (answer: Answer, name: string) => headerOf(answer, `x-ratelimit-${name}`);
  expect([told(first, 'limit-requests'), told(first, 'remaining-requests')]).toEqual(['3', '1']);
  expect(told(first, 'reset-requests')).toBe('1m0s');
  expect([told(first, 'limit'), told(first, 'remaining')]).toEqual(['2', '1']);
  const resetS = Number(told(first, 'reset')) - Date.now() / 1_000;
  expect(resetS).toBeGreaterThan(55);
  expect(resetS).toBeLessThan(62);
  expect(told(first, 'limit-tokens')).toBeNull();

  const stream = await send({ stream: true });
  expect([stream.status, told(stream, 'remaining-requests')]).toEqual([200, '0']);

  const refused = await send();
  expect([refused.status, codeOf(refused), headerOf(refused, 'retry-after')]).toEqual([
    429,
    'rate_limit_exceeded',
    '20',
  ]);
  expect(told(refused, 'remaining-requests')).toBe('0');
  clock.advance(19_999);
  expect((await send()).status).toBe(429);
  clock.advance(1);
  // What was refused did not count.
  expect((await send()).status).toBe(200);
});

test('the list of models counts, and other keys are told nothing of limits they have not', async () => {
  await using gateway = await startGateway({ clock: standing() });
  await gateway.addFake('openai');
  const key = await keyed(gateway, { requests_per_minute: 1 });
  const list = (request: ReturnType<typeof as>) =>
    ask(gateway.url, { method: 'GET', target: '/v1/models', ...request });
  const answer = await list(as(key));
  expect([answer.status, headerOf(answer, 'x-ratelimit-remaining-requests')]).toEqual([200, '0']);
  expect((await list(as(key))).status).toBe(429);
  expect((await gateway.post(CHAT, chat(MODEL.openai), as(key))).status).toBe(429);

  expect(limitHeaders(await list(as(gateway.key)))).toEqual([]);
  expect(limitHeaders(await gateway.post(CHAT, chat(MODEL.openai)))).toEqual([]);
});

test('tokens a minute: reserved by what is asked for, settled with what was used', async () => {
  const clock = standing();
  await using gateway = await startGateway({ clock });
  await gateway.addFake('openai');
  const key = await keyed(gateway, { tokens_per_minute: 1_000 });
  const send = (max: number) => gateway.post(CHAT, chat(MODEL.openai, { max_tokens: max }), as(key));
  const remaining = (answer: Answer) => Number(headerOf(answer, 'x-ratelimit-remaining-tokens'));

  const first = await send(500);
  expect(first.status).toBe(200);
  expect(remaining(first)).toBeLessThan(500);
  const { total_tokens: used } = JSON.parse(first.body.toString()).usage;
  await gateway.settled();
  const second = await send(500);
  expect(second.status).toBe(200);
  // The first one's reservation became what it used.
  expect(remaining(first) - remaining(second)).toBe(used);

  const large = await send(990);
  expect([large.status, codeOf(large)]).toEqual([429, 'rate_limit_exceeded']);
  expect(JSON.parse(large.body.toString()).error.message).toContain('Too many tokens');
  expect(headerOf(large, 'retry-after')).toMatch(/^\d+$/);
});

test('a client that leaves before the end has used at least what it was sent', async () => {
  await using gateway = await startGateway({ clock: standing() });
  const fake = await gateway.addFake('openai', { tokens: 1_000_000 });
  const key = await keyed(gateway, { tokens_per_minute: 100_000 });
  const response = await fetch(`${gateway.url}${CHAT}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(chat(MODEL.openai, { stream: true })),
  });
  const reader = response.body?.getReader();
  let had = 0;
  while (had < 3_000)
    had += new TextDecoder().decode((await reader?.read())?.value).split('data:').length - 1;
  await reader?.cancel();
  await gateway.settled();
  expect(fake.aborted()).toBe(1);
  const list = await ask(gateway.url, { method: 'GET', target: '/v1/models', ...as(key) });
  expect(Number(headerOf(list, 'x-ratelimit-remaining-tokens'))).toBeLessThan(97_100);
});

test('strangers are limited on paths where nothing is, and a client that is lost there is told', async () => {
  await using gateway = await startGateway({ clock: standing() });
  await gateway.app.policy.set({ document: { ip_rate_limit: { enabled: true, rpm: 2 } } });
  const lost = (headers: [string, string][]) => ask(gateway.url, { method: 'GET', target: '/nope', headers });
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await lost([])).status);
  expect(statuses).toEqual([404, 404, 429]);
  expect((await lost(as(gateway.key).headers)).status).toBe(404);
});

test('a request for a model that is nowhere counts as one, and no tokens of it', async () => {
  await using gateway = await startGateway({ clock: standing() });
  await gateway.addFake('openai');
  const key = await keyed(gateway, { tokens_per_minute: 1_000, requests_per_minute: 100 });
  const missing = await gateway.post(CHAT, chat('no such model', { max_tokens: 900 }), as(key));
  expect(missing.status).toBe(404);
  const list = await ask(gateway.url, { method: 'GET', target: '/v1/models', ...as(key) });
  expect(headerOf(list, 'x-ratelimit-remaining-tokens')).toBe('1000');
  expect(headerOf(list, 'x-ratelimit-remaining-requests')).toBe('98');
});

test.each([
  ['a model that is nowhere', chat('no such model'), 404],
  ['a body that is no JSON', 'not JSON', 400],
  ['no model', {}, 400],
  ['an engine that is nowhere', chat('flm://nowhere/model'), 404],
] as const)(
  '%s costs a request, so that names cannot be tried for nothing; nobody is banned',
  async (_, body, status) => {
    await using gateway = await startGateway({ clock: standing(), isExposed: true });
    await gateway.addFake('openai');
    const key = await keyed(gateway, { requests_per_minute: 30 });
    const away = as(key, ['X-Forwarded-For', '203.0.113.7']);
    const statuses = [];
    for (let i = 0; i < 32; i++) statuses.push((await gateway.post(CHAT, body, away)).status);
    expect(statuses).toEqual([...Array(30).fill(status), 429, 429]);
    expect((await gateway.app.security.bans({})).items).toEqual([]);
    const standings = await gateway.app.security.standing('203.0.113.7');
    expect([standings.failure_count, standings.intrusion_score, standings.anomaly_score]).toEqual([0, 0, 0]);
  },
);

test('a model that the key may not use, and a path where nothing is, cost a request', async () => {
  await using gateway = await startGateway({ clock: standing() });
  await gateway.addFake('openai');
  const key = await keyed(gateway, { requests_per_minute: 2, models: ['other'] });
  expect((await gateway.post(CHAT, chat(MODEL.openai), as(key))).status).toBe(403);
  const lost = () => ask(gateway.url, { method: 'GET', target: '/v1/nothing', ...as(key) });
  const told = await lost();
  expect([told.status, headerOf(told, 'x-ratelimit-remaining-requests')]).toEqual([404, '0']);
  expect((await lost()).status).toBe(429);
});

test.each([
  ['the key', 'this key'],
  ['all together', 'all clients together'],
  ['the address, where everybody counts', 'this address'],
] as const)('when the requests of %s are used up, the body is not waited for', async (which, whose) => {
  await using gateway = await startGateway({ clock: standing(), isExposed: true });
  await gateway.addFake('openai');
  const key = await keyed(gateway, which === 'the key' ? { requests_per_minute: 1 } : {});
  if (which === 'all together') await gateway.app.policy.set({ document: { global_rate_limit: { rpm: 1 } } });
  else if (which !== 'the key')
    await gateway.app.policy.set({ document: { ip_rate_limit: { rpm: 1, applies_to: 'everybody' } } });
  expect((await gateway.post(CHAT, chat(MODEL.openai), as(key))).status).toBe(200);

  // The body is announced and never comes, so that an answer can only come before it.
  const client = await connectRaw(gateway.url);
  client.send(
    `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Length: 40\r\n\r\n`,
  );
  const refused = await client.read();
  expect([refused.status, codeOf(refused)]).toEqual([429, 'rate_limit_exceeded']);
  expect(refused.body.toString()).toContain(whose);
  // What comes of it later is no request, and the next one is answered on the same connection.
  client.send('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'.slice(0, 40));
  const answers = () =>
    client
      .received()
      .toString('latin1')
      .match(/HTTP\/1\.1 \d+/g) ?? [];
  client.send('GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.until(() => answers().length === 2);
  expect(answers()).toEqual(['HTTP/1.1 429', 'HTTP/1.1 200']);
  expect(client.ended()).toBe(false);
  client.close();
});

test('of a large body that is refused unread the connection is closed', async () => {
  await using gateway = await startGateway({ clock: standing() });
  await gateway.addFake('openai');
  const key = await keyed(gateway, { requests_per_minute: 1 });
  expect((await gateway.post(CHAT, chat(MODEL.openai), as(key))).status).toBe(200);
  const client = await connectRaw(gateway.url);
  client.send(
    `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Length: 9000000\r\n\r\n{`,
  );
  const refused = await client.read();
  expect([refused.status, headerOf(refused, 'connection')]).toEqual([429, 'close']);
  client.close();
});

test('parallel requests: the next one is refused while they last, and let in after', async () => {
  await using gateway = await startGateway();
  const fake = await gateway.addFake('openai', { tokenDelayMs: 20, tokens: 500 });
  const key = await keyed(gateway, { parallel_requests: 1 });
  const client = await connectRaw(gateway.url);
  const body = JSON.stringify(chat(MODEL.openai, { stream: true }));
  client.send(wireRequest({ target: CHAT, body, ...as(key) }));
  await until(() => fake.busy() === 1);
  const refused = await gateway.post(CHAT, chat(MODEL.openai), as(key));
  expect([refused.status, codeOf(refused), headerOf(refused, 'retry-after')]).toEqual([
    429,
    'rate_limit_exceeded',
    '1',
  ]);
  client.close();
  await gateway.settled();
  expect((await gateway.post(CHAT, chat(MODEL.openai, { max_tokens: 1 }), as(key))).status).toBe(200);
});

test('from where a key may be used is asked before a byte of the body is read', async () => {
  await using gateway = await startGateway();
  await gateway.addFake('openai');
  const away = await keyed(gateway, { cidrs: ['203.0.113.0/24'] });
  const near = await keyed(gateway, { cidrs: ['203.0.113.0/24', '127.0.0.0/8'] });
  const page = await keyed(gateway, { origins: ['https://app.example'] });
  const both = await keyed(gateway, { origins: ['https://app.example', 'none'] });
  const send = (
    request: ReturnType<typeof as>,
    body: string | Record<string, unknown> = chat(MODEL.openai),
  ) => gateway.post(CHAT, body, request);

  const refused = await send(as(away), 'this is not JSON');
  expect([refused.status, codeOf(refused)]).toEqual([403, 'key_address_refused']);
  expect((await send(as(near))).status).toBe(200);

  const foreign = await send(as(page, ['Origin', 'https://evil.example']), 'this is not JSON');
  expect([foreign.status, codeOf(foreign)]).toEqual([403, 'key_origin_refused']);
  expect((await send(as(page, ['Origin', 'https://app.example']))).status).toBe(200);
  expect((await send(as(page))).status).toBe(403);
  expect((await send(as(both))).status).toBe(200);
  expect((await send(as(both, ['Origin', 'null']))).status).toBe(403);
});

test('a change of a key holds from the next request on', async () => {
  await using gateway = await startGateway({ clock: standing() });
  await gateway.addFake('openai');
  const send = () => gateway.post(CHAT, chat(MODEL.openai));
  expect((await send()).status).toBe(200);
  await gateway.app.keys.update(gateway.keyId, { requests_per_minute: 1 });
  expect((await send()).status).toBe(200);
  expect((await send()).status).toBe(429);
  await gateway.app.keys.update(gateway.keyId, { requests_per_minute: 0 });
  expect((await send()).status).toBe(200);
});

test('who runs into a limit is counted, and on record once a minute', async () => {
  await using gateway = await startGateway({ clock: standing() });
  await gateway.addFake('openai');
  await gateway.app.keys.update(gateway.keyId, { requests_per_minute: 1 });
  for (let i = 0; i < 5; i++) await gateway.post(CHAT, chat(MODEL.openai));
  const rows = async () => (await gateway.app.audit.list({ type: 'security.limited' })).items;
  await gateway.settled();
  expect(await rows()).toMatchObject([
    { target: `key:${gateway.keyId}`, details: { limit: 'key', unit: 'requests' } },
  ]);
  const metrics = await ask(gateway.url, { method: 'GET', target: '/metrics', headers: [] });
  expect(metrics.body.toString()).toContain('flm_limits_exceeded_total{limit="key",unit="requests"} 4');
});
