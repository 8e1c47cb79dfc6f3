/** The settings table: what is put in comes out, also after a restart. */
import { expect, test } from 'bun:test';
import { configSchema, openDatabases } from '../../db';
import { auditSpy } from '../../test/support/audit';
import { testDir } from '../../test/support/data-dir';
import { manualClock } from '../lib/clock';
import { createSettingsStore } from './store';

test('keeps, replaces and removes values, and tells when each was last set', async () => {
  using data = testDir();
  const { paths, env } = data;
  const first = await openDatabases({ paths, env, clock: manualClock(), lockWaitMs: 0 });
  const audit = auditSpy();
  const store = createSettingsStore(first.config, audit);
  await store.put('proxy.port', '1', 100);
  await store.put('proxy.port', '2', 200);
  await store.put('log.level', "w'arn; DROP TABLE settings", 300);
  await store.put('gone', 'x', 400);
  await store.remove('gone');
  await store.remove('never there');
  first.close();

  const second = await openDatabases({ paths, env, clock: manualClock(), lockWaitMs: 0 });
  expect(Object.fromEntries(await createSettingsStore(second.config, audit).load())).toEqual({
    'proxy.port': '2',
    'log.level': "w'arn; DROP TABLE settings",
  });
  const times = second.config.select().from(configSchema.settings).all();
  expect(times.map(({ updatedAtMs }) => updatedAtMs).sort()).toEqual([200, 300]);
  second.close();

  const told = (type: string, target: string, details: object) => ({
    type,
    severity: 'medium',
    target: `setting:${target}`,
    details,
  });
  expect<unknown>(audit.events).toEqual([
    told('config.set', 'proxy.port', { value: '1', before: null }),
    told('config.set', 'proxy.port', { value: '2', before: '1' }),
    told('config.set', 'log.level', { value: "w'arn; DROP TABLE settings", before: null }),
    told('config.set', 'gone', { value: 'x', before: null }),
    told('config.unset', 'gone', { before: 'x' }),
  ]);
});

test('changes nothing that cannot be put on record', async () => {
  using data = testDir();
  const { paths, env } = data;
  const db = await openDatabases({ paths, env, clock: manualClock(), lockWaitMs: 0 });
  const audit = auditSpy();
  const store = createSettingsStore(db.config, audit);
  await store.put('proxy.port', '1', 100);
  audit.refuse();
  await expect(store.put('proxy.port', '2', 200)).rejects.toThrow('no room for the record');
  await expect(store.remove('proxy.port')).rejects.toThrow('no room for the record');
  expect(Object.fromEntries(await store.load())).toEqual({ 'proxy.port': '1' });
  db.close();
});
