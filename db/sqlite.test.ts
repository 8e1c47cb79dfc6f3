/** Opening a file: modes and pragmas, and that a sealed one is unreadable from its first byte on. */
import { describe, expect, test } from 'bun:test';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { manualClock } from '../src/lib/clock';
import { type TestDir, testDir } from '../test/support/data-dir';
import { codeOf, errorOf } from '../test/support/thrown';
import { embedMigrations } from './embed';
import { migrate } from './migrate';
import { type CipherKey, openFile, openSqlite, type Sqlite, sqliteCode } from './sqlite';

const rawKey = (digit: string): CipherKey => ({
  bytes: Buffer.from(`raw:${digit.repeat(64)}`),
  source: 'a test',
});
const passphrase = (text: string): CipherKey => ({ bytes: Buffer.from(text), source: 'a test' });

const open = (path: string, key: CipherKey | null): Sqlite => openSqlite(path, { key, addon: null });
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

/** Names and bytes of all files. */
function filesOf(data: TestDir): Map<string, Buffer> {
  return new Map(readdirSync(data.dir).map((name) => [name, readFileSync(join(data.dir, name))]));
}

describe('a new file', () => {
  test('and what SQLite puts beside it are for their owner only, whatever the umask allows', () => {
    using data = testDir();
    const umask = process.umask(0);
    const sqlite = open(join(data.dir, 'x.db'), null);
    try {
      sqlite.exec('CREATE TABLE t (x TEXT)');
      expect(readdirSync(data.dir).sort()).toEqual(['x.db', 'x.db-shm', 'x.db-wal']);
      for (const file of readdirSync(data.dir))
        expect([file, modeOf(join(data.dir, file))]).toEqual([file, '600']);
    } finally {
      process.umask(umask);
      sqlite.close();
    }
  });

  test('acknowledges only what is on disk, holds references together and trusts no schema', () => {
    using data = testDir();
    const sqlite = open(join(data.dir, 'x.db'), null);
    const pragma = (name: string) => sqlite.pragma(name, { simple: true });
    expect([
      pragma('journal_mode'),
      pragma('synchronous'),
      pragma('foreign_keys'),
      pragma('trusted_schema'),
    ]).toEqual(['wal', 2, 1, 0]);
    sqlite.close();
  });
});

