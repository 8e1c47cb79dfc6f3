/** API keys from their making to their end, on clocks that behave and on clocks that do not. */
import { afterEach, beforeEach, describe, expect, jest, test } from 'bun:test';
import { codeOf, errorOf } from '../../test/support/thrown';
import type { Clock, Event } from '../contract';
import { type Bus, createBus } from '../lib/bus';
import { type ManualClock, manualClock, systemClock } from '../lib/clock';
import { randomBase62 } from '../lib/ids';
import { makeKey } from './key-format';
import { createKeys, type Keys } from './keys';
import type { KeyStore, StoredKey } from './store';
import { NO_TERMS, termsView } from './terms';

/** A store in memory, which fails on demand. */
interface MemoryStore extends KeyStore {
  rows: StoredKey[];
  readonly waiting: Map<string, string>;
  failing: boolean;
}

function memoryStore(): MemoryStore {
  const pepper = Buffer.from(randomBase62(32));
  const check = (store: MemoryStore) => {
    if (store.failing) throw new Error('the disk is full');
  };
  const end = (store: MemoryStore, id: string, atMs: number) => {
    store.rows = store.rows.map((row) => (row.id === id ? { ...row, revokedAtMs: atMs } : row));
  };
  return {
    rows: [],
    waiting: new Map(),
    failing: false,
    pepper: async () => pepper,
    async list() {
      return this.rows.toSorted((a, b) => b.createdAtMs - a.createdAtMs);
    },
    async insert(key) {
      check(this);
      this.rows = [...this.rows, key];
    },
    async replace(oldId, endsAtMs, key, plain) {
      check(this);
      end(this, oldId, endsAtMs);
      this.rows = [...this.rows, key];
      if (plain !== null) this.waiting.set(key.id, plain);
    },
    async update(key) {
      check(this);
      this.rows = this.rows.map((row) => (row.id === key.id ? key : row));
    },
    async collect(id) {
      const plain = this.waiting.get(id) ?? null;
      this.waiting.delete(id);
      this.rows = this.rows.map((row) => (row.id === id ? { ...row, isUncollected: false } : row));
      return plain;
    },
    async revoke(id, atMs) {
      check(this);
      end(this, id, atMs);
    },
  };
}

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 10, 23, 12);

let store: MemoryStore;
let clock: ManualClock;
let bus: Bus;
let events: Event[];
let keys: Keys;

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const accepts = (plain: string, by: Keys = keys) => by.identify(`Bearer ${plain}`).principal !== null;

async function restart(): Promise<void> {
  keys.close();
  keys = await createKeys(store, clock, bus);
}

beforeEach(async () => {
  store = memoryStore();
  clock = manualClock(START_MS);
  bus = createBus();
  events = [];
  bus.subscribe('key.created', (event) => events.push(event));
  bus.subscribe('key.revoked', (event) => events.push(event));
  keys = await createKeys(store, clock, bus);
});

afterEach(() => {
  keys.close();
  bus.close();
});

