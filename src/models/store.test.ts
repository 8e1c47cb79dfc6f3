/** Rules on disk: what is put in comes out, also after a restart, and what cannot be read is left alone. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { configSchema, type Databases, openDatabases } from '../../db';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { manualClock } from '../lib/clock';
import { createRuleStore, type Rule, type RuleStore } from './store';

let data: TestDir;
let db: Databases;
let store: RuleStore;

async function open(): Promise<void> {
  db = await openDatabases({ paths: data.paths, env: data.env, clock: manualClock(), lockWaitMs: 0 });
  store = createRuleStore(db.config);
}

beforeEach(async () => {
  data = testDir();
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
const strategy: Rule = { name: 'm', places: null, strategy: 'highest-score', updatedAtMs: 6 };

describe('the rule store', () => {
  test('gives back what was put in, by name, also after a restart', async () => {
    await store.put(strategy);
    await store.put(alias);
    db.close();
    await open();
    expect(await store.load()).toEqual([alias, strategy]);
  });

  test('replaces and removes', async () => {
    await store.put(alias);
    await store.put({ ...alias, places: null, strategy: 'manual', updatedAtMs: 9 });
    await store.put(strategy);
    await store.remove(strategy.name);
    await store.remove('never there');
    expect(await store.load()).toEqual([{ ...alias, places: null, strategy: 'manual', updatedAtMs: 9 }]);
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
