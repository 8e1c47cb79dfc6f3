/** Engines on disk: what the owner said in config.db, what the engine wants to see sealed in security.db. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configSchema, type Databases, openDatabases, securitySchema } from '../../db';
import { type AuditSpy, auditSpy } from '../../test/support/audit';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { manualClock } from '../lib/clock';
import { createEngineStore, type EngineStore, type ManualEngine } from './store';

let data: TestDir;
let db: Databases;
let store: EngineStore;
let audit: AuditSpy;

async function open(): Promise<void> {
  db = await openDatabases({ paths: data.paths, env: data.env, clock: manualClock(), lockWaitMs: 0 });
  store = createEngineStore(db.config, db.security, audit);
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

const engine = (id: string, credential: string | null = null, slots: number | null = null): ManualEngine => ({
  id,
  kind: 'openai',
  baseUrl: `http://${id}:8000`,
  slots,
  credential,
});

describe('the engine store', () => {
  test('gives back what was put in, oldest first, also after a restart', async () => {
    await store.insert(engine('b', 'sk-b', 3), 200);
    await store.insert({ ...engine('a'), kind: 'llamacpp' }, 100);
    db.close();
    await open();
    expect(await store.load()).toEqual([{ ...engine('a'), kind: 'llamacpp' }, engine('b', 'sk-b', 3)]);
  });

  test('keeps credentials in no file that can be read', async () => {
    await store.insert(engine('a', 'sk-very-secret'), 1);
    for (const file of readdirSync(data.dir))
      expect([file, readFileSync(join(data.dir, file)).includes('sk-very-secret')]).toEqual([file, false]);
    expect(JSON.stringify(db.config.select().from(configSchema.engines).all())).not.toContain('sk-');
  });

  test('forgets an engine with its credential', async () => {
    await store.insert(engine('a', 'sk-a'), 1);
    await store.insert(engine('b', 'sk-b'), 2);
    await store.remove('a');
    await store.remove('never there');
    expect(await store.load()).toEqual([engine('b', 'sk-b')]);
    expect(db.security.select().from(securitySchema.engineCredentials).all()).toHaveLength(1);
  });

  test('puts on record what was added and removed, and no key', async () => {
    await store.insert(engine('a', 'sk-a', 2), 1);
    await store.remove('a');
    await store.remove('never there');
    expect<unknown>(audit.events).toEqual([
      {
        type: 'engine.added',
        severity: 'medium',
        target: 'engine:a',
        details: { kind: 'openai', url: 'http://a:8000', slots: 2, has_key: true },
      },
      { type: 'engine.removed', severity: 'medium', target: 'engine:a', details: null },
    ]);
    expect(JSON.stringify(audit.events)).not.toContain('sk-a');
  });

  test('changes nothing that cannot be put on record', async () => {
    await store.insert(engine('a', 'sk-a'), 1);
    audit.refuse();
    await expect(store.insert(engine('b', 'sk-b'), 2)).rejects.toThrow('no room for the record');
    await expect(store.remove('a')).rejects.toThrow('no room for the record');
    expect(await store.load()).toEqual([engine('a', 'sk-a')]);
    expect(db.security.select().from(securitySchema.engineCredentials).all()).toHaveLength(1);
  });

  test('never gives an engine the credential of another that had its name', async () => {
    // A crash between the two files leaves a credential without an engine.
    const leftOver = { engineId: 'a', secret: 'sk-of-somebody-else', updatedAtMs: 1 };
    db.security.insert(securitySchema.engineCredentials).values(leftOver).run();
    await store.insert(engine('a'), 2);
    expect((await store.load())[0]?.credential).toBeNull();
  });

  test('refuses a second engine of one name, and keeps the first as it was', async () => {
    await store.insert(engine('a', 'sk-first'), 1);
    expect(store.insert({ ...engine('a', 'sk-second'), baseUrl: 'http://other' }, 2)).rejects.toThrow(
      'UNIQUE',
    );
    expect(await store.load()).toEqual([engine('a', 'sk-first')]);
  });

  test('leaves an engine of a kind that it does not know alone', async () => {
    const row = { id: 'x', kind: 'of-tomorrow', baseUrl: 'http://x', slots: null, createdAtMs: 1 };
    db.config.insert(configSchema.engines).values(row).run();
    expect(await store.load()).toEqual([]);
    expect(db.config.select().from(configSchema.engines).all()).toEqual([row]);
  });
});
