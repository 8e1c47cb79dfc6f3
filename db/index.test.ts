/** An installation's data directory as a whole: first start, later starts, and every way it must refuse to start anew. */
import { afterAll, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { manualClock } from '../src/lib/clock';
import { type ErrorCode, toFlmError } from '../src/lib/errors';
import { type Env, pathsIn } from '../src/lib/paths';
import { testDir } from '../test/support/data-dir';
import { mountSmall } from '../test/support/small-disk';
import { codeOf, errorOf } from '../test/support/thrown';
import { configSchema, type Databases, openDatabases } from './index';

const clock = manualClock();
const PLAIN: Env = { FLM_DISABLE_KEYRING: '1' };

const open = (dir: string, env: Env = PLAIN): Promise<Databases> =>
  openDatabases({ paths: pathsIn(dir), env, clock, lockWaitMs: 0 });

function putSetting({ config }: Databases, key: string, value = 'x'): void {
  config.insert(configSchema.settings).values({ key, value, updatedAtMs: 1 }).run();
}

function settingsIn({ config }: Databases): string[] {
  return config
    .select()
    .from(configSchema.settings)
    .all()
    .map(({ key }) => key);
}

/** Names and bytes of all files but lock.db, which holds nothing. */
function snapshot(dir: string): Map<string, string> {
  const files = readdirSync(dir).filter(
    (name) => !name.startsWith('lock.db') && statSync(join(dir, name)).isFile(),
  );
  return new Map(files.map((name) => [name, readFileSync(join(dir, name)).toString('base64')]));
}

describe('openDatabases', () => {
  test.each(['config', 'security'] as const)('refuses a trigger in %s.db', async (name) => {
    using data = testDir();
    const first = await open(data.dir);
    first[name].$client.exec(
      'CREATE TRIGGER swallow BEFORE INSERT ON schema_migrations BEGIN SELECT RAISE(IGNORE); END',
    );
    first.close();
    const error = await errorOf(() => open(data.dir));
    expect([error.code, error.message]).toEqual([
      'DB_DAMAGED',
      expect.stringContaining(
        `${name}.db is damaged: somebody else has written to it and made trigger "swallow"`,
      ),
    ]);
  });

  test('makes everything on the first start, and says so only then', async () => {
    using data = testDir();
    const first = await open(data.dir);
    expect([first.firstStart, first.sealedBy]).toEqual([true, 'file']);
    putSetting(first, 'kept');
    first.close();
    const second = await open(data.dir);
    expect([second.firstStart, settingsIn(second)]).toEqual([false, ['kept']]);
    second.close();
  });

  test('makes directory and files for their owner only, whatever the umask allows', async () => {
    using data = testDir();
    const dir = join(data.dir, 'deep', 'flm');
    const umask = process.umask(0);
    const db = await open(dir).finally(() => process.umask(umask));
    putSetting(db, 'x');
    const modes = readdirSync(dir).map((name) => [
      name,
      (statSync(join(dir, name)).mode & 0o777).toString(8),
    ]);
    expect((statSync(dir).mode & 0o777).toString(8)).toBe('700');
    expect(Object.fromEntries(modes)).toMatchObject({
      'config.db': '600',
      'config.db-shm': '600',
      'config.db-wal': '600',
      'lock.db': '600',
      'security.db': '600',
      'security.db-shm': '600',
      'security.db-wal': '600',
      'security.key': '600',
      'security.key.json': '600',
    });
    expect(modes.filter(([, mode]) => mode !== '600')).toEqual([]);
    db.close();
  });

  test('tightens a directory that somebody opened up', async () => {
    using data = testDir();
    (await open(data.dir)).close();
    for (const name of readdirSync(data.dir)) chmodSync(join(data.dir, name), 0o666);
    chmodSync(data.dir, 0o777);
    const db = await open(data.dir);
    for (const name of ['.', 'config.db', 'config.db-wal', 'security.db', 'security.db-wal', 'lock.db'])
      expect([name, statSync(join(data.dir, name)).mode & 0o077]).toEqual([name, 0]);
    db.close();
  });

  test('encrypts security.db and not config.db', async () => {
    using data = testDir();
    const db = await open(data.dir);
    const start = (name: string) => readFileSync(join(data.dir, name)).subarray(0, 15).toString('latin1');
    expect(start('config.db')).toBe('SQLite format 3');
    expect(start('security.db')).not.toBe('SQLite format 3');
    for (const name of ['security.db', 'security.db-wal']) {
      expect(statSync(join(data.dir, name)).size).toBeGreaterThan(0);
      expect(readFileSync(join(data.dir, name)).includes('api_keys')).toBe(false);
    }
    db.close();
  });

  test('refuses a directory that is in use, and disturbs nobody', async () => {
    using data = testDir();
    const first = await open(data.dir);
    const error = await errorOf(() => open(data.dir));
    expect([error.code, error.exit]).toEqual(['DB_LOCKED', 1]);
    putSetting(first, 'still works');
    first.close();
    const second = await open(data.dir);
    expect(settingsIn(second)).toEqual(['still works']);
    second.close();
  });

  test('frees the directory when it fails', async () => {
    using data = testDir();
    (await open(data.dir)).close();
    writeFileSync(data.paths.keyFile, 'a'.repeat(64));
    expect(await codeOf(() => open(data.dir))).toBe('DB_KEY_WRONG');
    expect(await codeOf(() => open(data.dir))).toBe('DB_KEY_WRONG');
  });

  test('gives up on a data directory that is a file', async () => {
    using data = testDir();
    writeFileSync(join(data.dir, 'file'), 'x');
    expect(await codeOf(() => open(join(data.dir, 'file')))).toBe('IO_ERROR');
  });

  test('keeps what was acknowledged by a process that was killed in the middle', async () => {
    using data = testDir();
    const code = `
      const { openDatabases, configSchema } = await import(${JSON.stringify(join(import.meta.dir, 'index.ts'))});
      const { pathsIn } = await import(${JSON.stringify(join(import.meta.dir, '..', 'src', 'lib', 'paths.ts'))});
      const { systemClock: clock } = await import(${JSON.stringify(join(import.meta.dir, '..', 'src', 'lib', 'clock.ts'))});
      const paths = pathsIn(${JSON.stringify(data.dir)});
      const db = await openDatabases({ paths, env: { FLM_DISABLE_KEYRING: '1' }, clock, lockWaitMs: 0 });
      for (let n = 0; ; n++) {
        db.config.insert(configSchema.settings).values({ key: 'k' + n, value: 'x', updatedAtMs: 1 }).run();
        console.log('k' + n);
      }`;
    const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'pipe', stderr: 'inherit' });
    let told = '';
    for await (const piece of child.stdout) {
      told += Buffer.from(piece).toString();
      if (told.split('\n').length > 50) child.kill('SIGKILL');
    }
    await child.exited;
    const acknowledged = told.split('\n').slice(0, -1);
    const db = await open(data.dir);
    const kept = new Set(settingsIn(db));
    expect(acknowledged.length).toBeGreaterThan(49);
    expect(acknowledged.filter((key) => !kept.has(key))).toEqual([]);
    expect(db.config.$client.pragma('integrity_check', { simple: true })).toBe('ok');
    db.close();
  });
});

