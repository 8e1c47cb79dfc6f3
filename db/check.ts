/** Examines both databases without changing them (FLM-038): those that are open, or the files of an FLM that serves. */
import { getTableName, isTable } from 'drizzle-orm';
import { reasonOf } from '../src/lib/errors';
import { isRecord, parseJson } from '../src/lib/json';
import type { Paths } from '../src/lib/paths';
import { loadAddon } from './addon';
import * as configSchema from './config/schema';
import type { DaySeal } from './days';
import * as securitySchema from './security/schema';
import { type Db, foreignObjects, foreignReason, openSqlite, type Sqlite, withSchema } from './sqlite';

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

/** What it takes to examine them on connections of one's own. Survives a message to a Worker. */
export interface DatabaseFiles extends Pick<Paths, 'configDb' | 'securityDb'> {
  /** Of security.db and of the days alike. */
  readonly seal: DaySeal;
}

/** checkDatabases on the files themselves, while others use them. @throws as openSqlite; IO_ERROR */
export async function checkDatabaseFiles({
  configDb,
  securityDb,
  seal,
}: DatabaseFiles): Promise<DbFinding[]> {
  const addon = await loadAddon(seal.libDir);
  const opened: Sqlite[] = [];
  const open = (path: string, key: Parameters<typeof openSqlite>[1]['key']) => {
    const sqlite = openSqlite(path, { key, addon });
    opened.push(sqlite);
    sqlite.pragma('query_only = ON');
    return sqlite;
  };
  try {
    const key = { bytes: Buffer.from(seal.keyBytes), source: seal.keySource };
    return checkDatabases({
      config: withSchema(open(configDb, null), configSchema),
      security: withSchema(open(securityDb, key), securitySchema),
    });
  } finally {
    for (const sqlite of opened) sqlite.close();
  }
}

/** Blocks until all of both files is read: a second and more where they are large. */
export function checkDatabases({ config, security }: Checked): DbFinding[] {
  return [
    ...checkFile('config.db', config.$client, configSchema),
    ...checkFile('security.db', security.$client, securitySchema),
    checkProfiles(config.$client),
    checkHashes(security.$client),
  ];
}

/** A profile whose port no proxy could listen on would fail at the next start, when nobody looks. */
function checkProfiles(sqlite: Sqlite): DbFinding {
  return finding('config.db: proxies', () => {
    const profiles = sqlite
      .prepare<[], { id: string; config_json: string }>(
        'SELECT id, config_json FROM proxy_profiles WHERE is_wanted',
      )
      .all();
    const wrong = profiles.filter(({ config_json: text }) => !hasPort(text)).map(({ id }) => id);
    const ok = wrong.length === 0;
    return { ok, message: ok ? `${profiles.length} saved` : `without a usable port: ${wrong.join(', ')}` };
  });
}

function hasPort(text: string): boolean {
  const profile = parseJson(text);
  const port = isRecord(profile) ? profile.port : null;
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** Every key is recognised by its hash: one that is empty or cut would be recognised by nothing, or by anything. */
function checkHashes(sqlite: Sqlite): DbFinding {
  return finding('security.db: key hashes', () => {
    const wrong = sqlite
      .prepare<[number], { id: string }>('SELECT id FROM api_keys WHERE length(hash) <> ?')
      .all(HASH_BYTES);
    const ok = wrong.length === 0;
    return { ok, message: ok ? 'all there' : `not whole: ${wrong.map(({ id }) => id).join(', ')}` };
  });
}

/** HMAC-SHA-256. */
const HASH_BYTES = 32;

function checkFile(file: string, sqlite: Sqlite, schema: Readonly<Record<string, unknown>>): DbFinding[] {
  return [
    finding(`${file}: integrity`, () => {
      const told = rows(sqlite, 'integrity_check').map((row) => String(Object.values(row)[0]));
      const ok = told.length === 1 && told[0] === 'ok';
      return { ok, message: ok ? 'sound' : told.slice(0, 5).join('; ') };
    }),
    finding(`${file}: references`, () => {
      const orphans = rows(sqlite, 'foreign_key_check').length;
      return { ok: orphans === 0, message: orphans === 0 ? 'complete' : `${orphans} rows point to nothing` };
    }),
    finding(`${file}: schema`, () => {
      const found = foreignObjects(sqlite);
      const ok = found.length === 0;
      return { ok, message: ok ? 'no triggers, no views' : foreignReason(found) };
    }),
    finding(`${file}: tables`, () => {
      const wanted = Object.values(schema).filter(isTable).map(getTableName);
      const there = new Set(rows(sqlite, 'table_list').map((row) => row.name));
      const missing = wanted.filter((table) => !there.has(table));
      if (missing.length > 0) return { ok: false, message: `missing: ${missing.join(', ')}` };
      return { ok: true, message: wanted.map((table) => `${table} ${countRows(sqlite, table)}`).join(', ') };
    }),
  ];
}

/** What a check finds. A damaged file makes any of them fail, which is a finding too. */
function finding(name: string, check: () => Omit<DbFinding, 'name'>): DbFinding {
  try {
    return { name, ...check() };
  } catch (error) {
    return { name, ok: false, message: reasonOf(error) };
  }
}

function rows(sqlite: Sqlite, pragma: string): readonly Record<string, unknown>[] {
  const result: unknown = sqlite.pragma(pragma);
  return Array.isArray(result) ? result : [];
}

/** Rows in a table. The name comes from the schema, never from outside. */
function countRows(sqlite: Sqlite, table: string): number {
  return sqlite.prepare<[], { n: number }>(`SELECT count(*) AS n FROM "${table}"`).get()?.n ?? 0;
}
