/** Examines both databases without changing them (FLM-038). */
import { getTableName, isTable } from 'drizzle-orm';
import * as configSchema from './config/schema';
import * as securitySchema from './security/schema';
import type { Db, Sqlite } from './sqlite';

export interface DbFinding {
  /** `config.db: integrity` */
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

interface Checked {
  readonly config: Db<typeof configSchema>;
  readonly security: Db<typeof securitySchema>;
}

export function checkDatabases({ config, security }: Checked): DbFinding[] {
  return [
    ...checkFile('config.db', config.$client, configSchema),
    ...checkFile('security.db', security.$client, securitySchema),
  ];
}

function checkFile(file: string, sqlite: Sqlite, schema: Readonly<Record<string, unknown>>): DbFinding[] {
  const integrity = rows(sqlite, 'integrity_check').map((row) => String(Object.values(row)[0]));
  const orphans = rows(sqlite, 'foreign_key_check').length;
  const tables = Object.values(schema).filter(isTable).map(getTableName);
  const counts = tables.map((table) => ({ table, count: countRows(sqlite, table) }));
  const missing = counts.filter(({ count }) => count === null).map(({ table }) => table);
  const sound = integrity.length === 1 && integrity[0] === 'ok';
  return [
    { name: `${file}: integrity`, ok: sound, message: sound ? 'sound' : integrity.slice(0, 5).join('; ') },
    {
      name: `${file}: references`,
      ok: orphans === 0,
      message: orphans === 0 ? 'complete' : `${orphans} rows point to nothing`,
    },
    {
      name: `${file}: tables`,
      ok: missing.length === 0,
      message:
        missing.length === 0
          ? counts.map(({ table, count }) => `${table} ${count}`).join(', ')
          : `missing: ${missing.join(', ')}`,
    },
  ];
}

function rows(sqlite: Sqlite, pragma: string): readonly Record<string, unknown>[] {
  const result: unknown = sqlite.pragma(pragma);
  return Array.isArray(result) ? result : [];
}

/** Rows in a table, or null when it is not there. The name comes from the schema, never from outside. */
function countRows(sqlite: Sqlite, table: string): number | null {
  try {
    return sqlite.prepare<[], { n: number }>(`SELECT count(*) AS n FROM "${table}"`).get()?.n ?? null;
  } catch {
    return null; // No such table: that is the finding.
  }
}