describe('identify', () => {
  test('knows the owner of a key, with scopes and models', async () => {
    const { id, plain_key } = await keys.create({
      label: 'my app',
      scopes: ['inference', 'metrics'],
      models: ['a*'],
    });
    expect(keys.identify(`Bearer ${plain_key}`)).toEqual({
      principal: {
        kind: 'key',
        id,
        label: 'my app',
        scopes: new Set(['inference', 'metrics']),
        models: ['a*'],
      },
      refusal: null,
    });
  });

  test('gives a new key the scope inference and every model', async () => {
    const { plain_key, scopes, models, expires_at } = await keys.create({ label: 'l' });
    expect([scopes, models, expires_at]).toEqual([['inference'], null, null]);
    expect(keys.identify(`Bearer ${plain_key}`).principal).toMatchObject({
      scopes: new Set(['inference']),
      models: null,
    });
  });

  test.each<[string, (plain: string) => string | null, string | null]>([
    ['no header', () => null, 'missing_authorization_header'],
    ['an empty header', () => '', 'missing_authorization_header'],
    ['the scheme in another case', (plain) => `bEARER ${plain}`, null],
    ['more than one space', (plain) => `Bearer   ${plain}  `, null],
    ['no scheme', (plain) => plain, 'invalid_authorization_format'],
    ['another scheme', (plain) => `Basic ${plain}`, 'invalid_authorization_format'],
    ['the scheme alone', () => 'Bearer', 'invalid_authorization_format'],
    ['the scheme and spaces', () => 'Bearer    ', 'invalid_authorization_format'],
    ['two keys', (plain) => `Bearer ${plain} ${plain}`, 'invalid_authorization_format'],
    ['no space', (plain) => `Bearer${plain}`, 'invalid_authorization_format'],
    ['a space in front', (plain) => ` Bearer ${plain}`, 'invalid_authorization_format'],
    ['a key of somebody else', () => 'Bearer sk-proj-abc', 'mistyped_api_key'],
    ['a key that nobody made', () => `Bearer ${makeKey().plain}`, 'invalid_or_revoked_api_key'],
    ['a key in quotes', (plain) => `Bearer "${plain}"`, 'mistyped_api_key'],
    ['a key with something behind it', (plain) => `Bearer ${plain},`, 'mistyped_api_key'],
    ['a key cut short', (plain) => `Bearer ${plain.slice(0, -1)}`, 'mistyped_api_key'],
  ])('%s', async (_, header, refusal) => {
    const { plain_key } = await keys.create({ label: 'l' });
    const identified = keys.identify(header(plain_key));
    expect([identified.principal === null, identified.refusal]).toEqual([refusal !== null, refusal as never]);
  });

  test('refuses a secret that is not the one of its id, with the digest of the whole compared in one go', async () => {
    // There is one path: an unknown id is compared with the digest of nobody's key, so it costs what a known one does.
    const { id, plain_key } = await keys.create({ label: 'l' });
    for (let i = 0; i < 200; i++) {
      const body = `flm_${id}${randomBase62(32)}`;
      const forged = body + checksumOf(body);
      expect(keys.identify(`Bearer ${forged}`).refusal).toBe('invalid_or_revoked_api_key');
    }
    expect(accepts(plain_key)).toBe(true);
  });

  test('throws at nothing, whatever a stranger sends: 100,000 headers', async () => {
    const { plain_key } = await keys.create({ label: 'l' });
    const pieces = [
      'Bearer ',
      'bearer\t',
      'Basic ',
      'flm_',
      plain_key,
      plain_key.slice(0, 30),
      '\0',
      'é',
      '🔑',
      ' ',
      ',',
      '"',
    ];
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    let accepted = 0;
    for (let i = 0; i < 100_000; i++) {
      let header = random(2) === 0 ? 'Bearer ' : '';
      for (let part = random(5); part >= 0; part--)
        header +=
          random(3) === 0
            ? String.fromCharCode(random(65_536)).repeat(random(40))
            : pieces[random(pieces.length)];
      if (keys.identify(header).principal !== null) {
        accepted++;
        expect(header).toContain(plain_key);
      }
    }
    expect(accepted).toBeLessThan(100_000);
    expect(keys.identify(`Bearer ${'x'.repeat(10_000_000)}`).principal).toBeNull();
  });

  test('works on a snapshot: neither a slow nor a broken database changes what it knows', async () => {
    const { plain_key } = await keys.create({ label: 'l' });
    store.failing = true;
    store.rows = [];
    expect(accepts(plain_key)).toBe(true);
  });

  test('recognises the keys of before after a restart, and none with another pepper', async () => {
    const { plain_key } = await keys.create({ label: 'l' });
    await restart();
    expect(accepts(plain_key)).toBe(true);
    const stranger = { ...memoryStore(), rows: store.rows };
    const other = await createKeys(stranger, clock, bus);
    expect(accepts(plain_key, other)).toBe(false);
    other.close();
  });
});

/** The checksum of a body, from a key that was made to have it. */
function checksumOf(body: string): string {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let rest = Bun.hash.crc32(body);
  let out = '';
  for (let i = 0; i < 6; i++) {
    out = digits[rest % 62] + out;
    rest = Math.floor(rest / 62);
  }
  return out;
}

