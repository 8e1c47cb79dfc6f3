/** Web pages and FLM, over bare sockets: the policy in force, each kind of answer, and what browsers are told with it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { FakeEngine } from '../fake';
import type { HeaderPair } from '../fake/message';
import { chat, type Gateway, MODEL, startGateway, workOf } from './support/gateway';
import { type Answer, ask, headerOf, type WireRequest } from './support/raw';
import { CHAT } from './support/routes';
import { asRecord, jsonIn } from './support/sse';

const PAGE = 'https://chat.example';
const EVIL = 'https://evil.example';
/** FLM-084, on each answer that FLM gives itself. */
const SECURITY: readonly (readonly [name: string, value: RegExp])[] = [
  ['x-content-type-options', /^nosniff$/],
  ['x-frame-options', /^DENY$/],
  ['x-xss-protection', /^1; mode=block$/],
  ['referrer-policy', /^no-referrer$/],
  [
    'content-security-policy',
    /^default-src 'self'; script-src 'none'.*frame-ancestors 'none'; base-uri 'self'/,
  ],
  ['permissions-policy', /^accelerometer=\(\), camera=\(\), geolocation=\(\), .*usb=\(\)$/],
];

let gateway: Gateway;
let fake: FakeEngine;
let engine: Bun.Server<undefined>;
beforeAll(async () => {
  gateway = await startGateway({ settings: { 'proxy.header_grace_ms': 50 } });
  fake = await gateway.addFake('openai');
  engine = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request) =>
      new URL(request.url).pathname === '/v1/models'
        ? Response.json({ object: 'list', data: [{ id: 'open', object: 'model' }] })
        : Response.json(
            { choices: [] },
            {
              headers: {
                'access-control-allow-origin': '*',
                'access-control-allow-credentials': 'true',
                vary: 'Accept-Encoding',
                'x-frame-options': 'SAMEORIGIN',
              },
            },
          ),
  });
  await gateway.addEngine('openai', `http://127.0.0.1:${engine.port}`, { id: 'open' });
  await allow([EVIL.replace('evil', 'first'), PAGE]);
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await engine.stop(true);
});

async function allow(origins: readonly string[], more: object = {}): Promise<void> {
  await gateway.app.policy.set({ document: { cors: { allowed_origins: [...origins], ...more } } });
}

