/**
 * Build-time macro: reads the generated migrations so that the executable carries them.
 * Runs inside the bundler (or the transpiler, from source), never in the finished program.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Migration {
  /** File name without `.sql`; starts with its UTC time, so names sort by age (FLM-123). */
  readonly tag: string;
  /** SHA-256 of the file, hex. */
  readonly hash: string;
  readonly statements: readonly string[];
}

interface Journal {
  readonly entries: readonly { readonly tag: string }[];
}

/** The migrations of one database, oldest first, with STRICT tables (drizzle-kit cannot say STRICT). */
export function embedMigrations(database: 'config' | 'security' | 'activity'): Migration[] {
  const folder = join(import.meta.dir, database, 'migrations');
  const journal = JSON.parse(readFileSync(join(folder, 'meta', '_journal.json'), 'utf8')) as Journal;
  return journal.entries.map(({ tag }) => {
    const text = readFileSync(join(folder, `${tag}.sql`), 'utf8');
    return {
      tag,
      hash: createHash('sha256').update(text).digest('hex'),
      statements: text.split('--> statement-breakpoint').map((statement) => strict(statement.trim())),
    };
  });
}

function strict(statement: string): string {
  return /^CREATE TABLE\b/i.test(statement) ? statement.replace(/\)\s*;?\s*$/, ') STRICT;') : statement;
}
