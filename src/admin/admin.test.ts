/** The admin API as a whole: every route has a scope, checks it first, and stands in a valid OpenAPI document. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { testDir } from '../../test/support/data-dir';
import { type App, openApp } from '../app';
import type { Principal, RequestFacts, Scope } from '../contract';
import type { DaemonApi } from '../daemon';
import { type Actor, currentActor } from '../lib/actor';
import { manualClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { newId } from '../lib/ids';
import { isRecord } from '../lib/json';
import { silentLog } from '../lib/log';
import { NO_SCOPE, SCOPE_FIELD } from '../lib/scope-guard';
import type { Door } from './edge';
import { type Admin, type AdminOptions, createAdmin, describedRoutes, type Idempotency } from './index';

const dir = testDir();
let app: App;
let options: AdminOptions;
let admin: Admin;
/** What a replaced process told. */
const reported: RequestFacts[] = [];

/** Answers are never given again. */
const forgetful: Idempotency = {
  run: (_key, _request, work) => work(),
  start: async () => {},
  sweep: async () => {},
};

beforeAll(async () => {
  app = await openApp({
    ...dir,
    env: { ...dir.env, FLM_ENGINE_DETECT: 'false' },
    clock: manualClock(),
    log: silentLog,
    flags: {},
    running: false,
    lockWaitMs: 0,
  });
  const daemon: DaemonApi = {
    handOver: async () => ({ pid: 1, version: '0.0.0', proxies: [], elders: [] }),
    elder: async ({ finished }) => {
      reported.push(...finished);
      return { stop: false };
    },
    stop: async () => ({ status: 'stopping', pid: 1 }),
  };
  options = { ...app, daemon, idempotency: forgetful, version: '0.0.0', log: silentLog };
  admin = createAdmin(options);
});

afterAll(async () => {
  await app.close();
  dir[Symbol.dispose]();
});

interface Route {
  readonly method: string;
  readonly path: string;
  readonly scope: unknown;
}

/** All routes, and those of them that somebody has to be known for. */
const routes: readonly Route[] = describedRoutes().routes.map(({ method, path, hooks }) => ({
  method,
  path: path.replaceAll(/:(\w+)/g, 'x'),
  scope: isRecord(hooks) && isRecord(hooks.detail) ? hooks.detail[SCOPE_FIELD] : undefined,
}));
const guarded = routes.filter(({ scope }) => scope !== NO_SCOPE);

const nobody: Principal = {
  kind: 'operator',
  id: 'n',
  label: 'nobody',
  scopes: new Set<Scope>(),
  models: null,
};

const PORT = 7843;

interface Answer {
  readonly method: string;
  readonly path: string;
  readonly body: string | null;
  readonly status: number;
}

/** Sends each route good and broken bodies through the port. */
async function knockAtAll(at: Admin, headers: Readonly<Record<string, string>>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const { method, path } of guarded) {
    const hasBody = method !== 'GET' && method !== 'DELETE';
    for (const body of hasBody ? ['{broken', '{"unknown": 1}', '{}', null] : [null]) {
      const request = new Request(`http://localhost:${PORT}${path}`, {
        method,
        body,
        headers: { host: `localhost:${PORT}`, 'content-type': 'application/json', ...headers },
      });
      const { status } = await at.fetch(request, { via: 'tcp', port: PORT, ip: '127.0.0.1' });
      answers.push({ method, path, body, status });
    }
  }
  return answers;
}

