/** What becomes of FLM when its files cannot be written any more: another program locks them, or the disk is full. */

import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OFFLINE_NOTE } from '../../cli/offline';
import { isRecord } from '../../src/lib/json';
import type { Env } from '../../src/lib/paths';
import { dataOf, errorOf, executable, leftovers, parseFailure, startFlm } from '../support/executable';
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
afterAll(() => disk?.unmount());

describe.skipIf(disk === null)('a full disk', () => {
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

describe.skipIf(disk === null)('a full disk under a running FLM', () => {
  test('takes a revocation for as long as FLM runs, and says that it is not written down', async () => {
    using home = testHome();
    const env = { ...home.env, FLM_DATA_DIR: disk?.dir };
    await using running = await startFlm(env);
    const made = await dataOf(env, ['api-keys', 'create', '--label', 'lost']);
    if (!isRecord(made)) throw new Error('no key');
    const ask = async () =>
      (await fetch(`${running.url}/v1/models`, { headers: { authorization: `Bearer ${made.plain_key}` } }))
        .status;
    expect(await ask()).toBe(200);
    {
      using _ = fill();
      const error = await errorOf(env, ['api-keys', 'revoke', 'lost']);
      expect(error).toMatchObject({ code: 'DB_ERROR', exit: 2, hint: expect.stringContaining('next start') });
      expect(await ask()).toBe(401);
    }
    await dataOf(env, ['api-keys', 'revoke', String(made.id)]);
    expect(await ask()).toBe(401);
    expect(await running.stop()).toBe(0);
  });
});

/** Leaves no byte on the disk, until it is disposed of. */
function fill(): Disposable {
  const path = join(disk?.dir ?? '', 'everything-else');
  const { bavail, bsize } = statfsSync(disk?.dir ?? '');
  writeFileSync(path, new Uint8Array(bavail * bsize));
  return { [Symbol.dispose]: () => rmSync(path) };
}

function parseText(stderr: string): { readonly message: string; readonly hint: string | null } {
  // Before the error, people are told that the change was made without a running FLM.
  const lines = stderr.trimEnd().split('\n');
  const [message = '', hint = null] = lines.filter((line) => line !== OFFLINE_NOTE);
  return { message, hint };
}

test('what a process left that died in the middle is removed by the next start', async () => {
  using home = testHome();
  const ended = Bun.spawn(['true']);
  await ended.exited;
  await dataOf(home.env, ['config', 'list']);
  const [addon = ''] = readdirSync(home.paths.libDir);
  const left = [`${home.paths.keyFile}.${ended.pid}.tmp`, join(home.paths.libDir, `${addon}.${ended.pid}`)];
  for (const path of left) writeFileSync(path, 'half');
  rmSync(join(home.paths.libDir, addon));
  await dataOf(home.env, ['config', 'list']);
  expect(left.filter((path) => existsSync(path))).toEqual([]);
  expect(readdirSync(home.paths.libDir)).toEqual([addon]);
});

const hasFullDevice = existsSync('/dev/full');

describe.skipIf(!hasFullDevice)('output that cannot be written', () => {
  async function into(home: { env: Env }, words: readonly string[], target = '/dev/full') {
    const child = Bun.spawn(['sh', '-c', `exec "$0" "$@" > ${target}`, await executable(), ...words], {
      env: home.env,
      stderr: 'pipe',
    });
    const stderr = await new Response(child.stderr).text();
    return {
      exit: await child.exited,
      ...(words.includes('text') ? parseText(stderr) : parseFailure(stderr)),
    };
  }

  test.each([[['config', 'list']], [['--help']], [['status', '--format', 'text']]])(
    'of %p is an error and not a success',
    async (words) => {
      using home = testHome();
      expect(await into(home, words)).toMatchObject({
        exit: 2,
        message: expect.stringContaining('could not be written'),
      });
    },
  );

  test.each(['version', '--version'])('of %s is, too, and no trace of a crash', async (word) => {
    using home = testHome();
    const child = Bun.spawn(['sh', '-c', 'exec "$0" "$1" > /dev/full', await executable(), word], {
      env: home.env,
      stderr: 'pipe',
    });
    expect(await new Response(child.stderr).text()).toMatch(/^Error: .*space.*\n$/);
    expect(await child.exited).toBe(2);
  });

  test('revokes the key that nobody has seen, and says so', async () => {
    using home = testHome();
    for (const words of [['--json'], ['--format', 'text']]) {
      const failure = await into(home, ['api-keys', 'create', '--label', 'x', ...words]);
      expect(failure.hint).toContain('revoked again');
    }
    const keys = await dataOf(home.env, ['api-keys', 'list']);
    expect(keys).toMatchObject({ items: [{ status: 'revoked' }, { status: 'revoked' }] });
  });

  test('leaves the other end of a rotation as it is, and says how to go on', async () => {
    using home = testHome();
    await dataOf(home.env, ['api-keys', 'create', '--label', 'x']);
    expect((await into(home, ['api-keys', 'rotate', 'x'])).hint).toMatch(/flm api-keys rotate \w{8}$/);
  });

  test('is no error where the reader has had enough', async () => {
    using home = testHome();
    const script = '{ "$0" config list --format text; echo "exit $?" >&2; } | true';
    const child = Bun.spawn(['sh', '-c', script, await executable()], { env: home.env, stderr: 'pipe' });
    expect(await new Response(child.stderr).text()).toBe('exit 0\n');
  });
});