describe('create', () => {
  test('keeps a digest and no key, and shows the key this once', async () => {
    const { plain_key } = await keys.create({ label: 'l' });
    const [row] = store.rows;
    expect(row?.hash).toHaveLength(32);
    expect(Bun.inspect(store.rows)).not.toContain(plain_key.slice(12, 44));
    expect(row?.hash.toString('latin1')).not.toContain(plain_key.slice(12, 20));
    expect(row?.hash.equals(new Bun.CryptoHasher('sha256').update(plain_key).digest())).toBe(false);
    expect(JSON.stringify(await keys.list())).not.toMatch(/hash|plain/);
    await settle();
    expect(JSON.stringify(events)).not.toContain(plain_key.slice(12, 20));
  });

  test('allows any number of keys with one label (FLM-107), each with its own digest', async () => {
    for (let i = 0; i < 20; i++) await keys.create({ label: 'same' });
    expect(new Set(store.rows.map(({ hash }) => hash.toString('hex'))).size).toBe(20);
  });

  test('that could not be stored gives no key that works', async () => {
    store.failing = true;
    expect(keys.create({ label: 'l' })).rejects.toThrow('the disk is full');
    await settle();
    expect([(await keys.list()).items, keys.anyUsable(), events]).toEqual([[], false, []]);
  });

  test('tells the bus its id and label', async () => {
    const { id } = await keys.create({ label: 'my app' });
    await settle();
    expect(events).toEqual([{ name: 'key.created', keyId: id, label: 'my app' }]);
  });
});

describe('list', () => {
  test('shows all keys, newest first, each with how it is', async () => {
    const first = await keys.create({ label: 'first' });
    clock.advance(1_000);
    const second = await keys.create({ label: 'second', expires_in_s: 60, models: ['m'] });
    clock.advance(60_000);
    await keys.revoke(first.id);
    expect(await keys.list()).toEqual({
      items: [
        {
          id: second.id,
          label: 'second',
          status: 'expired',
          scopes: ['inference'],
          models: ['m'],
          created_at: '2026-11-23T12:00:01.000Z',
          expires_at: '2026-11-23T12:01:01.000Z',
          revoked_at: null,
          rotated_from: null,
          ...termsView(NO_TERMS),
          is_uncollected: false,
        },
        {
          id: first.id,
          label: 'first',
          status: 'revoked',
          scopes: ['inference'],
          models: null,
          created_at: '2026-11-23T12:00:00.000Z',
          expires_at: null,
          revoked_at: '2026-11-23T12:01:01.000Z',
          rotated_from: null,
          ...termsView(NO_TERMS),
          is_uncollected: false,
        },
      ],
      next: null,
    });
  });
});

describe('expiry', () => {
  test('refuses a key from the millisecond it ends', async () => {
    const { plain_key, expires_at } = await keys.create({ label: 'l', expires_in_s: 3_600 });
    expect(expires_at).toBe('2026-11-23T13:00:00.000Z');
    clock.advance(HOUR_MS - 1);
    expect(accepts(plain_key)).toBe(true);
    clock.advance(1);
    expect(keys.identify(`Bearer ${plain_key}`).refusal).toBe('ended_api_key');
    await restart();
    expect(accepts(plain_key)).toBe(false);
  });

  test('is told when it comes, so that the key’s streams end too', async () => {
    jest.useFakeTimers();
    try {
      const { id } = await keys.create({ label: 'l', expires_in_s: 60 });
      clock.advance(60_000);
      jest.advanceTimersByTime(60_000);
      await Promise.resolve();
      await Promise.resolve();
      expect(events.filter(({ name }) => name === 'key.revoked')).toEqual([
        { name: 'key.revoked', keyId: id },
      ]);
    } finally {
      jest.useRealTimers();
    }
  });

  test('is not undone by a clock that is set back', async () => {
    const { plain_key } = await keys.create({ label: 'l', expires_in_s: 3_600 });
    clock.advance(HOUR_MS);
    clock.setWall(START_MS);
    expect(accepts(plain_key)).toBe(false);
  });

  test('is not undone by a clock that was ahead and is set right: what has ended stays ended', async () => {
    const { plain_key } = await keys.create({ label: 'l', expires_in_s: 3_600 });
    clock.setWall(START_MS + 2 * HOUR_MS);
    expect(accepts(plain_key)).toBe(false);
    clock.setWall(START_MS);
    expect(accepts(plain_key)).toBe(false);
    expect((await keys.list()).items[0]?.status).toBe('expired');
  });

  test('counts from now for a key that is made after the clock was set back', async () => {
    clock.advance(HOUR_MS);
    clock.setWall(START_MS - 24 * HOUR_MS);
    const { plain_key } = await keys.create({ label: 'l', expires_in_s: 3_600 });
    expect(accepts(plain_key)).toBe(true);
    clock.advance(HOUR_MS - 1);
    expect(accepts(plain_key)).toBe(true);
    clock.advance(1);
    expect(accepts(plain_key)).toBe(false);
  });

  test('comes in whole milliseconds, whatever the monotonic clock says', async () => {
    const fractions: Clock = { nowMs: () => START_MS, monotonicMs: () => clock.monotonicMs() + 0.625 };
    const own = await createKeys(store, fractions, bus);
    clock.advance(5_000);
    const { id } = await own.create({ label: 'l', expires_in_s: 60 });
    await own.rotate(id, { grace_s: 30 });
    for (const { createdAtMs, expiresAtMs, revokedAtMs } of store.rows)
      expect([createdAtMs, expiresAtMs ?? 0, revokedAtMs ?? 0].every(Number.isInteger)).toBe(true);
    own.close();
  });
});

