/** `flm check` on databases that are sound, damaged, incomplete or have lost references; it changes nothing. */
import { describe, expect, test } from 'bun:test';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { manualClock } from '../src/lib/clock';
import { type TestDir, testDir } from '../test/support/data-dir';
import { checkDatabases, type DbFinding } from './check';
import * as configSchema from './config/schema';
import { openDatabases } from './index';
import * as securitySchema from './security/schema';
import { openSqlite, withSchema } from './sqlite';

async function makeDatabases(data: TestDir): Promise<void> {
  const { paths, env } = data;
  (await openDatabases({ paths, env, clock: manualClock(), lockWaitMs: 0 })).close();
}

/** What is found in both, opened as they are. */
function check(data: TestDir): DbFinding[] {
  const bytes = Buffer.from(`raw:${readFileSync(data.paths.keyFile, 'utf8').trim()}`);
  const config = openSqlite(data.paths.configDb, { key: null, addon: null });
  const security = openSqlite(data.paths.securityDb, { key: { bytes, source: 'a test' }, addon: null });
  try {
    return checkDatabases({
      config: withSchema(config, configSchema),
      security: withSchema(security, securitySchema),
    });
  } finally {
    config.close();
    security.close();
  }
}

/** Changes config.db behind FLM's back. */
function alter(data: TestDir, sql: string): void {
  const sqlite = openSqlite(data.paths.configDb, { key: null, addon: null });
  sqlite.pragma('foreign_keys = OFF');
  sqlite.exec(sql);
  sqlite.close();
}

const bad = (findings: DbFinding[]) => findings.filter(({ ok }) => !ok);

describe('checkDatabases', () => {
  test('finds both sound, and names every table with its rows', async () => {
    using data = testDir();
    await makeDatabases(data);
    alter(data, "INSERT INTO settings VALUES ('log.level', 'warn', 1, NULL)");
    expect(check(data)).toEqual([
      { name: 'config.db: integrity', ok: true, message: 'sound' },
      { name: 'config.db: references', ok: true, message: 'complete' },
      { name: 'config.db: schema', ok: true, message: 'no triggers, no views' },
      {
        name: 'config.db: tables',
        ok: true,
        message:
          'active_proxy_handles 0, audit_outbox 0, audit_witnesses 0, engine_health_logs 0, engines 0, model_routes 0, proxy_profiles 0, settings 1',
      },
      { name: 'security.db: integrity', ok: true, message: 'sound' },
      { name: 'security.db: references', ok: true, message: 'complete' },
      { name: 'security.db: schema', ok: true, message: 'no triggers, no views' },
      {
        name: 'security.db: tables',
        ok: true,
        message:
          'admin_sessions 0, alert_deliveries 0, alert_rules 0, alert_targets 0, api_keys 0, audit_heads 0, audit_logs 0, certificate_authorities 0, certificates 0, egress_secrets 0, engine_credentials 0, idempotency_keys 0, installation 0, ip_bans 0, ip_standings 0, policy_versions 0, rate_limit_states 0, security_signals 0',
      },
      { name: 'config.db: proxies', ok: true, message: '0 saved' },
      { name: 'security.db: key hashes', ok: true, message: 'all there' },
    ]);
  });

  test.each([
    ['{"port": 8080}', '1 saved'],
    ['{"port": 0}', 'without a usable port: proxy-1'],
    ['{"port": 70000}', 'without a usable port: proxy-1'],
    ['{"port": "8080"}', 'without a usable port: proxy-1'],
    ['not JSON', 'without a usable port: proxy-1'],
  ])('looks at the port of a saved proxy: %s', async (profile, message) => {
    using data = testDir();
    await makeDatabases(data);
    alter(
      data,
      `INSERT INTO proxy_profiles (id, config_json, created_at_ms, is_wanted) VALUES ('proxy-1', '${profile}', 1, 1)`,
    );
    const found = check(data).find(({ name }) => name === 'config.db: proxies');
    expect(found).toMatchObject({ ok: message === '1 saved', message });
  });

  test('finds a key whose hash is empty (FLM-038)', async () => {
    using data = testDir();
    await makeDatabases(data);
    const bytes = Buffer.from(`raw:${readFileSync(data.paths.keyFile, 'utf8').trim()}`);
    const security = openSqlite(data.paths.securityDb, { key: { bytes, source: 'a test' }, addon: null });
    security.exec(
      "INSERT INTO api_keys (id, label, hash, scopes_json, created_at_ms) VALUES ('Ab12Cd34', 'l', x'', '[]', 1)",
    );
    security.close();
    expect(bad(check(data))).toEqual([
      { name: 'security.db: key hashes', ok: false, message: 'not whole: Ab12Cd34' },
    ]);
  });

  test('names a table that is missing', async () => {
    using data = testDir();
    await makeDatabases(data);
    alter(data, 'DROP TABLE engines; DROP TABLE settings');
    expect(bad(check(data))).toEqual([
      { name: 'config.db: tables', ok: false, message: 'missing: engines, settings' },
    ]);
  });

  test('names triggers and views, which only somebody else can have made', async () => {
    using data = testDir();
    await makeDatabases(data);
    alter(
      data,
      'CREATE TRIGGER swallow AFTER INSERT ON audit_outbox BEGIN DELETE FROM audit_outbox; END; CREATE VIEW v AS SELECT 1',
    );
    expect(bad(check(data))).toEqual([
      {
        name: 'config.db: schema',
        ok: false,
        message:
          'somebody else has written to it and made trigger "swallow", view "v", which FLM never does: remove it',
      },
    ]);
  });

  test('counts rows that point to nothing', async () => {
    using data = testDir();
    await makeDatabases(data);
    alter(
      data,
      'CREATE TABLE children (id INTEGER PRIMARY KEY, engine TEXT REFERENCES engines (id)) STRICT; ' +
        "INSERT INTO children VALUES (1, 'gone'), (2, 'gone')",
    );
    expect(bad(check(data))).toEqual([
      { name: 'config.db: references', ok: false, message: '2 rows point to nothing' },
    ]);
  });

  test('sees a page that was overwritten, and says so without dying of it', async () => {
    using data = testDir();
    await makeDatabases(data);
    alter(data, 'CREATE TABLE t (x TEXT); INSERT INTO t VALUES (zeroblob(20000))');
    const file = openSync(data.paths.configDb, 'r+');
    writeSync(file, Buffer.alloc(4096, 0xff), 0, 4096, 4096 * 3);
    closeSync(file);
    const before = readFileSync(data.paths.configDb);
    const findings = bad(check(data));
    expect(findings.map(({ name }) => name)).toContain('config.db: integrity');
    expect(findings.every(({ name }) => name.startsWith('config.db'))).toBe(true);
    expect(readFileSync(data.paths.configDb).equals(before)).toBe(true);
  });
});
