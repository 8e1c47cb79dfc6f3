/** Processes that are killed in the middle of granting: together they never grant more than the limit of the minute. */
import { expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testDir } from '../support/data-dir';
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
