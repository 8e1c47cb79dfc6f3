/** The migrations that the executable carries: complete, in order, unchanged, and STRICT. */
import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { embedMigrations } from './embed';

describe.each(['config', 'security'] as const)('migrations of %s.db', (database) => {
  const folder = join(import.meta.dir, database, 'migrations');
  const migrations = embedMigrations(database);

  test('are all the files of the folder, oldest first', () => {
    const files = readdirSync(folder).filter((file) => file.endsWith('.sql'));
    expect(migrations.map(({ tag }) => `${tag}.sql`)).toEqual(files.sort());
    expect(migrations.length).toBeGreaterThan(0);
    for (const { tag } of migrations) expect(tag).toMatch(/^\d{14}_\w+$/);
  });

  test('carry the checksum of their file', () => {
    for (const { tag, hash } of migrations) {
      const text = readFileSync(join(folder, `${tag}.sql`));
      expect(hash).toBe(createHash('sha256').update(text).digest('hex'));
    }
  });

  test('make only STRICT tables, and change nothing else', () => {
    const statements = migrations.flatMap((migration) => migration.statements);
    const tables = statements.filter((statement) => statement.startsWith('CREATE TABLE'));
    expect(tables.length).toBeGreaterThan(0);
    for (const statement of tables) expect(statement).toMatch(/\n\) STRICT;$/);
    for (const statement of statements.filter((other) => !tables.includes(other)))
      expect(statement).not.toContain('STRICT');
    expect(statements.every((statement) => statement.length > 0)).toBe(true);
  });
});
