/** Migrations: on empty and filled databases, refused when they are not ours, and all or nothing when they fail. */
import { describe, expect, test } from 'bun:test';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { manualClock } from '../src/lib/clock';
import { type TestDir, testDir } from '../test/support/data-dir';
import { errorOf } from '../test/support/thrown';
import { embedMigrations, type Migration } from './embed';
import { migrate } from './migrate';
import { openSqlite, type Sqlite } from './sqlite';

const clock = manualClock(1_000);

function open(data: TestDir, name = 'x.db'): Sqlite & Disposable {
  const sqlite = openSqlite(join(data.dir, name), { key: null, addon: null });
  return Object.assign(sqlite, { [Symbol.dispose]: () => void sqlite.close() });
}

function migration(tag: string, ...statements: string[]): Migration {
  return { tag, hash: `hash of ${tag}`, statements };
}

/** Everything that is in the file: its schema, and every row of every table. */
function contentOf(sqlite: Sqlite): unknown {
  const schema = sqlite
    .prepare<[], { name: string; type: string; sql: string | null }>(
      'SELECT name, type, sql FROM sqlite_schema ORDER BY name',
    )
    .all();
  const tables = schema.filter(({ type }) => type === 'table').map(({ name }) => name);
  return { schema, rows: tables.map((table) => [table, sqlite.prepare(`SELECT * FROM "${table}"`).all()]) };
}

const foreignKeys = (sqlite: Sqlite) => sqlite.pragma('foreign_keys', { simple: true });

describe.each(['config', 'security'] as const)('%s.db', (database) => {
  const released = embedMigrations(database);
  const next = migration(
    '29990101000000_next',
    'CREATE TABLE `of_tomorrow` (`id` text PRIMARY KEY NOT NULL) STRICT;',
    'INSERT INTO `of_tomorrow` VALUES (1)',
  );

  test('is made from nothing, once', () => {
    using data = testDir();
    using sqlite = open(data);
    expect(migrate(sqlite, 'x.db', released, clock)).toEqual(released.map(({ tag }) => tag));
    const before = contentOf(sqlite);
    expect(migrate(sqlite, 'x.db', released, clock)).toEqual([]);
    expect(contentOf(sqlite)).toEqual(before);
  });

  test('a copy of an empty one goes on to the next version', () => {
    using data = testDir();
    {
      using sqlite = open(data);
      migrate(sqlite, 'x.db', released, clock);
    }
    copyFileSync(join(data.dir, 'x.db'), join(data.dir, 'copy.db'));
    using copy = open(data, 'copy.db');
    expect(migrate(copy, 'copy.db', [...released, next], clock)).toEqual([next.tag]);
    expect(copy.prepare('SELECT count(*) AS n FROM of_tomorrow').get()).toEqual({ n: 1 });
  });

  test('a copy of a filled one keeps every row', () => {
    using data = testDir();
    {
      using sqlite = open(data);
      migrate(sqlite, 'x.db', released, clock);
      fill(sqlite);
    }
    copyFileSync(join(data.dir, 'x.db'), join(data.dir, 'copy.db'));
    using original = open(data);
    using copy = open(data, 'copy.db');
    migrate(copy, 'copy.db', [...released, next], clock);
    for (const table of ownTablesOf(original)) {
      const all = `SELECT * FROM "${table}"`;
      expect(original.prepare(all).all()).toHaveLength(3);
      expect(copy.prepare(all).all()).toEqual(original.prepare(all).all());
    }
  });

  test('refuses values of the wrong type', () => {
    using data = testDir();
    using sqlite = open(data);
    migrate(sqlite, 'x.db', released, clock);
    for (const table of ownTablesOf(sqlite)) {
      const columns = columnsOf(sqlite, table);
      const insert = sqlite.prepare(`INSERT INTO "${table}" VALUES (${columns.map(() => '?').join(', ')})`);
      // A key that counts by itself has a message of its own.
      expect(() => insert.run(...columns.map(() => Buffer.from('x')))).toThrow(
        /cannot store BLOB value in (TEXT|INTEGER)|datatype mismatch/,
      );
    }
  });
});

function tablesOf(sqlite: Sqlite): string[] {
  return sqlite
    .prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .all()
    .map(({ name }) => name);
}

function ownTablesOf(sqlite: Sqlite): string[] {
  return tablesOf(sqlite).filter((name) => name !== 'schema_migrations' && !name.startsWith('sqlite_'));
}

function columnsOf(sqlite: Sqlite, table: string): readonly { readonly type: string }[] {
  return sqlite.pragma(`table_info("${table}")`) as { type: string }[];
}

/** Three rows in every table, each column filled with something of its type. */
function fill(sqlite: Sqlite): void {
  for (const table of ownTablesOf(sqlite)) {
    const columns = columnsOf(sqlite, table);
    for (let row = 1; row <= 3; row++) {
      const values = columns.map(({ type }) =>
        type === 'INTEGER' || type === 'REAL'
          ? row
          : type === 'BLOB'
            ? Buffer.from(`bytes ${row}`)
            : `ü ${row}`,
      );
      sqlite.prepare(`INSERT INTO "${table}" VALUES (${columns.map(() => '?').join(', ')})`).run(...values);
    }
  }
}

