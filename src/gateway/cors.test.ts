/** Which pages may read answers and which may not ask: the whole edge, with routes that answer in every way there is. */
import { expect, test } from 'bun:test';
import { type ConfigSnapshot, SETTING_KEYS, SETTINGS } from '../config';
import { createBus } from '../lib/bus';
import { manualClock } from '../lib/clock';
import { type ErrorCode, FlmError } from '../lib/errors';
import { silentLog } from '../lib/log';
import type { Policy, PolicyDocument } from '../policy';
import { createCors } from './cors';
import { createEdge, type RequestContext } from './edge';
import { ownHeaders, relayedHeaders } from './headers';
import { PeerPorts } from './peers';

const config = Object.fromEntries(SETTING_KEYS.map((key) => [key, SETTINGS[key].default])) as ConfigSnapshot;
const PAGE = 'https://chat.example';
const KEY = { authorization: 'Bearer flm_x' };
const NOBODY = {};

/** Answers as FLM does: itself, with an engine's answer, with a stream, or with an error. */
function routes({ request, id }: RequestContext): Response {
  const { pathname } = new URL(request.url);
  if (pathname === '/own') return new Response('own', { headers: ownHeaders(id) });
  const engines = { vary: 'Accept-Encoding', 'access-control-allow-origin': '*', 'content-type': 'x/y' };
  const headers = relayedHeaders(new Headers(engines), id, 'e');
  if (pathname === '/relayed') return new Response('{}', { headers });
  if (pathname === '/stream') return new Response(new Blob(['data: x\n\n']).stream(), { headers });
  throw new FlmError(pathname.slice(1) as ErrorCode, { meta: { limit: 1, retryAfterSeconds: 7 } });
}

interface Screened {
  readonly refuses?: ErrorCode;
}

function edgeWith(policy: () => Policy | null, { refuses }: Screened = {}) {
  const asked: string[] = [];
  const screen = {
    arrive() {
      if (refuses !== undefined) throw new FlmError(refuses);
    },
    stranger() {},
    hold: () => null,
    known() {},
  };
  const edge = createEdge({
    routes(context) {
      asked.push(context.request.url);
      return routes(context);
    },
    config: () => config,
    clock: manualClock(),
    bus: createBus(),
    log: silentLog,
    busy: () => 0,
    loopback: true,
    screen,
    cors: createCors(policy),
    peerPorts: new PeerPorts(),
    tracing: null,
    door: { stance: 'open' },
  });
  return {
    asked,
    ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
      const request = new Request(`http://localhost${path}`, {
        method,
        headers: { host: 'localhost:8080', ...headers },
      });
      return edge.fetch(request, { requestIP: () => ({ address: '127.0.0.1', port: 1 }), timeout() {} });
    },
  };
}

type CorsRules = NonNullable<PolicyDocument['cors']>;

const withCors = (cors: CorsRules, screened: Screened = {}) => {
  const policy: Policy = { version: 1, document: { cors } };
  return edgeWith(() => policy, screened);
};

/** The headers that CORS is about. */
function corsOf({ headers }: Response): Record<string, string> {
  return Object.fromEntries(
    [...headers].filter(([name]) => name === 'vary' || name.startsWith('access-control-')),
  );
}

const PREFLIGHT = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'authorization,content-type,x-stainless-lang',
};

const ANSWERS = [
  ['/own', 200],
  ['/relayed', 200],
  ['/stream', 200],
  ['/INVALID_API_KEY', 401],
  ['/MODEL_NOT_ALLOWED', 403],
  ['/NOT_FOUND', 404],
  ['/RATE_LIMITED', 429],
  ['/INTERNAL_ERROR', 500],
  ['/ENGINE_UNAVAILABLE', 503],
] as const;