const origin = (value: string): HeaderPair => ['Origin', value];
const post = (body: object | string, headers: readonly HeaderPair[]): WireRequest => ({
  target: CHAT,
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const codeOf = (answer: Answer): unknown => asRecord(jsonIn(answer.body.toString())?.error)?.code;

type Kind = readonly [name: string, status: number, request: (more: readonly HeaderPair[]) => WireRequest];
const keyed = (more: readonly HeaderPair[]) => [gateway.auth, ...more];

/** Answers that FLM gives itself. */
const OWN: readonly Kind[] = [
  ['health', 200, (more) => ({ target: '/health', headers: keyed(more) })],
  ['the list of models', 200, (more) => ({ target: '/v1/models', headers: keyed(more) })],
  ['metrics', 403, (more) => ({ target: '/metrics', headers: keyed(more) })],
  ['a preflight', 204, (more) => ({ method: 'OPTIONS', target: CHAT, headers: more })],
  ['no JSON', 400, (more) => post('{', keyed(more))],
  ['a wrong key', 401, (more) => post({}, [['Authorization', 'Bearer flm_no'], ...more])],
  ['a Host that is none', 400, (more) => ({ target: CHAT, host: 'a,b', headers: keyed(more) })],
  ['a foreign Host', 403, (more) => ({ target: CHAT, host: 'other.example', headers: keyed(more) })],
  ['no such route', 404, (more) => ({ target: '/nope', headers: keyed(more) })],
  ['no such model', 404, (more) => post(chat('nope'), keyed(more))],
  ['a wrong method', 405, (more) => ({ target: CHAT, headers: keyed(more) })],
  ['a method of no route', 405, (more) => ({ method: 'TRACE', target: CHAT, headers: keyed(more) })],
  ['an encoded body', 415, (more) => post('x', [['Content-Encoding', 'gzip'], ...keyed(more)])],
];

/** Answers of engines. */
const RELAYED: readonly Kind[] = [
  ['a whole answer', 200, (more) => post(chat(MODEL.openai), keyed(more))],
  ['a stream', 200, (more) => post(chat(MODEL.openai, { stream: true }), keyed(more))],
  ['an answer that says who may read it', 200, (more) => post(chat('open'), keyed(more))],
  ['an error of the engine', 400, (more) => post({ model: MODEL.openai }, keyed(more))],
];

function corsOf({ headers }: Answer): Readonly<Record<string, string>> {
  const about = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(about.filter(([name]) => name.startsWith('access-control-')));
}

describe.each([...OWN, ...RELAYED])('%s', (_, status, request) => {
  test('a page that is allowed may read it', async () => {
    const answer = await ask(gateway.url, request([origin(PAGE)]));
    expect(answer.status).toBe(status);
    expect(corsOf(answer)).toMatchObject({ 'access-control-allow-origin': PAGE });
    expect(headerOf(answer, 'vary')).toContain('Origin');
    expect(headerOf(answer, 'access-control-allow-credentials')).toBeNull();
    expect(headerOf(answer, 'access-control-expose-headers')).toContain('x-request-id');
  });

  test.each([[origin(EVIL)], [origin(PAGE), origin(EVIL)], [origin('null')], []].map((headers) => [headers]))(
    'nobody else may: %j',
    async (headers) => {
      const answer = await ask(gateway.url, request(headers));
      expect(answer.status).toBe(status);
      expect(corsOf(answer)).toEqual({});
      expect(headerOf(answer, 'vary')).toContain('Origin');
    },
  );
});

describe('security headers (FLM-084)', () => {
  test.each(OWN)('are on what FLM says: %s', async (_, status, request) => {
    const answer = await ask(gateway.url, request([]));
    expect(answer.status).toBe(status);
    for (const [name, value] of SECURITY) expect(headerOf(answer, name)).toMatch(value);
  });

  test.each(RELAYED)("are the engine's own on what it says: %s", async (_, status, request) => {
    const answer = await ask(gateway.url, request([]));
    expect(answer.status).toBe(status);
    const isOpen = headerOf(answer, 'x-flm-engine') === 'open';
    expect(SECURITY.map(([name]) => headerOf(answer, name))).toEqual(
      SECURITY.map(([name]) => (isOpen && name === 'x-frame-options' ? 'SAMEORIGIN' : null)),
    );
  });
});

test('a stream that had to be opened before the engine spoke can be read by the page', async () => {
  fake.setFaultOnce({ kind: 'slow', delayMs: 700 });
  const answer = await ask(gateway.url, post(chat(MODEL.openai, { stream: true }), keyed([origin(PAGE)])));
  expect(answer.body.toString()).toContain('[DONE]');
  // It was FLM that opened it.
  expect(headerOf(answer, 'x-flm-engine')).toBeNull();
  expect(corsOf(answer)['access-control-allow-origin']).toBe(PAGE);
});

test('a preflight needs no key, and no engine hears of it', async () => {
  const before = fake.requests.length;
  const answer = await ask(gateway.url, {
    method: 'OPTIONS',
    target: CHAT,
    headers: [
      origin(PAGE),
      ['Access-Control-Request-Method', 'POST'],
      ['Access-Control-Request-Headers', 'authorization,content-type,x-stainless-lang'],
      ['Access-Control-Request-Private-Network', 'true'],
    ],
  });
  expect([answer.status, answer.body.length]).toEqual([204, 0]);
  expect(corsOf(answer)).toEqual({
    'access-control-allow-origin': PAGE,
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers': 'authorization,content-type,x-stainless-lang',
    'access-control-allow-private-network': 'true',
    'access-control-expose-headers': expect.any(String),
    'access-control-max-age': '3600',
  });
  expect(fake.requests).toHaveLength(before);
});

test('a page of somebody else that shows no key is refused before anybody asks who it is', async () => {
  const before = workOf(fake).length;
  // What a page can send to any address without asking: a form, or text.
  const answer = await ask(
    gateway.url,
    post(chat(MODEL.openai), [origin(EVIL), ['Content-Type', 'text/plain']]),
  );
  expect([answer.status, codeOf(answer)]).toEqual([403, 'origin_not_allowed']);
  expect(corsOf(answer)).toEqual({});
  for (const target of ['/health', '/metrics', '/v1/models', '/nope'])
    expect((await ask(gateway.url, { target, headers: [origin(EVIL)] })).status).toBe(403);
  expect(workOf(fake)).toHaveLength(before);
  // Who has a key is let in: apps have origins that nobody could list.
  expect((await ask(gateway.url, post(chat(MODEL.openai), keyed([origin(EVIL)])))).status).toBe(200);
});

test.each(['{', '[]', '{"model":1}', '{"model":"m","model":"n"}', 'x'.repeat(100_000), '\xff\xfe'])(
  'a bad body of somebody without a key is not even looked at: %#',
  async (body) => {
    for (const headers of [[], [['Content-Encoding', 'gzip'] as const]]) {
      const answer = await ask(gateway.url, post(body, headers));
      expect([answer.status, codeOf(answer)]).toEqual([401, 'invalid_api_key']);
    }
  },
);

test('another policy counts from the next request on', async () => {
  const allowed = async (value: string) =>
    corsOf(await ask(gateway.url, { target: '/health', headers: keyed([origin(value)]) }))[
      'access-control-allow-origin'
    ];
  try {
    await allow(['localhost', 'app.example', 'tauri://localhost'], { allow_credentials: true });
    expect(await allowed('http://localhost:5173')).toBe('http://localhost:5173');
    expect(await allowed('https://app.example')).toBe('https://app.example');
    expect(await allowed('tauri://localhost')).toBe('tauri://localhost');
    expect(await allowed(PAGE)).toBeUndefined();
    await allow([]);
    const answer = await ask(gateway.url, {
      target: '/health',
      headers: keyed([origin('http://localhost:5173')]),
    });
    expect([corsOf(answer), headerOf(answer, 'vary')]).toEqual([{}, null]);
    await allow(['*']);
    expect(await allowed(EVIL)).toBe('*');
  } finally {
    await allow([EVIL.replace('evil', 'first'), PAGE]);
  }
});
