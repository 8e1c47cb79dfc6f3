/** Files that must never be half-written or readable by others, on real disks: one of them full, one read-only. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { testDir } from '../../test/support/data-dir';
import { mountSmall, type SmallDisk } from '../../test/support/small-disk';
import { codeOf } from '../../test/support/thrown';
import { ensurePrivateDir, sweep, temporaryOf, writeFileAtomic } from './files';

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('ensurePrivateDir', () => {
  test('makes the whole path, for its owner only', () => {
    using data = testDir();
    const path = join(data.dir, 'a', 'b');
    ensurePrivateDir(path);
    expect([modeOf(path), modeOf(join(data.dir, 'a'))]).toEqual([0o700, 0o700]);
  });

  test('tightens a directory that is there, and leaves what is in it', () => {
    using data = testDir();
    const path = join(data.dir, 'open');
    mkdirSync(path, { mode: 0o777 });
    chmodSync(path, 0o777);
    writeFileSync(join(path, 'kept'), 'x');
    ensurePrivateDir(path);
    expect([modeOf(path), readdirSync(path)]).toEqual([0o700, ['kept']]);
  });

  test('says IO_ERROR where a file is in the way', async () => {
    using data = testDir();
    const path = join(data.dir, 'file');
    writeFileSync(path, 'x');
    expect(await codeOf(() => ensurePrivateDir(path))).toBe('IO_ERROR');
    expect(await codeOf(() => ensurePrivateDir(join(path, 'below')))).toBe('IO_ERROR');
    expect(readFileSync(path, 'utf8')).toBe('x');
  });
});

describe('writeFileAtomic', () => {
  test('writes a whole file for its owner only, whatever the umask allows', () => {
    using data = testDir();
    const path = join(data.dir, 'key');
    const umask = process.umask(0);
    try {
      writeFileAtomic(path, 'text\n');
    } finally {
      process.umask(umask);
    }
    expect([readFileSync(path, 'utf8'), modeOf(path)]).toEqual(['text\n', 0o600]);
    expect(readdirSync(data.dir)).toEqual(['key']);
  });

  test('replaces a file, and its loose mode with it', () => {
    using data = testDir();
    const path = join(data.dir, 'key');
    writeFileSync(path, 'a much longer text than the new one', { mode: 0o644 });
    writeFileAtomic(path, 'new');
    expect([readFileSync(path, 'utf8'), modeOf(path)]).toEqual(['new', 0o600]);
  });

  test('keeps characters outside ASCII', () => {
    using data = testDir();
    const path = join(data.dir, 'text');
    writeFileAtomic(path, 'schlüssel 鍵 🔑'.repeat(1_000));
    expect(readFileSync(path, 'utf8')).toBe('schlüssel 鍵 🔑'.repeat(1_000));
  });

  test('says IO_ERROR and leaves nothing behind where it cannot rename', async () => {
    using data = testDir();
    const path = join(data.dir, 'directory');
    mkdirSync(path);
    expect(await codeOf(() => writeFileAtomic(path, 'text'))).toBe('IO_ERROR');
    expect(readdirSync(data.dir)).toEqual(['directory']);
  });

  test('says IO_ERROR where there is no directory', async () => {
    using data = testDir();
    expect(await codeOf(() => writeFileAtomic(join(data.dir, 'none', 'key'), 'text'))).toBe('IO_ERROR');
  });
});

describe('sweep', () => {
  test('takes what dead processes left, and nothing of the living or of anybody else', async () => {
    using data = testDir();
    const ended = Bun.spawn(['true']);
    await ended.exited;
    const kept = [
      `security.key.${process.pid}.tmp`,
      'security.key.1.tmp',
      'security.key',
      'security.key.tmp',
      'notes.tmp',
      '4711.tmp',
    ];
    for (const name of [`security.key.${ended.pid}.tmp`, `security.key.json.${ended.pid}.tmp`, ...kept])
      writeFileSync(join(data.dir, name), 'half a k');
    sweep(data.dir, temporaryOf);
    expect(readdirSync(data.dir).sort()).toEqual(kept.toSorted());
    sweep(join(data.dir, 'not there'), temporaryOf);
  });
});

const disk: SmallDisk | null = mountSmall(64 * 1024);

describe.skipIf(disk === null)('on a disk of its own', () => {
  let path = '';
  beforeAll(() => {
    path = join(disk?.dir ?? '', 'file');
  });
  afterAll(() => disk?.unmount());

  test('a full one keeps the old file whole, says IO_ERROR and is left as full as before', async () => {
    writeFileAtomic(path, 'old');
    // Not even half of it fits; a single write() would put down what fits and be content.
    expect(await codeOf(() => writeFileAtomic(path, 'x'.repeat(160 * 1024)))).toBe('IO_ERROR');
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(disk?.dir ?? '')).toEqual(['file']);
  });

  test('a read-only one keeps its file and says IO_ERROR', async () => {
    disk?.remount('ro');
    try {
      expect(await codeOf(() => writeFileAtomic(path, 'new'))).toBe('IO_ERROR');
      expect(await codeOf(() => ensurePrivateDir(join(path, '..', 'new')))).toBe('IO_ERROR');
      expect([readFileSync(path, 'utf8'), existsSync(join(path, '..', 'new'))]).toEqual(['old', false]);
    } finally {
      disk?.remount('rw');
    }
  });
});