describe('revoke', () => {
  test('works on the very next request, is told once and outlives a restart', async () => {
    const { id, plain_key } = await keys.create({ label: 'l' });
    const other = await keys.create({ label: 'other' });
    expect(await keys.revoke(id)).toEqual({ id, revoked: true });
    expect([accepts(plain_key), accepts(other.plain_key)]).toEqual([false, true]);
    await settle();
    expect(events.filter(({ name }) => name === 'key.revoked')).toEqual([{ name: 'key.revoked', keyId: id }]);
    await restart();
    await settle();
    expect(accepts(plain_key)).toBe(false);
    expect(events.filter(({ name }) => name === 'key.revoked')).toHaveLength(1);
  });

  test('refuses what is not there and what is revoked already (FLM-023)', async () => {
    const { id } = await keys.create({ label: 'l' });
    await keys.revoke(id);
    const again = await errorOf(() => keys.revoke(id));
    expect([again.code, again.exit, again.message.includes(id)]).toEqual(['KEY_ALREADY_REVOKED', 1, true]);
    expect(await codeOf(() => keys.revoke('nobody00'))).toBe('KEY_NOT_FOUND');
    expect(await codeOf(() => keys.rotate('nobody00', {}))).toBe('KEY_NOT_FOUND');
    expect(await codeOf(() => keys.rotate(id, {}))).toBe('KEY_ALREADY_REVOKED');
  });

  test('is not undone by a clock that is set back, now or before the next start', async () => {
    const { id, plain_key } = await keys.create({ label: 'l' });
    clock.advance(HOUR_MS);
    clock.setWall(START_MS);
    await keys.revoke(id);
    expect(accepts(plain_key)).toBe(false);
    // The clock stays where it was set: what is written down must not lie ahead of it.
    await restart();
    expect(accepts(plain_key)).toBe(false);
    expect((await keys.list()).items[0]?.status).toBe('revoked');
  });

  test('that could not be stored counts at once all the same, and can be tried again', async () => {
    const { id, plain_key } = await keys.create({ label: 'l' });
    store.failing = true;
    for (let tries = 0; tries < 2; tries++) {
      const error = await errorOf(() => keys.revoke(id));
      expect([error.code, error.message]).toEqual(['DB_ERROR', expect.stringContaining('the disk is full')]);
      expect(error.hint).toContain(`flm api-keys revoke ${id}`);
    }
    await settle();
    expect([accepts(plain_key), events.filter(({ name }) => name === 'key.revoked')]).toEqual([
      false,
      [{ name: 'key.revoked', keyId: id }],
    ]);
    store.failing = false;
    // A change of another key does not bring it back.
    await keys.create({ label: 'other' });
    expect(accepts(plain_key)).toBe(false);
    expect(await keys.revoke(id)).toEqual({ id, revoked: true });
    await restart();
    expect(accepts(plain_key)).toBe(false);
    expect((await errorOf(() => keys.revoke(id))).code).toBe('KEY_ALREADY_REVOKED');
  });
});