test.each(ANSWERS)('%s: a page that is allowed may read it', async (path, status) => {
  const { ask } = withCors({ allowed_origins: ['https://first.example', PAGE] });
  const response = await ask(path, { origin: PAGE, ...KEY });
  expect(response.status).toBe(status);
  expect(corsOf(response)).toEqual({
    // The page's own, never the first of the list (FLM-087 [D]).
    'access-control-allow-origin': PAGE,
    'access-control-expose-headers': expect.stringMatching(/^x-request-id, traceparent, x-flm-engine, /),
    vary: path === '/relayed' || path === '/stream' ? 'Accept-Encoding, Origin' : 'Origin',
  });
});

test.each(ANSWERS)('%s: another page is told nothing, and caches are warned', async (path, status) => {
  const { ask } = withCors({ allowed_origins: [PAGE] });
  for (const origin of ['https://evil.example', `${PAGE}.evil.example`, 'http://chat.example', 'null', '']) {
    const response = await ask(path, { origin, ...KEY });
    expect(response.status).toBe(status);
    expect(Object.keys(corsOf(response))).toEqual(['vary']);
    expect(response.headers.get('vary')).toContain('Origin');
  }
  // Without an Origin too: the answer may be kept by a cache, for a page.
  expect((await ask(path, KEY)).headers.get('vary')).toContain('Origin');
});

test.each(ANSWERS)('%s: nobody is allowed where no origin is named (FLM-087)', async (path) => {
  const vary = path === '/relayed' || path === '/stream' ? { vary: 'Accept-Encoding' } : {};
  for (const edge of [withCors({}), withCors({ allowed_origins: [] }), edgeWith(() => null)])
    expect(corsOf(await edge.ask(path, { origin: PAGE, ...KEY }))).toEqual(vary);
});

test('everything that limits say can be read', async () => {
  const { ask } = withCors({ allowed_origins: [PAGE] });
  const exposed = (await ask('/own', { origin: PAGE, ...KEY })).headers.get('access-control-expose-headers');
  for (const name of [
    'retry-after',
    'x-ratelimit-limit',
    'x-ratelimit-remaining-requests',
    'x-ratelimit-reset-tokens',
  ])
    expect(exposed?.split(', ')).toContain(name);
});

test('a preflight is answered before any key is asked for', async () => {
  const { ask, asked } = withCors({ allowed_origins: [PAGE] });
  const response = await ask('/INVALID_API_KEY', { origin: PAGE, ...PREFLIGHT }, 'OPTIONS');
  expect(response.status).toBe(204);
  expect(await response.text()).toBe('');
  expect(corsOf(response)).toEqual({
    'access-control-allow-origin': PAGE,
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers': 'authorization,content-type,x-stainless-lang',
    'access-control-expose-headers': expect.any(String),
    'access-control-max-age': '3600',
    vary: 'Access-Control-Request-Headers, Origin',
  });
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(asked).toEqual([]);
});

test.each(['https://evil.example', 'null', `${PAGE}, https://evil.example`])(
  'a preflight of %p is answered and allows nothing',
  async (origin) => {
    const { ask } = withCors({ allowed_origins: [PAGE] });
    const headers = { origin, ...PREFLIGHT, 'access-control-request-private-network': 'true' };
    const response = await ask('/own', headers, 'OPTIONS');
    expect([response.status, corsOf(response)]).toEqual([204, { vary: 'Origin' }]);
  },
);

test('what the policy says of methods, headers, age and credentials is what browsers are told', async () => {
  const { ask } = withCors({
    allowed_origins: [PAGE],
    allowed_methods: ['POST'],
    allowed_headers: ['Authorization', 'Content-Type'],
    allow_credentials: true,
    max_age_s: 5,
  });
  const headers = { origin: PAGE, ...PREFLIGHT, 'access-control-request-private-network': 'true' };
  expect(corsOf(await ask('/own', headers, 'OPTIONS'))).toEqual({
    'access-control-allow-origin': PAGE,
    'access-control-allow-methods': 'POST',
    'access-control-allow-headers': 'Authorization, Content-Type',
    'access-control-allow-private-network': 'true',
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': expect.any(String),
    'access-control-max-age': '5',
    vary: 'Origin',
  });
  expect((await ask('/own', { origin: PAGE, ...KEY })).headers.get('access-control-allow-credentials')).toBe(
    'true',
  );
});

