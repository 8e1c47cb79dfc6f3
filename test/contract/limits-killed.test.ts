/** Processes that are killed in the middle of granting: together they never grant more than the limit of the minute. */
import { expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApp } from '../../src/app';
import { systemClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { testDir } from '../support/data-dir';
import { ask, headerOf } from './support/raw';
import { until } from './support/until';

const SPENDER = join(import.meta.dir, '..', 'support', 'limit-spender.ts');
const PER_MINUTE = 400;

test('kill -9, twice, within one minute', async () => {
  using dir = testDir();
  using beside = testDir();
  const ledger = join(beside.dir, 'ledger');
  writeFileSync(ledger, '');
  const granted = () => readFileSync(ledger).length;
  const startedMs = performance.now();
  for (const [index, atLeast] of [150, 15, 1].entries()) {
    const before = granted();
    const child = Bun.spawn([process.execPath, SPENDER, ledger, String(PER_MINUTE)], {
      env: { ...process.env, FLM_DATA_DIR: dir.dir, FLM_DISABLE_KEYRING: '1' },
      stdout: 'inherit',
      stderr: 'inherit',
    });
    await until(() => granted() - before >= atLeast, 20_000);
    // The last one has the time to take all that it can: a minute begun anew would be gone in less.
    if (index === 2) await Bun.sleep(2_000);
    child.kill('SIGKILL');
    await child.exited;
  }
  expect(performance.now() - startedMs).toBeLessThan(55_000);
  expect(granted()).toBeLessThanOrEqual(PER_MINUTE);
  expect(granted()).toBeGreaterThan(165);
}, 60_000);

test('FLM that is stopped and started again goes on in the same minute', async () => {
  using dir = testDir();
  const { paths, env } = dir;
  const options = { paths, env, clock: systemClock, log: silentLog, running: true, lockWaitMs: 0 };
  const flags = { 'engine.detect': false } as const;
  let key: string | null = null;
  const left: (string | null)[] = [];
  for (const _ of ['first', 'second']) {
    const app = await openApp({ ...options, flags });
    const { port } = await app.serve({ bind: '127.0.0.1', port: 0, allowPlaintext: false });
    key ??= (await app.keys.create({ label: 'k', requests_per_minute: 6_000 })).plain_key;
    const request = {
      method: 'GET',
      target: '/v1/models',
      headers: [['Authorization', `Bearer ${key}`]],
    } as const;
    const answer = await ask(`http://127.0.0.1:${port}`, { ...request, headers: [...request.headers] });
    left.push(headerOf(answer, 'x-ratelimit-remaining-requests'));
    await app.close();
  }
  // What was used is, and nothing else.
  expect(left).toEqual(['5999', '5998']);
});
