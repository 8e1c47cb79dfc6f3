/** The admin port over the wire: who gets in, whose pages may change something, and what becomes of strange requests. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createAdminClient } from '../../src/admin/client';
import { type App, openApp } from '../../src/app';
import { systemClock } from '../../src/lib/clock';
import { FlmError } from '../../src/lib/errors';
import { isRecord } from '../../src/lib/json';
import { silentLog } from '../../src/lib/log';
import { SECURITY_HEADERS } from '../../src/lib/security-headers';
import { type TestDir, testDir } from '../support/data-dir';
import { freePort } from '../support/ports';
import { codeOf } from '../support/thrown';

let data: TestDir;
let app: App;
let port: number;
let base: string;

async function open(dir: TestDir, adminPort: number): Promise<App> {
  const opened = await openApp({
    ...dir,
    env: { ...dir.env, FLM_ENGINE_DETECT: 'false', FLM_ADMIN_PORT: String(adminPort) },
    clock: systemClock,
    log: silentLog,
    flags: {},
    running: true,
    lockWaitMs: 0,
  });
  await opened.serve({ bind: '127.0.0.1', port: 0, allowPlaintext: false });
  return opened;
}

beforeAll(async () => {
  data = testDir();
  port = await freePort();
  base = `http://localhost:${port}`;
  app = await open(data, port);
});

afterAll(async () => {
  await app.close();
  data[Symbol.dispose]();
});

type Headers = Readonly<Record<string, string>>;

interface Answer {
  readonly status: number;
  readonly headers: Response['headers'];
  readonly text: string;
  readonly json: unknown;
  readonly code: unknown;
}

async function ask(method: string, path: string, headers: Headers = {}, body?: BodyInit): Promise<Answer> {
  const response = await fetch(`${base}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const json: unknown = text.startsWith('{') ? JSON.parse(text) : null;
  const error = isRecord(json) && isRecord(json.error) ? json.error : {};
  return { status: response.status, headers: response.headers, text, json, code: error.code };
}

const JSON_TYPE = { 'content-type': 'application/json' };

/** Opens a session as a script does; the header that shows it. */
async function bearer(): Promise<{ authorization: string }> {
  const { token } = await app.sessions.issueToken();
  const { json } = await ask('POST', '/api/v1/session', JSON_TYPE, JSON.stringify({ token, as: 'bearer' }));
  if (!isRecord(json) || typeof json.bearer !== 'string') throw new Error('no bearer');
  return { authorization: `Bearer ${json.bearer}` };
}

/** Opens one as a browser does; the header it sends from then on, and what it was told. */
async function cookie(): Promise<{ cookie: string; told: string }> {
  const { token } = await app.sessions.issueToken();
  const opened = await ask(
    'POST',
    '/api/v1/session',
    { ...JSON_TYPE, origin: base },
    JSON.stringify({ token }),
  );
  expect(opened).toMatchObject({ status: 200, json: { bearer: null } });
  const told = opened.headers.get('set-cookie') ?? '';
  return { cookie: told.split(';', 1)[0] ?? '', told };
}

const keyBody = (label: string) => JSON.stringify({ label });

test('a stream ends with the session by which it came', async () => {
  const headers = await bearer();
  const stream = await fetch(`${base}/api/v1/audit/events/stream`, { headers });
  const reader = stream.body?.getReader();
  expect((await reader?.read())?.done).toBe(false);
  const { items } = await app.sessions.list();
  for (const { id } of items) await app.sessions.close(id);
  const ended = async () => {
    for (let done = false; !done; ) done = (await reader?.read().catch(() => ({ done: true })))?.done ?? true;
    return 'ended';
  };
  expect(await Promise.race([ended(), Bun.sleep(3_000)])).toBe('ended');
});

test('a body that is nested deeply is refused at once, of strangers too', async () => {
  const deep = `{"token":${'['.repeat(1_500)}`;
  const fromMs = performance.now();
  expect(await ask('POST', '/api/v1/session', JSON_TYPE, deep)).toMatchObject({
    status: 400,
    code: 'INVALID_JSON',
  });
  expect(performance.now() - fromMs).toBeLessThan(500);
});

