/** What `flm check` finds beside the databases: who can read the files, room, the clock, crashes, and what rooms say. */

import { expect, test } from 'bun:test';
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { NO_TERMS, termsView } from '../admission/terms';
import { manualClock } from '../lib/clock';
import { type CheckOptions, runChecks } from './check';
import { checkBans } from './check-evidence';
import { checkExposed } from './check-exposure';

function optionsIn({ paths }: TestDir, more: Partial<CheckOptions> = {}): CheckOptions {
  return {
    paths,
    sealedBy: 'file',
    databases: async () => [],
    keys: { list: async () => ({ items: [], next: null }) },
    config: { list: async () => ({ items: [], next: null }) },
    engines: { refresh: async () => {}, states: () => [] },
    trial: { state: () => ({ installed: false }) },
    status: () => ({ admin: { url: null, reason: null }, proxies: [] }),
    clock: manualClock(Date.now()),
    others: [],
    ...more,
  };
}

async function find(options: CheckOptions, name: string) {
  return (await runChecks(options)).checks.find((check) => check.name === name);
}

test('names what others can read, in the newer folders too', async () => {
  using dir = testDir();
  mkdirSync(dir.paths.activityDir, { recursive: true, mode: 0o700 });
  mkdirSync(dir.paths.logsDir, { mode: 0o700 });
  const log = join(dir.paths.logsDir, 'requests.log');
  writeFileSync(log, '', { mode: 0o600 });
  expect(await find(optionsIn(dir), 'permissions')).toMatchObject({ status: 'ok' });
  chmodSync(log, 0o640);
  chmodSync(dir.paths.activityDir, 0o755);
  const found = await find(optionsIn(dir), 'permissions');
  expect(found).toMatchObject({ status: 'error' });
  expect(found?.message).toContain(log);
  expect(found?.message).toContain(dir.paths.activityDir);
});

test('says how much room there is', async () => {
  using dir = testDir();
  expect((await find(optionsIn(dir), 'disk'))?.message).toMatch(/\d GB free for /);
});

test('sees a clock that is behind what was written', async () => {
  using dir = testDir();
  const clock = manualClock(Date.UTC(2026, 5, 1));
  const key = {
    ...({ id: 'Ab12Cd34', label: 'l', status: 'active', scopes: [], models: null } as const),
    ...{ created_at: '2026-06-01T00:04:00.000Z', expires_at: null, revoked_at: null, rotated_from: null },
    ...{ ...termsView(NO_TERMS), is_uncollected: false },
  };
  const at = (created_at: string) => ({
    list: async () => ({ items: [{ ...key, scopes: [], created_at }], next: null }),
  });
  const options = (created: string) => optionsIn(dir, { clock, keys: at(created) });
  expect(await find(options('2026-06-01T00:04:00.000Z'), 'clock')).toMatchObject({ status: 'ok' });
  expect(await find(options('2026-06-01T01:00:00.000Z'), 'clock')).toMatchObject({ status: 'error' });
  const unset = optionsIn(dir, { clock: manualClock(0) });
  expect(await find(unset, 'clock')).toMatchObject({ status: 'error' });
});

test('names the latest crash of the last week, and forgets older ones', async () => {
  using dir = testDir();
  const options = optionsIn(dir);
  mkdirSync(dir.paths.crashDir, { recursive: true, mode: 0o700 });
  const path = join(dir.paths.crashDir, '2026-01-01T00-00-00.000Z-1.json');
  writeFileSync(path, '{}', { mode: 0o600 });
  expect((await find(options, 'crashes'))?.message).toContain(`once in the last week: ${path}`);
  const old = new Date(options.clock.nowMs() - 8 * 86_400_000);
  utimesSync(path, old, old);
  expect(await find(options, 'crashes')).toMatchObject({ status: 'ok' });
});

test('hears what other rooms have to say, and that one cannot', async () => {
  using dir = testDir();
  const others: CheckOptions['others'] = [
    async () => [{ name: 'audit chain', status: 'error', message: 'row 7 was changed' }],
    async () => {
      throw new Error('no answer');
    },
  ];
  const report = await runChecks(optionsIn(dir, { others }));
  expect(report.status).toBe('error');
  expect(report.checks.slice(-2)).toEqual([
    { name: 'audit chain', status: 'error', message: 'row 7 was changed' },
    { name: 'check', status: 'error', message: 'no answer' },
  ]);
});

test('warns of bans that shut out much of the world', () => {
  expect(checkBans([])).toEqual([]);
  expect(checkBans(['0.0.0.0/0'])).toMatchObject([
    { status: 'warning', message: expect.stringContaining('ip-blocklist unblock 0.0.0.0/0') },
  ]);
});

test.each([
  ['open', 'error'],
  ['warning', 'warning'],
  ['ok', 'ok'],
] as const)('an engine whose exposure is %s is: %s', (verdict, status) => {
  const engine = { engine: 'e', kind: 'ollama' as const, port: 1, open_at: [], verdict, advice: null };
  expect(checkExposed({ status: verdict, listeners: [], engines: [engine], addresses: [] })).toMatchObject([
    { name: 'exposure', status },
  ]);
});