describe('rotate', () => {
  test('replaces a key by one like it and ends the old one at once', async () => {
    const old = await keys.create({ label: 'my app', scopes: ['metrics'], models: ['a', 'b'] });
    const rotated = await keys.rotate(old.id, {});
    expect(rotated).toMatchObject({
      label: 'my app',
      scopes: ['metrics'],
      models: ['a', 'b'],
      expires_at: null,
      old_key_id: old.id,
      old_key_valid_until: '2026-11-23T12:00:00.000Z',
    });
    expect([accepts(old.plain_key), accepts(rotated.plain_key)]).toEqual([false, true]);
    expect((await keys.list()).items.find(({ id }) => id === rotated.id)?.rotated_from).toBe(old.id);
    await settle();
    expect(events.slice(1)).toEqual([
      { name: 'key.created', keyId: rotated.id, label: 'my app' },
      { name: 'key.revoked', keyId: old.id },
    ]);
  });

  test('takes a new label', async () => {
    const { id } = await keys.create({ label: 'old' });
    expect((await keys.rotate(id, { label: 'new' })).label).toBe('new');
  });

  test('lets both work during the grace, and the old one no millisecond longer', async () => {
    const old = await keys.create({ label: 'l' });
    const rotated = await keys.rotate(old.id, { grace_s: 3_600 });
    expect(rotated.old_key_valid_until).toBe('2026-11-23T13:00:00.000Z');
    expect((await keys.list()).items.find(({ id }) => id === old.id)?.status).toBe('active');
    clock.advance(HOUR_MS - 1);
    expect([accepts(old.plain_key), accepts(rotated.plain_key)]).toEqual([true, true]);
    await restart();
    expect(accepts(old.plain_key)).toBe(true);
    clock.advance(1);
    expect([accepts(old.plain_key), accepts(rotated.plain_key)]).toEqual([false, true]);
    clock.setWall(START_MS);
    expect(accepts(old.plain_key)).toBe(false);
    expect((await keys.list()).items.find(({ id }) => id === old.id)?.status).toBe('revoked');
  });

  test('gives the new key the lifetime that the old one was made for', async () => {
    const old = await keys.create({ label: 'l', expires_in_s: 90 });
    clock.advance(60_000);
    const rotated = await keys.rotate(old.id, {});
    expect([rotated.created_at, rotated.expires_at]).toEqual([
      '2026-11-23T12:01:00.000Z',
      '2026-11-23T12:02:30.000Z',
    ]);
  });

  test('replaces a key that has expired, which no grace brings back', async () => {
    const old = await keys.create({ label: 'l', expires_in_s: 60 });
    clock.advance(61_000);
    const rotated = await keys.rotate(old.id, { grace_s: 3_600 });
    expect([accepts(old.plain_key), accepts(rotated.plain_key)]).toEqual([false, true]);
  });

  test('a second time does not lengthen the grace of the first', async () => {
    const old = await keys.create({ label: 'l' });
    await keys.rotate(old.id, { grace_s: 60 });
    const again = await keys.rotate(old.id, { grace_s: 3_600 });
    expect(again.old_key_valid_until).toBe('2026-11-23T12:01:00.000Z');
    expect((await keys.rotate(old.id, { grace_s: 10 })).old_key_valid_until).toBe('2026-11-23T12:00:10.000Z');
  });

  test('leaves a key in its grace that can still be revoked at once', async () => {
    const old = await keys.create({ label: 'l' });
    await keys.rotate(old.id, { grace_s: 3_600 });
    await keys.revoke(old.id);
    expect(accepts(old.plain_key)).toBe(false);
    await settle();
    expect(events.filter(({ name }) => name === 'key.revoked')).toEqual([
      { name: 'key.revoked', keyId: old.id },
    ]);
  });

  test('that could not be stored changes neither key', async () => {
    const old = await keys.create({ label: 'l' });
    store.failing = true;
    expect(keys.rotate(old.id, {})).rejects.toThrow('the disk is full');
    await settle();
    expect([accepts(old.plain_key), (await keys.list()).items.length]).toEqual([true, 1]);
  });

  test('tells when each grace is over, also of several that end together', async () => {
    // The one test on the real clock: a timer is what it is about.
    const own = await createKeys(store, systemClock, bus);
    const old = await Promise.all([1, 2, 3].map(() => own.create({ label: 'l' })));
    const told = new Promise<string[]>((resolve) => {
      const ids: string[] = [];
      bus.subscribe('key.revoked', ({ keyId }) => {
        ids.push(keyId);
        if (ids.length === old.length) resolve(ids);
      });
    });
    await Promise.all(old.map(({ id }) => own.rotate(id, { grace_s: 0.02 })));
    expect((await told).sort()).toEqual(old.map(({ id }) => id).sort());
    expect(old.some(({ plain_key }) => accepts(plain_key, own))).toBe(false);
    own.close();
  });
});