describe('a browser', () => {
  test('gets a cookie that scripts cannot read and other sites do not send', async () => {
    const { told } = await cookie();
    expect(told).toMatch(
      /^flm_session=[0-9A-Za-z]{43}; Path=\/api\/v1; HttpOnly; SameSite=Strict; Max-Age=43200$/,
    );
  });

  test('reads with its cookie, and changes something from our own page alone', async () => {
    const { cookie: shown } = await cookie();
    expect((await ask('GET', '/api/v1/status', { cookie: shown })).status).toBe(200);
    const change = (headers: Headers) =>
      ask('POST', '/api/v1/keys', { ...JSON_TYPE, cookie: shown, ...headers }, keyBody('browser'));
    const refusals: Headers[] = [
      {},
      { origin: 'null' },
      { origin: 'https://evil.example' },
      // The same site as far as cookies go, and another program's page.
      { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' },
      { origin: `https://localhost:${port}` },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
    ];
    for (const headers of refusals)
      expect({ headers, code: (await change(headers)).code }).toEqual({ headers, code: 'ORIGIN_REFUSED' });
    expect((await change({ origin: base })).status).toBe(200);
    expect((await change({ 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  });

  test('is told nothing that would let another page read an answer', async () => {
    const { cookie: shown } = await cookie();
    const origin = 'https://evil.example';
    const preflight = { origin, 'access-control-request-method': 'POST' };
    for (const answer of [
      await ask('OPTIONS', '/api/v1/keys', preflight),
      await ask('GET', '/api/v1/keys', { cookie: shown, origin }),
      await ask('GET', '/api/v1/keys', { cookie: shown }),
    ]) {
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
      expect(answer.headers.get('cache-control')).toBe('no-store');
    }
  });

  test('signs out', async () => {
    const { cookie: shown } = await cookie();
    const out = await ask('DELETE', '/api/v1/session', { cookie: shown, origin: base });
    expect(out).toMatchObject({ status: 200, json: { closed: true } });
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0');
    expect((await ask('GET', '/api/v1/status', { cookie: shown })).code).toBe('UNAUTHENTICATED');
  });
});

describe('a script', () => {
  test('changes something with its bearer secret, and makes no sessions', async () => {
    const shown = await bearer();
    expect((await ask('POST', '/api/v1/keys', { ...shown, ...JSON_TYPE }, keyBody('script'))).status).toBe(
      200,
    );
    expect((await ask('POST', '/api/v1/sessions/tokens', shown)).code).toBe('FORBIDDEN');
    expect((await ask('GET', '/api/v1/sessions', shown)).code).toBe('FORBIDDEN');
  });

  test('gets no cookie', async () => {
    const { token } = await app.sessions.issueToken();
    const body = JSON.stringify({ token, as: 'bearer' });
    expect((await ask('POST', '/api/v1/session', JSON_TYPE, body)).headers.has('set-cookie')).toBe(false);
  });
});

describe('Host', () => {
  test.each([
    [(at: number) => `localhost:${at}`, 200],
    [(at: number) => `127.0.0.1:${at}`, 200],
    [(at: number) => `[::1]:${at}`, 200],
    [(at: number) => `LOCALHOST:${at}`, 200],
    [() => 'localhost', 403],
    [(at: number) => `localhost:${at + 1}`, 403],
    [(at: number) => `evil.example:${at}`, 403],
    [(at: number) => `localhost.evil.example:${at}`, 403],
    [(at: number) => `127.0.0.1.evil.example:${at}`, 403],
    [(at: number) => `192.168.1.20:${at}`, 403],
  ] as const)('%s', async (host, status) => {
    for (const path of ['/api/v1/status', '/health', '/swagger'])
      expect((await ask('GET', path, { host: host(port), ...(await bearer()) })).status).toBe(status);
  });
});

describe('guessing', () => {
  test('ends after five failures, but not for the socket and not for an open session', async () => {
    const shown = await bearer();
    const wrong = { authorization: 'Bearer nobody' };
    for (let guess = 0; guess < 5; guess++)
      expect(await ask('GET', '/api/v1/status', wrong)).toMatchObject({
        status: 401,
        code: 'UNAUTHENTICATED',
      });
    const locked = await ask('GET', '/api/v1/status', wrong);
    expect([locked.status, locked.code]).toEqual([429, 'ADMIN_LOCKED']);
    expect(Number(locked.headers.get('retry-after'))).toBeWithin(55, 61);
    const body = JSON.stringify({ token: 'guess' });
    expect((await ask('POST', '/api/v1/session', JSON_TYPE, body)).code).toBe('ADMIN_LOCKED');
    expect((await ask('GET', '/api/v1/status', shown)).status).toBe(200);
    const client = createAdminClient(app.egress, data.paths.adminSocket);
    expect((await client.status()).running).toBe(true);
    // The owner's own token ends it.
    const { token } = await client.sessions.issueToken();
    expect((await ask('POST', '/api/v1/session', JSON_TYPE, JSON.stringify({ token }))).status).toBe(200);
  });

  test('without a credential is no failure', async () => {
    for (let call = 0; call < 10; call++) expect((await ask('GET', '/api/v1/status')).status).toBe(401);
    expect((await ask('GET', '/api/v1/status')).headers.get('www-authenticate')).toBe('Bearer');
  });
});

describe('traceparent', () => {
  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
  const traceOf = ({ headers }: Answer) =>
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-(\d\d)$/.exec(headers.get('traceparent') ?? '');

  test('is answered in the same trace with a span of our own', async () => {
    const answer = await ask('GET', '/health', { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` });
    const [, trace, span, flags] = traceOf(answer) ?? [];
    expect([trace, flags]).toEqual([TRACE, '01']);
    expect(span).not.toBe('00f067aa0ba902b7');
  });

  test('is made where there is none, or none that is valid, also on errors', async () => {
    for (const headers of [
      {},
      { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` },
      { traceparent: 'x' },
    ]) {
      const answer = await ask('GET', '/api/v1/status', headers);
      expect(traceOf(answer)).not.toBeNull();
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe('Idempotency-Key', () => {
  test('makes one key of two requests', async () => {
    const headers = { ...(await bearer()), ...JSON_TYPE, 'idempotency-key': crypto.randomUUID() };
    const first = await ask('POST', '/api/v1/keys', headers, keyBody('once'));
    const second = await ask('POST', '/api/v1/keys', headers, keyBody('once'));
    expect(second.json).toEqual(first.json);
    expect([first, second].map((answer) => answer.headers.get('idempotency-replayed'))).toEqual([
      null,
      'true',
    ]);
    expect(second.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
    const { items } = await app.keys.list();
    expect(items.filter(({ label }) => label === 'once').length).toBe(1);
    expect((await ask('POST', '/api/v1/keys', headers, keyBody('twice'))).code).toBe(
      'IDEMPOTENCY_KEY_REUSED',
    );
  });

  test('is not looked at for whoever is not known', async () => {
    const headers = { ...JSON_TYPE, 'idempotency-key': 'a b' };
    expect((await ask('POST', '/api/v1/keys', headers, keyBody('x'))).code).toBe('UNAUTHENTICATED');
  });
});

describe('strange requests', () => {
  test.each([
    ['GET', '/api/v1/nothing', {}, undefined, 404, 'NOT_FOUND'],
    ['GET', '/', {}, undefined, 401, 'UNAUTHENTICATED'],
    ['PATCH', '/api/v1/keys', JSON_TYPE, '{}', 405, 'METHOD_NOT_ALLOWED'],
    ['DELETE', '/api/v1/keys', {}, undefined, 405, 'METHOD_NOT_ALLOWED'],
    ['POST', '/api/v1/keys', JSON_TYPE, '{', 400, 'INVALID_JSON'],
    ['POST', '/api/v1/keys', JSON_TYPE, '[]', 400, 'INVALID_INPUT'],
    ['POST', '/api/v1/keys', {}, 'label=x', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'POST',
      '/api/v1/keys',
      { 'content-type': 'text/plain' },
      '{"label":"x"}',
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'POST',
      '/api/v1/keys',
      { ...JSON_TYPE, 'content-encoding': 'gzip' },
      'x',
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['POST', '/api/v1/keys', JSON_TYPE, new Uint8Array([0x22, 0xff, 0x22]), 400, 'INVALID_JSON'],
    ['POST', '/api/v1/keys', JSON_TYPE, 'x'.repeat(1_048_577), 413, 'PAYLOAD_TOO_LARGE'],
    ['GET', '/api/v1/config/%00', {}, undefined, 404, 'CONFIG_NOT_SET'],
    ['GET', '/api/v1/config/%ff', {}, undefined, 400, 'INVALID_INPUT'],
  ] as const)('%s %s %p', async (method, path, headers, body, status, code) => {
    const known = path.startsWith('/api') ? await bearer() : {};
    const answer = await ask(method, path, { ...known, ...headers }, body);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(answer.json).toEqual({
      error: {
        code,
        message: expect.any(String),
        hint: new FlmError(code).hint === null ? null : expect.any(String),
        request_id: answer.headers.get('x-request-id'),
      },
    });
  });

  test('a large body without a length is refused as it comes', async () => {
    const shown = await bearer();
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 65_536;
        controller.enqueue(new Uint8Array(65_536));
      },
    });
    const answer = await ask('POST', '/api/v1/keys', { ...shown, ...JSON_TYPE }, endless).catch(() => null);
    // The connection may be cut before the answer was read.
    if (answer !== null) expect(answer.status).toBe(413);
    expect(sent).toBeLessThan(64 * 1_048_576);
  });

  test('a stranger may send little', async () => {
    const body = JSON.stringify({ token: 'x'.repeat(5_000) });
    expect((await ask('POST', '/api/v1/session', JSON_TYPE, body)).code).toBe('PAYLOAD_TOO_LARGE');
  });

  test('HEAD is GET without a body; OPTIONS and 405 say what there is', async () => {
    const shown = await bearer();
    const head = await ask('HEAD', '/api/v1/keys', shown);
    expect([head.status, head.text, head.headers.get('content-type')]).toEqual([
      200,
      '',
      'application/json;charset=utf-8',
    ]);
    const options = await ask('OPTIONS', '/api/v1/keys/', shown);
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, POST']);
    expect((await ask('PUT', '/api/v1/keys', shown)).headers.get('allow')).toBe('GET, HEAD, POST');
  });
});

test('who watches over FLM learns that it answers, and nothing else', async () => {
  for (const path of ['/health', '/ready'])
    expect(await ask('GET', path)).toMatchObject({ status: 200, text: '{"status":"ok"}' });
});

describe('a port that somebody has', () => {
  test('is no reason not to start: it is said by whom, and no token is made for nothing', async () => {
    using other = testDir();
    const second = await open(other, port);
    try {
      const { admin, running } = second.status();
      expect(running).toBe(true);
      expect(admin).toEqual({ url: null, reason: expect.stringContaining(`port ${port} is taken by`) });
      const { checks } = await second.check();
      expect(checks).toContainEqual({
        name: 'admin API',
        status: 'warning',
        message: expect.stringContaining(`port ${port}`),
      });
      const client = createAdminClient(second.egress, other.paths.adminSocket);
      expect(await codeOf(() => client.sessions.issueToken())).toBe('ADMIN_PORT_OFF');
    } finally {
      await second.close();
    }
  });
});

test.each(['/api/v1/status', '/api/v1/nope', '/health', '/swagger', '/swagger/page.js', '/swagger/json'])(
  'security headers are on %s (FLM-084)',
  async (path) => {
    const { headers } = await ask('GET', path);
    for (const name of Object.keys(SECURITY_HEADERS))
      expect([name, headers.get(name)]).not.toEqual([name, null]);
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    // The page runs its own scripts, and nothing else of FLM runs any.
    const scripts = /^\/swagger(?:\/page\.js)?$/.test(path) ? "script-src 'self'" : "script-src 'none'";
    expect(headers.get('content-security-policy')).toContain(scripts);
  },
);
