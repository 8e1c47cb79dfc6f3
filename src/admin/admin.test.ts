/** The admin API as a whole: every route has a scope, checks it first, and stands in a valid OpenAPI document. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Elysia } from 'elysia';
import { testDir } from '../../test/support/data-dir';
import { type App, openApp } from '../app';
import type { Principal, RequestFacts, Scope } from '../contract';
import type { DaemonApi } from '../daemon';
import { manualClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { isRecord } from '../lib/json';
import { silentLog } from '../lib/log';
import { createScopeGuard, SCOPE_FIELD } from '../lib/scope-guard';
import { fromElysia } from './errors';
import { type Admin, type AdminOptions, adminRoutes, createAdmin } from './index';

const dir = testDir();
let app: App;
let options: AdminOptions;
let admin: Admin;
/** What a replaced process told. */
const reported: RequestFacts[] = [];

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
  options = { ...app, daemon, version: '0.0.0', log: silentLog };
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

function routesOf(): Route[] {
  return adminRoutes(
    options,
    createScopeGuard(() => nobody),
  ).routes.map(({ method, path, hooks }) => ({
    method,
    path: path.replaceAll(/:(\w+)/g, 'x'),
    scope: isRecord(hooks) && isRecord(hooks.detail) ? hooks.detail[SCOPE_FIELD] : undefined,
  }));
}

const nobody: Principal = {
  kind: 'operator',
  id: 'n',
  label: 'nobody',
  scopes: new Set<Scope>(),
  models: null,
};

describe('every admin route', () => {
  test('names a scope', () => {
    const routes = routesOf();
    expect(routes.length).toBeGreaterThan(15);
    expect(routes.filter((route) => typeof route.scope !== 'string')).toEqual([]);
  });

  test('refuses whoever lacks the scope before it looks at the body', async () => {
    const guarded = new Elysia()
      .onError((caught) => new Response(fromElysia(caught).code, { status: fromElysia(caught).status }))
      .use(
        adminRoutes(
          options,
          createScopeGuard(() => nobody),
        ),
      );
    for (const { method, path } of routesOf()) {
      const hasBody = method !== 'GET' && method !== 'DELETE';
      for (const body of hasBody ? ['{broken', '{"unknown": 1}', '{}'] : [null]) {
        const request = new Request(`http://localhost${path}`, {
          method,
          body,
          headers: { 'content-type': 'application/json' },
        });
        const response = await guarded.handle(request);
        expect({ method, path, body, status: response.status }).toEqual({ method, path, body, status: 403 });
      }
    }
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
    expect(rows.length).toBe(routesOf().length);
    for (const { path, method, row } of rows) {
      expect(row, `${method} ${path}`).toMatchObject({
        summary: expect.any(String),
        [SCOPE_FIELD]: expect.any(String),
        responses: { 200: { description: expect.stringMatching(/\w/) } },
      });
    }
  });
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
    requestId: 'r',
    atMs: 1,
    ip: '::1',
    method: 'POST',
    path: '/v1/chat/completions',
    principalId: 'k',
    model: 'm',
    engineId: null,
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