describe('a database whose key does not fit or is not here is never replaced by an empty one', () => {
  const passphrase = (text: string): Env => ({ ...PLAIN, FLM_DATABASE_PASSPHRASE: text });

  test.each<[string, Env, Env, (dir: string) => void, ErrorCode]>([
    [
      'wrong key file',
      PLAIN,
      PLAIN,
      (dir) => writeFileSync(join(dir, 'security.key'), 'a'.repeat(64)),
      'DB_KEY_WRONG',
    ],
    ['no key file', PLAIN, PLAIN, (dir) => rmSync(join(dir, 'security.key')), 'DB_KEY_MISSING'],
    [
      'garbage in the key file',
      PLAIN,
      PLAIN,
      (dir) => writeFileSync(join(dir, 'security.key'), 'x'),
      'DB_KEY_MISSING',
    ],
    [
      'a damaged note',
      PLAIN,
      PLAIN,
      (dir) => writeFileSync(join(dir, 'security.key.json'), 'x'),
      'DB_KEY_MISSING',
    ],
    ['wrong passphrase', passphrase('right'), passphrase('wrong'), () => {}, 'DB_KEY_WRONG'],
    ['no passphrase', passphrase('right'), PLAIN, () => {}, 'DB_KEY_MISSING'],
    [
      'key file and note gone',
      PLAIN,
      PLAIN,
      (dir) => {
        for (const name of ['security.key', 'security.key.json']) rmSync(join(dir, name));
      },
      'DB_KEY_MISSING',
    ],
    [
      'a database that is damaged',
      PLAIN,
      PLAIN,
      (dir) => {
        const bytes = readFileSync(join(dir, 'security.db'));
        writeFileSync(join(dir, 'security.db'), bytes.fill(7, 20, 2_000));
      },
      'DB_KEY_WRONG',
    ],
    [
      'a page of the database that is damaged, beyond the first',
      PLAIN,
      PLAIN,
      (dir) => {
        const bytes = readFileSync(join(dir, 'security.db'));
        for (let page = 1; page < bytes.length / 4_096; page++)
          bytes.fill(7, page * 4_096 + 100, page * 4_096 + 101);
        writeFileSync(join(dir, 'security.db'), bytes);
      },
      'DB_DAMAGED',
    ],
    [
      'a config.db that is no database',
      PLAIN,
      PLAIN,
      (dir) => writeFileSync(join(dir, 'config.db'), 'no database'.repeat(500)),
      'DB_DAMAGED',
    ],
    ['a security.db that is gone', PLAIN, PLAIN, (dir) => rmSync(join(dir, 'security.db')), 'DB_MISSING'],
    [
      'a security.db that is empty',
      PLAIN,
      PLAIN,
      (dir) => writeFileSync(join(dir, 'security.db'), ''),
      'DB_MISSING',
    ],
    [
      'a security.db that is gone, sealed by a passphrase',
      passphrase('open sesame'),
      passphrase('open sesame'),
      (dir) => rmSync(join(dir, 'security.db')),
      'DB_MISSING',
    ],
    [
      'the security.db of another installation',
      PLAIN,
      PLAIN,
      (dir) => copyFileSync(join(dir, 'config.db'), join(dir, 'security.db')),
      'DB_KEY_WRONG',
    ],
  ])('%s', async (_, before, after, breakIt, code) => {
    using data = testDir();
    const first = await open(data.dir, before);
    putSetting(first, 'kept');
    first.close();
    breakIt(data.dir);
    const files = snapshot(data.dir);
    const error = await errorOf(() => open(data.dir, after));
    expect([error.code, error.exit, error.hint === null]).toEqual([code, 3, false]);
    expect(snapshot(data.dir)).toEqual(files);
    // And again: the refusal itself left nothing that a second try would take for an answer.
    expect(await codeOf(() => open(data.dir, after))).toBe(code);
  });
});