describe('a key for the owner’s own chat', () => {
  test('works for its time, is listed nowhere, kept nowhere and gone with the process', async () => {
    const { plain } = keys.issueEphemeral('flm chat', 60_000);
    expect(keys.identify(`Bearer ${plain}`).principal).toMatchObject({ label: 'flm chat', models: null });
    expect([(await keys.list()).items, store.rows, keys.anyUsable()]).toEqual([[], [], false]);
    clock.advance(59_999);
    expect(accepts(plain)).toBe(true);
    clock.advance(1);
    expect(accepts(plain)).toBe(false);
    const { plain: second } = keys.issueEphemeral('flm chat', 60_000);
    await restart();
    expect(accepts(second)).toBe(false);
    await settle();
    expect(events).toEqual([]);
  });
});

describe('anyUsable', () => {
  test('is true while one key could still be used', async () => {
    expect(keys.anyUsable()).toBe(false);
    const { id } = await keys.create({ label: 'l', expires_in_s: 60 });
    expect(keys.anyUsable()).toBe(true);
    clock.advance(60_000);
    expect(keys.anyUsable()).toBe(false);
    const rotated = await keys.rotate(id, {});
    expect(keys.anyUsable()).toBe(true);
    await keys.revoke(rotated.id);
    expect(keys.anyUsable()).toBe(false);
  });
});

test('a look into the database that another process has taken over ends and begins keys here, too', async () => {
  const { id, plain_key: revoked } = await keys.create({ label: 'revoked there' });
  const other = await createKeys(store, clock, createBus());
  await other.revoke(id);
  const { plain_key: made } = await other.create({ label: 'made there' });
  expect([accepts(revoked), accepts(made)]).toEqual([true, false]);
  await keys.refresh();
  await settle();
  expect([accepts(revoked), accepts(made)]).toEqual([false, true]);
  expect(events.at(-1)).toEqual({ name: 'key.revoked', keyId: id });
  other.close();
});

describe('changes at the same moment', () => {
  test('do not undo one another', async () => {
    const { id } = await keys.create({ label: 'l' });
    await Promise.all([
      keys.update(id, { requests_per_minute: 5 }),
      keys.update(id, { cidrs: ['192.0.2.0/24'] }),
    ]);
    expect((await keys.list()).items[0]).toMatchObject({ requests_per_minute: 5, cidrs: ['192.0.2.0/24'] });
  });

  test('bring no revoked key back, by hand or by the clock', async () => {
    const { id, plain_key: revoked } = await keys.create({ label: 'l' });
    const revoking = keys.revoke(id);
    expect(await codeOf(() => keys.rotate(id, { grace_s: 60 }))).toBe('KEY_ALREADY_REVOKED');
    await revoking;
    const due = { label: 'l', rotate_every_s: 86_400, rotate_grace_s: 3_600 };
    const made = [await keys.create(due), await keys.create(due)];
    clock.advance(86_400_000);
    await Promise.all([keys.rotateDue(), ...made.map((key) => keys.revoke(key.id))]);
    expect([revoked, ...made.map((key) => key.plain_key)].map((plain) => accepts(plain))).toEqual([
      false,
      false,
      false,
    ]);
  });

  test('replace a key once', async () => {
    const { id } = await keys.create({ label: 'l' });
    const both = await Promise.allSettled([keys.rotate(id, {}), keys.rotate(id, {})]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });
});