describe('every admin route', () => {
  test('names a scope, but for the one by which a stranger becomes somebody', () => {
    expect(routes.length).toBeGreaterThan(15);
    expect(routes.filter((route) => typeof route.scope !== 'string')).toEqual([]);
    const open = routes.filter(({ scope }) => scope === NO_SCOPE);
    expect(open.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /api/v1/session']);
  });

  test('refuses a stranger before it looks at the body', async () => {
    const answers = await knockAtAll(admin, {});
    expect(answers.length).toBeGreaterThan(guarded.length);
    expect(answers.filter(({ status }) => status !== 401)).toEqual([]);
  });

  test('refuses whoever lacks the scope before it looks at the body', async () => {
    const ofNobody = createAdmin({ ...options, sessions: { ...app.sessions, identify: async () => nobody } });
    const answers = await knockAtAll(ofNobody, { authorization: 'Bearer x' });
    expect(answers.length).toBeGreaterThan(guarded.length);
    expect(answers.filter(({ status }) => status !== 403)).toEqual([]);
  });
});

describe('what a request does', () => {
  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

  /** Who is acting while the status is asked for. */
  async function actorOf(headers: Readonly<Record<string, string>>, door: Door): Promise<[Actor, Response]> {
    const seen: Actor[] = [];
    const watched = createAdmin({
      ...options,
      sessions: {
        ...app.sessions,
        identify: async () => ({ ...nobody, id: 's', scopes: new Set(['status:read']) }),
      },
      status: () => {
        seen.push(currentActor());
        return app.status();
      },
    });
    const request = new Request(`http://localhost:${PORT}/api/v1/status`, {
      headers: { host: `localhost:${PORT}`, ...headers },
    });
    const response = await watched.fetch(request, door);
    const [actor] = seen;
    if (actor === undefined) throw new Error(await response.text());
    return [actor, response];
  }

  test('is done in the name of the owner at the socket', async () => {
    const [actor, response] = await actorOf({}, { via: 'socket' });
    expect(actor).toEqual({
      kind: 'owner',
      id: 'owner',
      via: 'socket',
      requestId: response.headers.get('x-request-id'),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      ip: null,
    });
  });

  test('is done in the name of the session at the port, in the trace of whoever asks', async () => {
    const headers = { authorization: 'Bearer x', traceparent: `00-${TRACE}-00f067aa0ba902b7-01` };
    const [actor, response] = await actorOf(headers, { via: 'tcp', port: PORT, ip: '127.0.0.1' });
    expect(actor).toMatchObject({ kind: 'operator', id: 's', via: 'tcp', traceId: TRACE, ip: '127.0.0.1' });
    expect(response.headers.get('traceparent')).toStartWith(`00-${TRACE}-`);
  });

  test('is nobody’s before somebody is known', async () => {
    const actors: Actor[] = [];
    const strict = createAdmin({
      ...options,
      sessions: {
        ...app.sessions,
        identify: async () => {
          actors.push(currentActor());
          throw new FlmError('UNAUTHENTICATED');
        },
      },
    });
    const headers = { host: `localhost:${PORT}`, authorization: 'Bearer guess' };
    const request = new Request(`http://localhost:${PORT}/api/v1/status`, { headers });
    await strict.fetch(request, { via: 'tcp', port: PORT, ip: '127.0.0.1' });
    expect(actors).toMatchObject([{ kind: 'anonymous', via: 'tcp', ip: '127.0.0.1' }]);
  });
});

describe('the OpenAPI document', () => {
  async function document(): Promise<Record<string, unknown>> {
    const response = await admin.fetch(new Request('http://localhost/swagger/json'));
    expect(response.status).toBe(200);
    const json: unknown = await response.json();
    if (!isRecord(json)) throw new Error('the document is no object');
    return json;
  }

  test('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate(await document());
    expect(result).toEqual({ valid: true });
  });

  test('has a row with summary, scope and described answer for every route', async () => {
    const { paths } = await document();
    const rows = Object.entries(isRecord(paths) ? paths : {}).flatMap(([path, methods]) =>
      Object.entries(isRecord(methods) ? methods : {}).map(([method, row]) => ({ path, method, row })),
    );
    expect(rows.length).toBe(routes.length);
    for (const { path, method, row } of rows) {
      expect(row, `${method} ${path}`).toMatchObject({
        summary: expect.any(String),
        [SCOPE_FIELD]: expect.any(String),
        // Without one, client methods get names that nobody would choose: `detail: { operationId: 'listKeys', … }`.
        operationId: expect.not.stringMatching(/^(?:get|put|post|delete)Api/),
        responses: { 200: { description: expect.stringMatching(/\w/) } },
      });
    }
  });
});

/** The test above asks what each has; this, that no two are called alike. */
test('operations have names of their own', async () => {
  const ids = describedRoutes().routes.map(({ hooks }) => hooks.detail?.operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

describe('errors', () => {
  async function answer(path: string, init: RequestInit = {}): Promise<{ status: number; json: unknown }> {
    const response = await admin.fetch(new Request(`http://localhost/api/v1${path}`, init));
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    return { status: response.status, json: await response.json() };
  }

  const post = (body: string): RequestInit => ({
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });

  test.each([
    ['an unknown path', '/nothing', {}, 404, 'NOT_FOUND'],
    ['a body that is no JSON', '/keys/', post('{'), 400, 'INVALID_JSON'],
    ['a missing field', '/keys/', post('{}'), 400, 'INVALID_INPUT'],
    ['an unknown field', '/keys/', post('{"label":"x","admin":true}'), 400, 'INVALID_INPUT'],
    ['a label that is too long', '/keys/', post(`{"label":"${'x'.repeat(201)}"}`), 400, 'INVALID_INPUT'],
    ['an unknown key', '/keys/nope/revoke', post('{}'), 404, 'KEY_NOT_FOUND'],
    ['an unknown setting', '/config/proxy.prot', {}, 404, 'CONFIG_NOT_SET'],
    ['an unknown engine', '/engines/nope', { method: 'DELETE' }, 404, 'ENGINE_NOT_FOUND'],
  ] as const)('tell %s in the envelope of the admin API', async (_name, path, init, status, code) => {
    const { status: got, json } = await answer(path, init);
    const { hint } = new FlmError(code);
    expect({ got, json }).toEqual({
      got: status,
      json: {
        error: {
          code,
          message: expect.any(String),
          hint: hint === null ? null : expect.any(String),
          request_id: expect.any(String),
        },
      },
    });
    expect(JSON.stringify(json)).not.toMatch(/\n\s+at |node_modules|\.ts:/);
  });

  test('name the field that is wrong and the setting that was meant', async () => {
    expect((await answer('/keys/', post('{"label": 5}'))).json).toMatchObject({
      error: { message: expect.stringContaining('label') },
    });
    expect((await answer('/config/proxy.prot')).json).toMatchObject({
      error: { hint: 'Did you mean proxy.port?' },
    });
  });
});

test('what a replaced process tells of its requests arrives whole, also what a later version adds', async () => {
  const facts = {
    requestId: newId(),
    atMs: 1,
    ip: '::1',
    method: 'POST',
    path: '/v1/chat/completions',
    principalId: 'k',
    model: 'm',
    engineId: null,
    engineModel: null,
    attempts: 1,
    isStream: true,
    outcome: 'done',
    status: 200,
    errorCode: null,
    waitedMs: 0.25,
    firstByteMs: null,
    firstTokenMs: 1.5,
    durationMs: 2,
    usage: { promptTokens: 1, completionTokens: 2, cachedTokens: null, reasoningTokens: null },
    trace: { traceId: '1', spanId: '2', parentSpanId: null, isSampled: false },
    later: true,
  };
  const response = await admin.fetch(
    new Request('http://localhost/api/v1/daemon/elders', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ pid: 7, requests: 1, opened: [], finished: [facts] }),
    }),
  );
  expect([response.status, await response.json()]).toEqual([200, { stop: false }]);
  expect<unknown[]>(reported).toEqual([facts]);
});
