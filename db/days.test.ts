import { expect, test } from 'bun:test';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { manualClock } from '../src/lib/clock';
import { testDir } from '../test/support/data-dir';
import { createDayOpener, daySeal } from './days';

const key = (digit: string) => ({ bytes: Buffer.from(`raw:${digit.repeat(64)}`), source: 'a test' });

test('the file of a day is not opened when somebody has made a trigger in it', async () => {
  using data = testDir();
  const path = join(data.dir, '2026-05-10.db');
  const opener = await createDayOpener(daySeal(key('1'), data.dir), manualClock());
  const day = opener.open(path, 'write');
  day.$client.exec('CREATE TRIGGER swallow BEFORE INSERT ON meta BEGIN SELECT RAISE(IGNORE); END');
  day.$client.close();
  for (const mode of ['read', 'write'] as const)
    expect(() => opener.open(path, mode)).toThrow('made trigger "swallow"');
});

test('the file of a day opens with its key alone, survives a message, and cannot be changed by a reader', async () => {
  using data = testDir();
  const path = join(data.dir, '2026-05-10.db');
  // As a Worker receives it.
  const opener = await createDayOpener(structuredClone(daySeal(key('1'), data.dir)), manualClock());
  const writer = opener.open(path, 'write');
  writer.$client.exec("INSERT INTO meta VALUES ('day', '2026-05-10')");
  const reader = opener.open(path, 'read');
  expect(reader.$client.prepare('SELECT value FROM meta').pluck().all()).toEqual(['2026-05-10']);
  expect(() => reader.$client.exec('DELETE FROM meta')).toThrow('readonly');
  reader.$client.close();
  writer.$client.close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const other = await createDayOpener(daySeal(key('2'), data.dir), manualClock());
  expect(() => other.open(path, 'read')).toThrow(
    '2026-05-10.db is damaged: it does not open with the key of security.db',
  );
});