test('a start after the key files were moved away as well is a fresh one', async () => {
  using data = testDir();
  const first = await open(data.dir);
  putSetting(first, 'kept');
  first.close();
  for (const path of [data.paths.securityDb, data.paths.keyFile, data.paths.sealInfo]) rmSync(path);
  const second = await open(data.dir);
  expect(settingsIn(second)).toEqual(['kept']);
  second.close();
});

/** Disks of their own, taken away at the end. */
const disks: { unmount(): void }[] = [];
afterAll(() => {
  for (const disk of disks) disk.unmount();
});

function smallDisk(bytes: number) {
  const disk = mountSmall(bytes);
  if (disk !== null) disks.push(disk);
  return disk;
}

const WORDS: readonly ErrorCode[] = ['IO_ERROR', 'DB_ERROR', 'MIGRATION_FAILED'];
const canMount = smallDisk(16_384) !== null;

describe.skipIf(!canMount)('a disk without room', () => {
  test('makes the first start fail in words, at whatever point, and the next one with room succeed', async () => {
    const disk = smallDisk(4_096);
    let refusals = 0;
    for (let kilobytes = 4; kilobytes <= 800; kilobytes += 4) {
      disk?.resize(kilobytes * 1024);
      const dir = join(disk?.dir ?? '', 'flm');
      const refusal = await open(dir)
        .then((db) => {
          try {
            putSetting(db, 'it fits');
          } finally {
            db.close();
          }
        })
        .catch((error: unknown) => toFlmError(error).code);
      if (refusal === undefined) break;
      expect(WORDS).toContain(refusal);
      refusals++;
    }
    expect(refusals).toBeGreaterThan(10);
    const db = await open(join(disk?.dir ?? '', 'flm'));
    expect(settingsIn(db)).toEqual(['it fits']);
    db.close();
  });

  test('refuses what does not fit as DB_ERROR, and keeps what was acknowledged', async () => {
    const disk = smallDisk(640 * 1024);
    const dir = join(disk?.dir ?? '', 'flm');
    const db = await open(dir);
    const acknowledged: string[] = [];
    const fill = () => {
      for (;;) {
        const key = `key ${acknowledged.length}`;
        putSetting(db, key, 'v'.repeat(3_000));
        acknowledged.push(key);
      }
    };
    for (let i = 0; i < 3; i++) {
      const thrown = await Promise.resolve()
        .then(fill)
        .catch((error: unknown) => toFlmError(error));
      expect(thrown).toMatchObject({ code: 'DB_ERROR', exit: 2 });
      expect(String(thrown)).toContain('full');
    }
    expect(settingsIn(db).sort()).toEqual(acknowledged.toSorted());
    disk?.resize(4 * 1024 * 1024);
    putSetting(db, 'after');
    db.close();
    const again = await open(dir);
    expect(settingsIn(again).sort()).toEqual([...acknowledged, 'after'].sort());
    expect(again.config.$client.pragma('integrity_check', { simple: true })).toBe('ok');
    again.close();
  });

  test('that can only be read is refused in words, and left alone', async () => {
    const disk = smallDisk(1024 * 1024);
    const dir = join(disk?.dir ?? '', 'flm');
    const first = await open(dir);
    putSetting(first, 'kept');
    first.close();
    const files = snapshot(dir);
    disk?.remount('ro');
    expect(WORDS).toContain(await codeOf(() => open(dir)));
    expect(WORDS).toContain(await codeOf(() => open(join(disk?.dir ?? '', 'new'))));
    disk?.remount('rw');
    expect(snapshot(dir)).toEqual(files);
    const again = await open(dir);
    expect(settingsIn(again)).toEqual(['kept']);
    again.close();
  });

  test('holds a config.db that can only be read: refused in words, and left alone', async () => {
    using data = testDir();
    const first = await open(data.dir);
    putSetting(first, 'kept');
    first.close();
    const bytes = readFileSync(data.paths.configDb);
    const mount = (...options: string[]) => Bun.spawnSync(['mount', ...options]).exitCode;
    expect(mount('--bind', data.paths.configDb, data.paths.configDb)).toBe(0);
    try {
      expect(mount('-o', 'remount,bind,ro', data.paths.configDb)).toBe(0);
      expect(WORDS).toContain(await codeOf(() => open(data.dir)));
    } finally {
      Bun.spawnSync(['umount', data.paths.configDb]);
    }
    expect(readFileSync(data.paths.configDb).equals(bytes)).toBe(true);
    const again = await open(data.dir);
    expect(settingsIn(again)).toEqual(['kept']);
    again.close();
  });
});

test('a start that finds run and lib directories there goes on', async () => {
  using data = testDir();
  mkdirSync(data.paths.runDir);
  mkdirSync(data.paths.libDir);
  (await open(data.dir)).close();
  expect(existsSync(data.paths.configDb)).toBe(true);
});

test("a paused installation is another process's to write, is still read here, and comes back", async () => {
  using data = testDir();
  const first = await open(data.dir);
  putSetting(first, 'before');
  first.pause();
  expect(settingsIn(first)).toEqual(['before']);
  expect(() => putSetting(first, 'lost')).toThrow('readonly');
  const second = await open(data.dir);
  putSetting(second, 'of the other');
  expect(settingsIn(first)).toEqual(['before', 'of the other']);
  expect(await codeOf(async () => first.resume(0))).toBe('DB_LOCKED');
  expect(() => putSetting(first, 'lost')).toThrow('readonly');
  second.close();
  first.resume(0);
  putSetting(first, 'again');
  expect(settingsIn(first).toSorted()).toEqual(['again', 'before', 'of the other']);
  expect(await codeOf(() => open(data.dir))).toBe('DB_LOCKED');
  first.close();
  (await open(data.dir)).close();
});