describe('a file that is there', () => {
  test.each([null, rawKey('a')])('is tightened, with what lies beside it, before it is opened', (key) => {
    using data = testDir();
    const path = join(data.dir, 'x.db');
    const first = open(path, key);
    first.exec('CREATE TABLE t (x TEXT)');
    for (const file of readdirSync(data.dir))
      copyFileSync(join(data.dir, file), join(data.dir, `copy${file.slice(1)}`));
    first.close();
    for (const file of readdirSync(data.dir)) chmodSync(join(data.dir, file), 0o666);
    for (const name of ['x.db', 'copy.db']) {
      const sqlite = open(join(data.dir, name), key);
      sqlite.exec('INSERT INTO t VALUES (1)');
      for (const file of readdirSync(data.dir).filter((each) => each.startsWith(name)))
        expect([file, modeOf(join(data.dir, file))]).toEqual([file, '600']);
      sqlite.close();
    }
  });

  test.each([
    ['text', Buffer.from('this is no database at all, but a text of some length'.repeat(20))],
    ['the header alone', Buffer.from('SQLite format 3\0')],
  ])('but no database is DB_DAMAGED, and keeps its bytes: %s', async (_, bytes) => {
    using data = testDir();
    const path = join(data.dir, 'x.db');
    writeFileSync(path, bytes);
    const error = await errorOf(() => open(path, null));
    expect([error.code, error.exit]).toEqual(['DB_DAMAGED', 3]);
    expect(error.message).toContain('x.db');
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test('cut short is DB_DAMAGED and not an empty database', async () => {
    using data = testDir();
    const path = join(data.dir, 'x.db');
    const sqlite = open(path, null);
    sqlite.exec('CREATE TABLE t (x TEXT); INSERT INTO t VALUES (zeroblob(50000))');
    sqlite.close();
    truncateSync(path, 50);
    expect(await codeOf(() => open(path, null))).toBe('DB_DAMAGED');
  });

  test('a directory in its place is DB_ERROR', async () => {
    using data = testDir();
    mkdirSync(join(data.dir, 'x.db'));
    expect(await codeOf(() => open(join(data.dir, 'x.db'), null))).toBe('DB_ERROR');
    expect(await codeOf(() => open(join(data.dir, 'none', 'x.db'), null))).toBe('DB_ERROR');
  });
});

describe('a sealed file', () => {
  /** What must not be found in it: SQLite's header, names of tables, SQL, and what was stored. */
  const READABLE = [
    'SQLite format 3',
    'CREATE',
    'api_keys',
    'key_pepper',
    'schema_migrations',
    'label of a key',
  ];

  function expectSealed(data: TestDir): void {
    for (const [file, bytes] of filesOf(data)) {
      // The index of the log holds page numbers only.
      if (file.endsWith('-shm')) continue;
      expect([file, READABLE.filter((text) => bytes.includes(text))]).toEqual([file, []]);
    }
  }

  test.each([
    ['a raw key', rawKey('a')],
    ['a passphrase', passphrase('correct horse battery staple')],
  ])('is unreadable at every moment of its life, with %s', (_, key) => {
    using data = testDir();
    const path = join(data.dir, 'security.db');
    const sqlite = open(path, key);
    expectSealed(data);
    migrate(sqlite, 'security.db', embedMigrations('security'), manualClock());
    expectSealed(data);
    const insert = sqlite.prepare('INSERT INTO installation VALUES (?, ?, 1)');
    // In the middle of a transaction that is larger than the cache, so that its pages are written early.
    sqlite.pragma('cache_size = 5');
    sqlite.exec('BEGIN');
    for (let row = 0; row < 300; row++) insert.run(`label of a key ${row}`, Buffer.alloc(500, 'x'));
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(100_000);
    expectSealed(data);
    sqlite.exec('COMMIT');
    expectSealed(data);
    sqlite.pragma('wal_checkpoint(TRUNCATE)');
    expect(statSync(path).size).toBeGreaterThan(100_000);
    expectSealed(data);
    sqlite.exec('DELETE FROM installation; VACUUM');
    expectSealed(data);
    sqlite.close();
    expectSealed(data);
    expect(existsSync(`${path}-wal`)).toBe(false);

    const again = open(path, key);
    expect(again.pragma('integrity_check', { simple: true })).toBe('ok');
    again.close();
  });

  test('spills nothing into temporary files, which nobody would encrypt', () => {
    using data = testDir();
    const sqlite = open(join(data.dir, 'x.db'), rawKey('a'));
    expect(sqlite.pragma('temp_store', { simple: true })).toBe(2);
    sqlite.close();
  });

  test.each([
    ['another raw key', rawKey('b')],
    ['a passphrase', passphrase('correct horse battery staple')],
    ['an almost right key', { bytes: Buffer.from(`raw:${'a'.repeat(63)}b`), source: 'a test' }],
  ])('does not open with %s, and keeps its bytes', async (_, wrong) => {
    using data = testDir();
    const path = join(data.dir, 'security.db');
    const sqlite = open(path, rawKey('a'));
    sqlite.exec('CREATE TABLE t (x TEXT); INSERT INTO t VALUES (1)');
    sqlite.close();
    const before = filesOf(data);
    const error = await errorOf(() => open(path, wrong));
    expect([error.code, error.exit]).toEqual(['DB_KEY_WRONG', 3]);
    expect(error.message).toContain('a test');
    expect(error.message + error.hint + Bun.inspect(error)).not.toContain(wrong.bytes.toString());
    expect(filesOf(data)).toEqual(before);
  });

  test('does not open without a key, and a plain one does not open with one', async () => {
    using data = testDir();
    const [sealed, plain] = [join(data.dir, 'sealed.db'), join(data.dir, 'plain.db')];
    for (const [path, key] of [
      [sealed, rawKey('a')],
      [plain, null],
    ] as const) {
      const sqlite = open(path, key);
      sqlite.exec('CREATE TABLE t (x TEXT)');
      sqlite.close();
    }
    const before = filesOf(data);
    expect(await codeOf(() => open(sealed, null))).toBe('DB_DAMAGED');
    expect(await codeOf(() => open(plain, rawKey('a')))).toBe('DB_KEY_WRONG');
    expect(filesOf(data)).toEqual(before);
  });

  test('whose page was changed on disk gives an error and no wrong row', () => {
    using data = testDir();
    const path = join(data.dir, 'security.db');
    const sqlite = open(path, rawKey('a'));
    sqlite.exec('CREATE TABLE t (x TEXT)');
    for (let row = 0; row < 50; row++) sqlite.prepare('INSERT INTO t VALUES (?)').run('y'.repeat(500));
    sqlite.close();
    const bytes = readFileSync(path);
    bytes[3 * 4096 + 100] = (bytes[3 * 4096 + 100] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const damaged = open(path, rawKey('a'));
    expect(() => damaged.prepare('SELECT * FROM t').all()).toThrow();
    damaged.close();
  });
});

describe('openFile', () => {
  test('does not wait for a lock when it is told not to', () => {
    using data = testDir();
    const path = join(data.dir, 'x.db');
    const first = openFile(path, 0, null);
    first.exec('BEGIN EXCLUSIVE');
    const second = openFile(path, 0, null);
    let thrown: unknown;
    try {
      second.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      thrown = error;
    }
    expect(sqliteCode(thrown)).toBe('SQLITE_BUSY');
    first.close();
    second.exec('BEGIN EXCLUSIVE');
    second.close();
  });
});

describe('sqliteCode', () => {
  test('is null for what is no error of SQLite', () => {
    const other = Object.assign(new Error('x'), { code: 'ENOENT' });
    const odd = Object.assign(new Error('x'), { code: 5 });
    expect([new Error('x'), other, odd, 'SQLITE_BUSY', null].map(sqliteCode)).toEqual([
      null,
      null,
      null,
      null,
      null,
    ]);
  });
});