test('a list of headers that is none is not repeated', async () => {
  const { ask } = withCors({ allowed_origins: [PAGE] });
  const headers = { origin: PAGE, 'access-control-request-headers': 'a, <b>' };
  expect((await ask('/own', headers, 'OPTIONS')).headers.get('access-control-allow-headers')).toBeNull();
});

test('everybody is allowed, and never with credentials (HL-006)', async () => {
  const { ask } = withCors({ allowed_origins: ['*', PAGE], allow_credentials: true });
  const response = await ask('/own', { origin: PAGE, ...KEY });
  expect(corsOf(response)).toMatchObject({ 'access-control-allow-origin': '*', vary: 'Origin' });
  expect(response.headers.get('access-control-allow-credentials')).toBeNull();
  expect((await ask('/own', { origin: 'null' })).status).toBe(200);
});

test('an entry that is no origin allows nobody, and harms no other', async () => {
  const { ask } = withCors({ allowed_origins: ['null', 'https://*', PAGE] });
  expect(
    (await ask('/own', { origin: 'null', ...KEY })).headers.get('access-control-allow-origin'),
  ).toBeNull();
  expect((await ask('/own', { origin: PAGE })).headers.get('access-control-allow-origin')).toBe(PAGE);
});

test('another policy counts from the next request on', async () => {
  let policy: Policy | null = { version: 1, document: { cors: { allowed_origins: [PAGE] } } };
  const { ask } = edgeWith(() => policy);
  const allowed = async () =>
    (await ask('/own', { origin: PAGE, ...KEY })).headers.get('access-control-allow-origin');
  expect(await allowed()).toBe(PAGE);
  policy = { version: 2, document: { cors: { allowed_origins: ['https://other.example'] } } };
  expect(await allowed()).toBeNull();
  policy = null;
  expect(await allowed()).toBeNull();
});

test('a page that is allowed may read why the screen refuses it', async () => {
  const { ask } = withCors({ allowed_origins: [PAGE] }, { refuses: 'IP_BLOCKED' });
  for (const method of ['GET', 'OPTIONS']) {
    const response = await ask('/own', { origin: PAGE }, method);
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([403, PAGE]);
  }
});

/* Requests that a page can send without asking: they come without a key (ADR 0012). */

test.each([
  ['a page of somebody else', { origin: 'https://evil.example' }, 403],
  ['a page in a sandbox', { origin: 'null' }, 403],
  ['a page on another port of this machine', { origin: 'http://localhost:3000' }, 403],
  ['a page that is allowed', { origin: PAGE }, 200],
  ['a page from where FLM is', { origin: 'http://localhost:8080' }, 200],
  ['the same, over the TLS of a reverse proxy', { origin: 'https://localhost:8080' }, 200],
  ['an extension of a browser', { origin: 'chrome-extension://abcdef' }, 200],
  ['a desktop app', { origin: 'tauri://localhost' }, 200],
  ['Obsidian', { origin: 'app://obsidian.md' }, 200],
  ['no page', NOBODY, 200],
  ['a page of somebody else, with a key', { origin: 'https://evil.example', ...KEY }, 200],
  ['a desktop app that looks like a page, with a key', { origin: 'http://tauri.localhost', ...KEY }, 200],
  ["Anthropic's client in an app", { origin: 'http://tauri.localhost', 'x-api-key': 'flm_x' }, 200],
] as const)('without asking: %s', async (_, headers, status) => {
  const { ask, asked } = withCors({ allowed_origins: [PAGE] });
  const response = await ask('/own', { ...headers }, 'POST');
  expect(response.status).toBe(status);
  expect(asked).toHaveLength(status === 200 ? 1 : 0);
  if (status !== 403) return;
  expect(await response.json()).toMatchObject({ error: { code: 'origin_not_allowed' } });
  expect(response.headers.get('access-control-allow-origin')).toBeNull();
});
