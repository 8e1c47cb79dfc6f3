/** Web pages and the executable: what the owner says with `flm security policy set` is what browsers are told at once. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { eventually } from '../support/eventually';
import { dataOf, errorOf, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';

setDefaultTimeout(30_000);

const PAGE = 'https://chat.example';
const home = testHome();
let running: RunningFlm;
beforeAll(async () => {
  running = await startFlm(home.env);
});
afterAll(async () => {
  await running[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

const setPolicy = (cors: object) => ['security', 'policy', 'set', '--json', JSON.stringify({ cors })];

function asPage(origin: string, method: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${running.url}/v1/models`, { method, headers: { origin, ...headers } });
}

const allowed = async (origin: string) =>
  (await asPage(origin, 'OPTIONS')).headers.get('access-control-allow-origin');

test('nobody is allowed until the owner says so, and then who is named', async () => {
  expect(await allowed(PAGE)).toBeNull();
  await dataOf(home.env, setPolicy({ allowed_origins: ['https://first.example', PAGE] }));
  await eventually(async () => (await allowed(PAGE)) === PAGE);
  const headers = {
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'authorization',
  };
  const preflight = await asPage(PAGE, 'OPTIONS', headers);
  expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([
    204,
    'authorization',
  ]);
  const models = await asPage(PAGE, 'GET', { authorization: `Bearer ${running.key}` });
  expect([models.status, models.headers.get('access-control-allow-origin')]).toEqual([200, PAGE]);
  // The page can read why it is refused; a foreign one is not even asked for a key.
  const stranger = await asPage(PAGE, 'GET');
  expect([stranger.status, stranger.headers.get('access-control-allow-origin')]).toEqual([401, PAGE]);
  const foreign = await asPage('https://evil.example', 'GET');
  expect([foreign.status, foreign.headers.get('access-control-allow-origin')]).toEqual([403, null]);
  expect(await foreign.json()).toMatchObject({ error: { code: 'origin_not_allowed' } });
});

test('everybody with credentials is refused, and what was in force stays (HL-006)', async () => {
  const refused = await errorOf(home.env, setPolicy({ allowed_origins: ['*'], allow_credentials: true }));
  expect(refused.message).toContain('allow_credentials');
  expect(await allowed(PAGE)).toBe(PAGE);
});
