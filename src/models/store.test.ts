/** Rules on disk: what is put in comes out, also after a restart, and what cannot be read is left alone. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { configSchema, type Databases, openDatabases } from '../../db';
import { type AuditSpy, auditSpy } from '../../test/support/audit';
import { type TestDir, testDir } from '../../test/support/data-dir';
import type { AuditEvent } from '../contract';
import { manualClock } from '../lib/clock';
import { createRuleStore, type Rule, type RuleStore } from './store';

let data: TestDir;
let db: Databases;
let store: RuleStore;
let audit: AuditSpy;

async function open(): Promise<void> {
  db = await openDatabases({ paths: data.paths, env: data.env, clock: manualClock(), lockWaitMs: 0 });
  store = createRuleStore(db.config, audit);
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

const alias: Rule = {
  name: "fa'st, | =1",
  places: [
    [
      { model: 'flm://e/m', weight: 3 },
      { model: 'a,b', weight: 1 },
    ],
    [{ model: 'c', weight: 1 }],
  ],
  strategy: null,
  updatedAtMs: 5,
};
const EVENT: AuditEvent = { type: 'model.alias_set', severity: 'low', target: 'model:x', details: null };
const strategy: Rule = { name: 'm', places: null, strategy: 'highest-score', updatedAtMs: 6 };

describe('the rule store', () => {
  test('gives back what was put in, by name, also after a restart', async () => {
    await store.put(strategy, EVENT);
    await store.put(alias, EVENT);
    db.close();
    await open();
    expect(await store.load()).toEqual([alias, strategy]);
  });

  test('replaces and removes', async () => {
    await store.put(alias, EVENT);
    await store.put({ ...alias, places: null, strategy: 'manual', updatedAtMs: 9 }, EVENT);
    await store.put(strategy, EVENT);
    await store.remove(strategy.name, EVENT);
    await store.remove('never there', EVENT);
    expect(await store.load()).toEqual([{ ...alias, places: null, strategy: 'manual', updatedAtMs: 9 }]);
  });

  test('puts each change on record, and changes nothing that cannot be', async () => {
    await store.put(alias, EVENT);
    await store.put({ ...alias, updatedAtMs: 6 }, { ...EVENT, target: 'model:y' });
    await store.remove('never there', EVENT);
    expect(audit.events.map(({ target }) => target)).toEqual(['model:x', 'model:y']);
    audit.refuse();
    await expect(store.put(alias, EVENT)).rejects.toThrow('no room for the record');
    await expect(store.remove(alias.name, EVENT)).rejects.toThrow('no room for the record');
    expect(await store.load()).toEqual([{ ...alias, updatedAtMs: 6 }]);
  });

  test.each(['{', '{}', '[]', '[[]]', '[["m"]]', '[[{"model":"m"}]]', '[[{"model":"","weight":1}]]'])(
    'leaves targets that it cannot read alone: %p',
    async (targetsJson) => {
      const row = { name: 'x', targetsJson, strategy: null, updatedAtMs: 1 };
      db.config.insert(configSchema.modelRoutes).values(row).run();
      expect(await store.load()).toEqual([]);
      expect(db.config.select().from(configSchema.modelRoutes).all()).toEqual([row]);
    },
  );

  test('takes a strategy of a newer version for the default', async () => {
    const row = { name: 'x', targetsJson: null, strategy: 'of-tomorrow', updatedAtMs: 1 };
    db.config.insert(configSchema.modelRoutes).values(row).run();
    expect(await store.load()).toEqual([{ name: 'x', places: null, strategy: null, updatedAtMs: 1 }]);
  });
});
