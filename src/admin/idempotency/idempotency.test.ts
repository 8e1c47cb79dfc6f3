/** HL-004: the same change under the same key is made once. */
import { describe, expect, test } from 'bun:test';
import { randomUUIDv7 } from 'bun';
import { openDatabases, securitySchema } from '../../../db';
import { testDir } from '../../../test/support/data-dir';
import { codeOf } from '../../../test/support/thrown';
import { manualClock } from '../../lib/clock';
import { silentLog } from '../../lib/log';
import { createIdempotency, createIdempotencyStore } from './index';
import type { ChangeRequest } from './request-hash';

const SECRET = 'the-plain-key-of-somebody';
const DAY_MS = 86_400_000;

async function idempotencyIn() {
  const data = testDir();
  const clock = manualClock();
  const db = await openDatabases({ ...data, clock, lockWaitMs: 0 });
  const store = createIdempotencyStore(db.security);
  const make = () => createIdempotency({ store, clock, log: silentLog });
  let runs = 0;
  return {
    idempotency: make(),
    restarted: make,
    clock,
    rows: () => db.security.select().from(securitySchema.idempotencyKeys).all(),
    runs: () => runs,
    work: async (status = 200) => {
      runs++;
      return Response.json({ plain_key: SECRET, run: runs }, { status });
    },
    [Symbol.dispose]() {
      db.close();
      data[Symbol.dispose]();
    },
  };
}

const change: ChangeRequest = {
  method: 'POST',
  path: '/api/v1/keys',
  query: new URLSearchParams(),
  principalId: 'owner',
  body: '{"label":"a","scopes":["inference"]}',
};

describe('the same request under the same key', () => {
  test('is made once, and answered alike, also after a restart', async () => {
    using it = await idempotencyIn();
    const key = randomUUIDv7();
    const first = await it.idempotency.run(key, change, () => it.work(201));
    const again = it.restarted();
    await again.start();
    const second = await again.run(key, change, () => it.work());
    expect(it.runs()).toBe(1);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(await second.json()).toEqual(await first.json());
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(second.headers.get('content-type')).toBe(first.headers.get('content-type'));
  });

  test.each([
    ['with its fields in another order', { body: '{ "scopes": ["inference"], "label": "a" }' }],
    ['with another space', { body: '{"label":"a","scopes":[ "inference" ]}' }],
  ])('%s is the same', async (_, other) => {
    using it = await idempotencyIn();
    await it.idempotency.run('key', change, () => it.work());
    await it.idempotency.run('key', { ...change, ...other }, () => it.work());
    expect(it.runs()).toBe(1);
  });

  test.each([
    ['another value', { body: '{"label":"b","scopes":["inference"]}' }],
    ['an object where a list was', { body: '{"label":"a","scopes":{"0":"inference"}}' }],
    ['another path', { path: '/api/v1/keys/x/rotate' }],
    ['another method', { method: 'PUT' }],
    ['another query', { query: new URLSearchParams('name=x') }],
    ['no body', { body: '' }],
    ['a body that is not JSON', { body: '{' }],
  ])('with %s is refused, and not made', async (_, other) => {
    using it = await idempotencyIn();
    await it.idempotency.run('key', change, () => it.work());
    const run = () => it.idempotency.run('key', { ...change, ...other }, () => it.work());
    expect(await codeOf(run)).toBe('IDEMPOTENCY_KEY_REUSED');
    expect(it.runs()).toBe(1);
  });

  test('of somebody else is another one', async () => {
    using it = await idempotencyIn();
    await it.idempotency.run('key', change, () => it.work());
    await it.idempotency.run('key', { ...change, principalId: 'somebody' }, () => it.work());
    expect(it.runs()).toBe(2);
  });

  test('is refused while the first is under way', async () => {
    using it = await idempotencyIn();
    const { promise, resolve } = Promise.withResolvers<Response>();
    const first = it.idempotency.run('key', change, () => promise);
    const second = it.idempotency.run('key', change, () => it.work());
    expect(await codeOf(() => second)).toBe('IDEMPOTENCY_UNDER_WAY');
    resolve(await it.work());
    expect((await first).status).toBe(200);
    expect(
      (await it.idempotency.run('key', change, () => it.work())).headers.has('idempotency-replayed'),
    ).toBe(true);
  });

  test('is made anew after a day', async () => {
    using it = await idempotencyIn();
    await it.idempotency.run('key', change, () => it.work());
    it.clock.advance(DAY_MS);
    await it.idempotency.sweep();
    expect(it.rows()).toEqual([]);
    await it.idempotency.run('key', change, () => it.work());
    expect(it.runs()).toBe(2);
  });
});

describe('what may come out otherwise next time is made anew', () => {
  test.each([500, 503, 401, 403, 408, 429])('an answer with status %d', async (status) => {
    using it = await idempotencyIn();
    await it.idempotency.run('key', change, () => it.work(status));
    expect(it.rows()).toEqual([]);
    expect((await it.idempotency.run('key', change, () => it.work())).status).toBe(200);
  });

  test('work that throws', async () => {
    using it = await idempotencyIn();
    const boom = it.idempotency.run('key', change, () => Promise.reject(new Error('boom')));
    await expect(boom).rejects.toThrow('boom');
    expect(it.rows()).toEqual([]);
  });

  test('work that a crash has cut off', async () => {
    using it = await idempotencyIn();
    void it.idempotency.run('key', change, () => new Promise(() => {}));
    expect(it.rows().length).toBe(1);
    const next = it.restarted();
    await next.start();
    expect((await next.run('key', change, () => it.work())).status).toBe(200);
  });
});

test('a refusal that says something about the change is kept', async () => {
  using it = await idempotencyIn();
  await it.idempotency.run('key', change, () => it.work(409));
  expect((await it.idempotency.run('key', change, () => it.work())).status).toBe(409);
});

test('the database alone tells neither the answer nor the key', async () => {
  using it = await idempotencyIn();
  const key = randomUUIDv7();
  await it.idempotency.run(key, change, () => it.work());
  const [row] = it.rows();
  const bytes = Buffer.concat(
    [row?.keyHash, row?.requestHash, row?.answer].map((part) => part ?? Buffer.alloc(0)),
  );
  expect(bytes.length).toBeGreaterThan(100);
  for (const secret of [SECRET, 'plain_key', key, change.body]) expect(bytes.includes(secret)).toBe(false);
});

test.each(['', 'a b', 'ä', 'x'.repeat(256), 'a\tb'])('%p is no key', async (key) => {
  using it = await idempotencyIn();
  expect(await codeOf(() => it.idempotency.run(key, change, () => it.work()))).toBe('INVALID_INPUT');
  expect(it.runs()).toBe(0);
});
