/** The settings table: what is put in comes out, also after a restart. */
import { expect, test } from 'bun:test';
import { configSchema, openDatabases } from '../../db';
import { testDir } from '../../test/support/data-dir';
import { manualClock } from '../lib/clock';
import { createSettingsStore } from './store';

test('keeps, replaces and removes values, and tells when each was last set', async () => {
  using data = testDir();
  const { paths, env } = data;
  const first = await openDatabases({ paths, env, clock: manualClock(), lockWaitMs: 0 });
  const store = createSettingsStore(first.config);
  await store.put('proxy.port', '1', 100);
  await store.put('proxy.port', '2', 200);
  await store.put('log.level', "w'arn; DROP TABLE settings", 300);
  await store.put('gone', 'x', 400);
  await store.remove('gone');
  await store.remove('never there');
  first.close();

  const second = await openDatabases({ paths, env, clock: manualClock(), lockWaitMs: 0 });
  expect(Object.fromEntries(await createSettingsStore(second.config).load())).toEqual({
    'proxy.port': '2',
    'log.level': "w'arn; DROP TABLE settings",
  });
  const times = second.config.select().from(configSchema.settings).all();
  expect(times.map(({ updatedAtMs }) => updatedAtMs).sort()).toEqual([200, 300]);
  second.close();
});
