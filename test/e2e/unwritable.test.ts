/** What becomes of FLM when its files cannot be written any more: another program locks them, or the disk is full. */
import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataOf, leftovers, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { mountSmall } from '../support/small-disk';

setDefaultTimeout(30_000);
afterAll(() => expect(leftovers()).toEqual([]));

/** Longer than requests under way may take to end, shorter than service managers wait. */
const STOPS_WITHIN_MS = 8_000;

describe('a database that another program has locked', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('does not keep FLM from stopping at %s', async (signal) => {
    using home = testHome();
    await using running = await startFlm(home.env);
    const other = new Database(home.paths.configDb);
    other.run('BEGIN IMMEDIATE');
    try {
      const late = Bun.sleep(STOPS_WITHIN_MS).then(() => 'still serving');
      expect(await Promise.race([running.stop(signal), late])).toBe(0);
      expect(await running.stderr.whole).toContain('locked');
    } finally {
      other.close();
    }
    // What could not be written down then is put right by the next start.
    await using next = await startFlm(home.env);
    expect(await dataOf(home.env, ['status'])).toMatchObject({ running: true, pid: next.pid });
    expect(await next.stop()).toBe(0);
  });
});

const disk = mountSmall(16 * 1024 * 1024);

describe.skipIf(disk === null)('a full disk', () => {
  afterAll(() => disk?.unmount());

  test('does not keep FLM from stopping, and is told', async () => {
    using home = testHome();
    const env = { ...home.env, FLM_DATA_DIR: disk?.dir };
    await using running = await startFlm(env);
    const full = fill();
    const late = Bun.sleep(STOPS_WITHIN_MS).then(() => 'still serving');
    expect(await Promise.race([running.stop(), late])).toBe(0);
    expect(await running.stderr.whole).toContain('full');
    full[Symbol.dispose]();
    await using next = await startFlm(env);
    expect(await next.stop()).toBe(0);
  });
});

/** Leaves no byte on the disk, until it is disposed of. */
function fill(): Disposable {
  const path = join(disk?.dir ?? '', 'everything-else');
  const { bavail, bsize } = statfsSync(disk?.dir ?? '');
  writeFileSync(path, new Uint8Array(bavail * bsize));
  return { [Symbol.dispose]: () => rmSync(path) };
}