describe('a database of another history', () => {
  const one = migration('20260101000000_one', 'CREATE TABLE a (x TEXT) STRICT');
  const two = migration('20260201000000_two', 'CREATE TABLE b (x TEXT) STRICT');

  test.each([
    ['a newer FLM wrote it', [one, two], [one], 'a newer FLM wrote it (20260201000000_two)'],
    [
      'a changed migration',
      [one],
      [{ ...one, hash: 'other' }],
      'its migration 20260101000000_one is not the one',
    ],
    ['another migration in the same place', [one], [two], 'its migration 20260101000000_one is not the one'],
    [
      'one that was put in between',
      [one, two],
      [one, migration('20260115000000_late'), two],
      '20260201000000_two is not',
    ],
  ])('is refused and left alone: %s', async (_, applied, carried, reason) => {
    using data = testDir();
    using sqlite = open(data);
    migrate(sqlite, 'x.db', applied, clock);
    const before = contentOf(sqlite);
    const error = await errorOf(() => migrate(sqlite, 'x.db', carried, clock));
    expect([error.code, error.exit]).toEqual(['MIGRATION_FAILED', 2]);
    expect(error.message).toContain('x.db');
    expect(error.message).toContain(reason);
    expect(contentOf(sqlite)).toEqual(before);
  });
});

describe('a migration that fails', () => {
  const start = migration(
    '20260101000000_start',
    'CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT',
    'CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parents (id) ON DELETE CASCADE) STRICT',
    'INSERT INTO parents VALUES (1), (2)',
    'INSERT INTO children VALUES (10, 1), (11, 1), (12, 2)',
  );

  test.each([
    ['in its last statement', ['CREATE TABLE c (x TEXT)', 'DELETE FROM parents', 'NONSENSE'], 'syntax error'],
    [
      'by a constraint',
      ['ALTER TABLE parents ADD COLUMN y TEXT', 'INSERT INTO parents (id) VALUES (1)'],
      'UNIQUE',
    ],
    [
      'by leaving children without parents',
      ['DELETE FROM parents WHERE id = 1'],
      '2 rows without their parent',
    ],
  ])('%s is rolled back whole', async (_, statements, reason) => {
    using data = testDir();
    using sqlite = open(data);
    migrate(sqlite, 'x.db', [start], clock);
    const before = contentOf(sqlite);
    const bad = migration('20260201000000_bad', ...statements);
    const error = await errorOf(() => migrate(sqlite, 'x.db', [start, bad], clock));
    expect([error.code, error.message.includes(reason)]).toEqual(['MIGRATION_FAILED', true]);
    expect(contentOf(sqlite)).toEqual(before);
    expect([sqlite.inTransaction, foreignKeys(sqlite)]).toEqual([false, 1]);
  });

  test('keeps those before it, so that a mended version goes on from there', async () => {
    using data = testDir();
    using sqlite = open(data);
    const [good, bad] = [
      migration('20260201_good', 'CREATE TABLE c (x TEXT)'),
      migration('20260301_bad', 'NONSENSE'),
    ];
    await errorOf(() => migrate(sqlite, 'x.db', [start, good, bad], clock));
    const mended = migration(bad.tag, 'CREATE TABLE d (x TEXT)');
    expect(migrate(sqlite, 'x.db', [start, good, mended], clock)).toEqual([bad.tag]);
  });

  test('rebuilding a table the way drizzle-kit does keeps the children of its rows', () => {
    using data = testDir();
    using sqlite = open(data);
    migrate(sqlite, 'x.db', [start], clock);
    const rebuild = migration(
      '20260201000000_rebuild',
      'PRAGMA foreign_keys=OFF;',
      "CREATE TABLE `__new_parents` (`id` INTEGER PRIMARY KEY, `name` TEXT NOT NULL DEFAULT 'x') STRICT;",
      'INSERT INTO `__new_parents`("id") SELECT "id" FROM `parents`;',
      'DROP TABLE `parents`;',
      'ALTER TABLE `__new_parents` RENAME TO `parents`;',
      'PRAGMA foreign_keys=ON;',
    );
    migrate(sqlite, 'x.db', [start, rebuild], clock);
    expect(sqlite.prepare('SELECT id, parent FROM children ORDER BY id').all()).toEqual([
      { id: 10, parent: 1 },
      { id: 11, parent: 1 },
      { id: 12, parent: 2 },
    ]);
    expect(sqlite.prepare('SELECT * FROM parents').all()).toEqual([
      { id: 1, name: 'x' },
      { id: 2, name: 'x' },
    ]);
    // They still belong together: the reference means the new table.
    expect(foreignKeys(sqlite)).toBe(1);
    expect(() => sqlite.exec('INSERT INTO children VALUES (13, 99)')).toThrow('FOREIGN KEY');
    sqlite.exec('DELETE FROM parents WHERE id = 1');
    expect(sqlite.prepare('SELECT id FROM children').all()).toEqual([{ id: 12 }]);
  });

  test('records when each was applied', () => {
    using data = testDir();
    using sqlite = open(data);
    const late = manualClock(5_000);
    migrate(sqlite, 'x.db', [start], late);
    late.advance(1_000);
    migrate(sqlite, 'x.db', [start, migration('20260201_second', 'CREATE TABLE c (x TEXT)')], late);
    expect(sqlite.prepare('SELECT tag, applied_at_ms FROM schema_migrations').all()).toEqual([
      { tag: start.tag, applied_at_ms: 5_000 },
      { tag: '20260201_second', applied_at_ms: 6_000 },
    ]);
  });
});

describe('a database that cannot be written', () => {
  test('says DB_ERROR: another version of FLM could not either', async () => {
    using data = testDir();
    using sqlite = open(data);
    sqlite.pragma('query_only = ON');
    const error = await errorOf(() => migrate(sqlite, 'x.db', embedMigrations('config'), clock));
    expect([error.code, error.cause instanceof Error]).toEqual(['DB_ERROR', true]);
  });
});
