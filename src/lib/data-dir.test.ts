/** Which directories FLM takes for its own, and which it leaves exactly as they are. */
import { describe, expect, test } from 'bun:test';
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { testDir } from '../../test/support/data-dir';
import { errorOf } from '../../test/support/thrown';
import { ensureDataDir } from './data-dir';
import { type Env, pathsIn } from './paths';

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);
const ensure = (dir: string, env: Env = {}) => ensureDataDir(pathsIn(dir), env);

describe('a data directory', () => {
  test('is made with its parents, for its owner only', () => {
    using data = testDir();
    ensure(join(data.dir, 'a', 'b'));
    expect([modeOf(join(data.dir, 'a')), modeOf(join(data.dir, 'a', 'b'))]).toEqual(['700', '700']);
  });

  test.each([
    ['is empty', []],
    ['is the root of a file system', ['lost+found']],
    ['holds settings that were written ahead', ['flm.toml']],
    ['was left by a first start that was cut short', ['lib', 'run', 'security.key.4711.tmp']],
    ['is in use, with what its owner keeps beside', ['lock.db', 'security.db', 'notes.txt']],
  ])('that %s is taken and tightened', (_, names) => {
    using data = testDir();
    const dir = join(data.dir, 'there');
    mkdirSync(dir);
    for (const name of names) writeFileSync(join(dir, name), '');
    chmodSync(dir, 0o1777);
    ensure(dir);
    expect([modeOf(dir), readdirSync(dir).sort()]).toEqual(['700', names.toSorted()]);
  });

  test('may be a link to one', () => {
    using data = testDir();
    const [dir, link] = [join(data.dir, 'there'), join(data.dir, 'link')];
    mkdirSync(dir);
    symlinkSync(dir, link);
    ensure(link);
    expect(modeOf(dir)).toBe('700');
  });

  test.each([
    ['the files of somebody else', ['thesis.tex']],
    ['a config.db that need not be ours', ['config.db', 'index.html']],
    ['names that only begin like ours', ['library']],
  ])('that holds %s is refused and stays as it is', async (_, names) => {
    using data = testDir();
    const dir = join(data.dir, 'shared');
    mkdirSync(dir);
    for (const name of names) writeFileSync(join(dir, name), '');
    chmodSync(dir, 0o1777);
    const error = await errorOf(() => ensure(dir));
    expect([error.code, error.hint]).toEqual([
      'IO_ERROR',
      expect.stringContaining('empty directory of your own'),
    ]);
    expect(error.message).toContain(dir);
    expect([modeOf(dir), readdirSync(dir).sort()]).toEqual(['1777', names.toSorted()]);
  });

  test('is never a place that everybody shares, nor the home, not even through a link', async () => {
    using data = testDir();
    const home = join(data.dir, 'home');
    mkdirSync(home, { mode: 0o755 });
    const link = join(data.dir, 'link');
    symlinkSync('/tmp', link);
    for (const dir of ['/', '/tmp', '/var/tmp', homedir(), home, link]) {
      const before = modeOf(dir);
      expect((await errorOf(() => ensure(dir, { HOME: home }))).message).toContain('not for FLM alone');
      expect(modeOf(dir)).toBe(before);
    }
  });

  test.skipIf(process.getuid?.() !== 0)('that is empty and belongs to somebody else is refused', async () => {
    using data = testDir();
    const dir = join(data.dir, 'theirs');
    mkdirSync(dir, { mode: 0o755 });
    chownSync(dir, 65_534, 65_534);
    expect((await errorOf(() => ensure(dir))).message).toContain('another user');
    expect(modeOf(dir)).toBe('755');
  });
});
