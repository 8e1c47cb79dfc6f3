/** Keys that replace themselves, on a real database: what waits, who gets it, and what is on record. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { type Databases, openDatabases } from '../../db';
import { type AuditSpy, auditSpy } from '../../test/support/audit';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { codeOf } from '../../test/support/thrown';
import { createBus } from '../lib/bus';
import { type ManualClock, manualClock } from '../lib/clock';
import { createKeys, type Keys } from './keys';
import { createKeyStore } from './store';

const DAY_S = 86_400;
const DAY_MS = DAY_S * 1_000;

let data: TestDir;
let db: Databases;
let audit: AuditSpy;
let clock: ManualClock;
let keys: Keys;

beforeEach(async () => {
  data = testDir();
  clock = manualClock();
  db = await openDatabases({ paths: data.paths, env: data.env, clock, lockWaitMs: 0 });
  audit = auditSpy();
  keys = await createKeys(createKeyStore(db.security, audit), clock, createBus());
});

afterEach(() => {
  keys.close();
  db.close();
  data[Symbol.dispose]();
});

const works = (plain: string) => keys.identify(`Bearer ${plain}`).principal !== null;
const types = () => audit.events.map(({ type }) => type);
const make = () =>
  keys.create({
    label: 'ci',
    models: ['m'],
    cidrs: ['192.0.2.0/24'],
    requests_per_minute: 60,
    rotate_every_s: 30 * DAY_S,
    rotate_grace_s: 7 * DAY_S,
  });

test('FLM-107: a key that is due gets a successor like it, and works on for the grace', async () => {
  const old = await make();
  clock.advance(30 * DAY_MS - 1);
  expect(await keys.rotateDue()).toBe(0);
  clock.advance(1);
  expect(await keys.rotateDue()).toBe(1);
  expect(await keys.rotateDue()).toBe(0);
  const [fresh, ended] = (await keys.list()).items;
  expect(fresh).toMatchObject({
    label: 'ci',
    models: ['m'],
    cidrs: ['192.0.2.0/24'],
    requests_per_minute: 60,
  });
  expect(fresh).toMatchObject({ rotated_from: old.id, rotate_every_s: 30 * DAY_S, is_uncollected: true });
  expect(ended).toMatchObject({ id: old.id, status: 'active', is_uncollected: false });
  expect(works(old.plain_key)).toBe(true);
  clock.advance(7 * DAY_MS);
  expect(works(old.plain_key)).toBe(false);
});

test('the new key is handed over once, by the name of either, and is nowhere after that', async () => {
  const old = await make();
  expect(await codeOf(() => keys.collect(old.id))).toBe('KEY_NOT_WAITING');
  clock.advance(30 * DAY_MS);
  await keys.rotateDue();
  const { id, plain_key: plain } = await keys.collect(old.id);
  expect(works(plain)).toBe(true);
  expect(await codeOf(() => keys.collect(id))).toBe('KEY_NOT_WAITING');
  expect(await codeOf(() => keys.collect('nobody'))).toBe('KEY_NOT_FOUND');
  expect((await keys.list()).items[0]?.is_uncollected).toBe(false);
  expect(types()).toEqual(['key.created', 'key.rotated', 'key.created', 'key.collected']);
  expect(JSON.stringify([audit.events, await keys.list()])).not.toContain(plain);
  expect(db.security.$client.prepare('SELECT count(uncollected) AS n FROM api_keys').get()).toEqual({ n: 0 });
});

test('what nobody fetched is replaced, too, and the newest is the one that waits', async () => {
  const old = await make();
  clock.advance(30 * DAY_MS);
  await keys.rotateDue();
  clock.advance(30 * DAY_MS);
  expect(await keys.rotateDue()).toBe(1);
  const waiting = (await keys.list()).items.filter((key) => key.is_uncollected);
  expect(waiting.length).toBe(1);
  expect((await keys.collect(old.id)).id).toBe(waiting[0]?.id ?? '');
});

test('a key that ends anyway is not replaced, and one that is revoked leaves nothing to fetch', async () => {
  const old = await make();
  const { id } = await keys.rotate(old.id, { grace_s: 60 * DAY_S });
  await keys.revoke(id);
  clock.advance(30 * DAY_MS);
  expect(await keys.rotateDue()).toBe(0);
  const other = await make();
  clock.advance(30 * DAY_MS);
  await keys.rotateDue();
  const waiting = (await keys.list()).items.find((key) => key.is_uncollected);
  await keys.revoke(waiting?.id ?? '');
  expect(await codeOf(() => keys.collect(other.id))).toBe('KEY_NOT_WAITING');
});

test('a change takes what is given and leaves the rest; null takes it off', async () => {
  const { id } = await make();
  const changed = await keys.update(id, { label: 'new', burst: 5, cidrs: null, rotate_every_s: null });
  expect(changed).toMatchObject({
    label: 'new',
    requests_per_minute: 60,
    burst: 5,
    cidrs: null,
    models: ['m'],
  });
  expect(changed).toMatchObject({ rotate_every_s: null, rotate_grace_s: null });
  expect((await keys.update(id, { requests_per_minute: null })).burst).toBeNull();
  expect(audit.events.at(-1)).toMatchObject({ type: 'key.updated', target: `key:${id}` });
  await keys.revoke(id);
  expect(await codeOf(() => keys.update(id, { label: 'x' }))).toBe('KEY_ALREADY_REVOKED');
});
