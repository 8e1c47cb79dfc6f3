/** Keys on disk: complete, in order, sealed, and read with suspicion. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Databases, openDatabases, securitySchema } from '../../db';
import { type AuditSpy, auditSpy } from '../../test/support/audit';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { createBus } from '../lib/bus';
import { manualClock } from '../lib/clock';
import { createKeys } from './keys';
import { createKeyStore, type KeyStore, type StoredKey } from './store';
import { NO_TERMS } from './terms';

let data: TestDir;
let db: Databases;
let store: KeyStore;
let audit: AuditSpy;

async function open(): Promise<void> {
  db = await openDatabases({ paths: data.paths, env: data.env, clock: manualClock(), lockWaitMs: 0 });
  store = createKeyStore(db.security, audit);
}

beforeEach(async () => {
  data = testDir();
  audit = auditSpy();
  await open();
});

afterEach(() => {
  db.close();
  data[Symbol.dispose]();
});

function key(id: string, more: Partial<StoredKey> = {}): StoredKey {
  return {
    id,
    label: `label of ${id}`,
    hash: Buffer.from(id.padEnd(32, '.')),
    scopes: ['inference'],
    models: null,
    createdAtMs: 1_000,
    expiresAtMs: null,
    revokedAtMs: null,
    rotatedFrom: null,
    terms: NO_TERMS,
    isUncollected: false,
    ...more,
  };
}

const ids = async () => (await store.list()).map(({ id }) => id);

describe('the key store', () => {
  test('gives back what was put in, newest first, also after a restart', async () => {
    const full = key('aaaaaaaa', {
      scopes: ['metrics', 'engine-admin'],
      models: ['flm://e/m', 'ü*'],
      expiresAtMs: 5,
      revokedAtMs: 6,
      rotatedFrom: 'bbbbbbbb',
      createdAtMs: 2_000,
    });
    await store.insert(key('bbbbbbbb', { models: [] }));
    await store.insert(full);
    await store.insert(key('cccccccc'));
    db.close();
    await open();
    expect(await ids()).toEqual(['aaaaaaaa', 'cccccccc', 'bbbbbbbb']);
    const [first, , last] = await store.list();
    expect(first).toEqual({ ...full, scopes: ['metrics', 'engine-admin'] });
    expect(last?.models).toEqual([]);
  });

  test('makes the pepper of an installation once', async () => {
    const pepper = await store.pepper(1);
    expect(pepper).toHaveLength(32);
    expect((await store.pepper(2)).equals(pepper)).toBe(true);
    db.close();
    await open();
    expect((await store.pepper(3)).equals(pepper)).toBe(true);
    using other = testDir();
    const otherDb = await openDatabases({
      paths: other.paths,
      env: other.env,
      clock: manualClock(),
      lockWaitMs: 0,
    });
    expect((await createKeyStore(otherDb.security, audit).pepper(1)).equals(pepper)).toBe(false);
    otherDb.close();
  });

  test('replaces both or neither', async () => {
    await store.insert(key('aaaaaaaa'));
    // The new key cannot be inserted: its digest is taken.
    const clash = key('bbbbbbbb', { hash: key('aaaaaaaa').hash });
    expect(store.replace('aaaaaaaa', 9_000, clash, null)).rejects.toThrow('UNIQUE');
    expect(await store.list()).toEqual([key('aaaaaaaa')]);
    await store.replace('aaaaaaaa', 9_000, key('bbbbbbbb', { createdAtMs: 3_000 }), null);
    expect(await ids()).toEqual(['bbbbbbbb', 'aaaaaaaa']);
    expect((await store.list())[1]?.revokedAtMs).toBe(9_000);
  });

  test('puts on record what becomes of each key', async () => {
    const models = Array.from({ length: 30 }, (_, n) => `m${n}`);
    await store.insert(key('aaaaaaaa', { expiresAtMs: 5_000, models }));
    await store.replace('aaaaaaaa', 9_000, key('bbbbbbbb', { rotatedFrom: 'aaaaaaaa' }), null);
    await store.revoke('bbbbbbbb', 7_000);
    await store.revoke('never there', 7_000);
    const told = (type: string, id: string, details: object) => ({
      type,
      severity: 'medium',
      target: `key:${id}`,
      details,
    });
    expect<unknown>(audit.events).toEqual([
      told('key.created', 'aaaaaaaa', {
        label: 'label of aaaaaaaa',
        scopes: ['inference'],
        models: models.slice(0, 20),
        models_in_all: 30,
        expires_at: '1970-01-01T00:00:05.000Z',
      }),
      told('key.rotated', 'aaaaaaaa', { replaced_by: 'bbbbbbbb', ends_at: '1970-01-01T00:00:09.000Z' }),
      told('key.created', 'bbbbbbbb', {
        label: 'label of bbbbbbbb',
        scopes: ['inference'],
        models: null,
        expires_at: null,
        rotated_from: 'aaaaaaaa',
      }),
      told('key.revoked', 'bbbbbbbb', { ends_at: '1970-01-01T00:00:07.000Z' }),
    ]);
  });

  test('changes nothing that cannot be put on record', async () => {
    await store.insert(key('aaaaaaaa'));
    audit.refuse();
    for (const change of [
      store.insert(key('bbbbbbbb')),
      store.replace('aaaaaaaa', 9_000, key('cccccccc'), null),
      store.revoke('aaaaaaaa', 9_000),
    ])
      await expect(change).rejects.toThrow('no room for the record');
    expect(await store.list()).toEqual([key('aaaaaaaa')]);
  });

  test('ends one key and no other', async () => {
    await store.insert(key('aaaaaaaa'));
    await store.insert(key('bbbbbbbb'));
    await store.revoke('aaaaaaaa', 7_000);
    await store.revoke("x' OR '1'='1", 7_000);
    const ends = (await store.list()).map(({ id, revokedAtMs }) => [id, revokedAtMs]);
    expect(Object.fromEntries(ends)).toEqual({ aaaaaaaa: 7_000, bbbbbbbb: null });
  });
});

describe('rows that this version did not write', () => {
  function write(scopesJson: string, modelsJson: string | null): void {
    const { scopes: _, models: __, ...row } = key('aaaaaaaa');
    db.security
      .insert(securitySchema.apiKeys)
      .values({ ...row, scopesJson, modelsJson })
      .run();
  }

  test.each([
    ['["inference","of-tomorrow","keys:write"]', ['inference']],
    ['{"inference":true}', []],
    ['"inference"', []],
    ['["infer', []],
    ['', []],
  ] as const)('grant no scope that is not understood: %p', async (json, scopes) => {
    write(json, null);
    expect((await store.list())[0]?.scopes).toEqual([...scopes]);
  });

  test.each([
    ['["a",5,null,"b"]', ['a', 'b']],
    ['{}', []],
    ['null', []],
    ['["a', []],
    ['', []],
  ] as const)('allow no model that cannot be read: %p', async (json, models) => {
    write('["inference"]', json);
    expect((await store.list())[0]?.models).toEqual([...models]);
  });
});

test('neither a key nor its digest can be read in any file', async () => {
  const keys = await createKeys(store, manualClock(), createBus());
  const { plain_key, id } = await keys.create({ label: 'a readable label' });
  await keys.rotate(id, { grace_s: 60 });
  keys.close();
  const [row] = await store.list();
  const pepper = await store.pepper(0);
  for (const file of readdirSync(data.dir)) {
    const bytes = readFileSync(join(data.dir, file));
    for (const secret of [plain_key, plain_key.slice(12, 44), row?.hash ?? '', pepper, 'a readable label'])
      expect([file, bytes.includes(secret)]).toEqual([file, false]);
  }
  // Opened with its key, the database holds the digest and still not the key.
  const dump = db.security.$client.serialize();
  expect(dump.includes(plain_key.slice(12, 44))).toBe(false);
  expect(Bun.inspect(db.security.select().from(securitySchema.apiKeys).all())).not.toContain(
    plain_key.slice(12, 20),
  );
});
