/** The policy over the admin socket: what is sent, what comes back, and who hears of it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type AdminClient, createAdminClient } from '../../src/admin/client';
import { type App, openApp } from '../../src/app';
import { createEgress, type Egress } from '../../src/egress';
import { systemClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { POLICY_SCHEMA } from '../../src/policy';
import { behindItsBack } from '../support/behind-its-back';
import { type TestDir, testDir } from '../support/data-dir';
import { codeOf, errorOf } from '../support/thrown';

let data: TestDir;
let app: App;
let egress: Egress;
let client: AdminClient;

beforeAll(async () => {
  data = testDir();
  app = await openApp({
    ...data,
    env: { ...data.env, FLM_ENGINE_DETECT: 'false' },
    clock: systemClock,
    log: silentLog,
    flags: {},
    running: true,
    lockWaitMs: 0,
  });
  await app.serve({ bind: '127.0.0.1', port: 0, allowPlaintext: false });
  egress = createEgress({ clock: systemClock });
  client = createAdminClient(egress, data.paths.adminSocket);
});

afterAll(async () => {
  egress.close();
  await app.close();
  data[Symbol.dispose]();
});

describe('the policy over the socket', () => {
  test('is changed for everybody who asks, at once', async () => {
    const { version } = await client.policy.show();
    const changes: number[] = [];
    const stop = app.bus.subscribe('policy.changed', (event) => void changes.push(event.version));
    const document = { rate_limit: { rpm: 5 }, of_tomorrow: [{ x: null }] };
    const change = await client.policy.set({ document, note: 'why', if_version: version });
    expect(change).toMatchObject({ version: version + 1, document, note: 'why', updated_by: 'owner' });
    expect(change.warnings).toEqual([
      { path: '/of_tomorrow', message: expect.stringContaining('no effect') },
    ]);
    expect(app.policy.current()).toEqual({ version: version + 1, document });
    stop();
    expect(changes).toEqual([version + 1]);
  });

  test('that is wrong comes back with every mistake, and nothing changes', async () => {
    const before = app.policy.current();
    const document = { rate_limit: { rpm: 'x' }, ip_whitelist: ['10.0.0.1/8'], log_level: 3 };
    const error = await errorOf(() => client.policy.set({ document }));
    expect(error).toMatchObject({ code: 'POLICY_INVALID', status: 400 });
    for (const path of ['/rate_limit/rpm', '/ip_whitelist/0', '/log_level'])
      expect(error.message).toContain(path);
    const { valid, problems } = await client.policy.validate(document);
    expect({ valid, paths: problems.map(({ path }) => path).sort() }).toEqual({
      valid: false,
      paths: ['/ip_whitelist/0', '/log_level', '/rate_limit/rpm'],
    });
    expect(app.policy.current()).toBe(before);
  });

  test('conflicts, versions that are not there, and cursors have codes of their own', async () => {
    expect(await codeOf(() => client.policy.set({ document: {}, if_version: 99 }))).toBe('POLICY_CONFLICT');
    expect(await codeOf(() => client.policy.version(99))).toBe('POLICY_VERSION_NOT_FOUND');
    expect(await codeOf(() => client.policy.rollback({ version: 99 }))).toBe('POLICY_VERSION_NOT_FOUND');
    expect(await codeOf(() => client.policy.history({ cursor: '-' }))).toBe('INVALID_INPUT');
    expect(await codeOf(() => client.policy.disallow({ network: '10.0.0.1' }))).toBe('NETWORK_NOT_LISTED');
  });

  test('has its versions, its list and its schema there, too', async () => {
    await client.policy.set({ document: { models: ['a'] } });
    const { items, next } = await client.policy.history({ limit: 1 });
    expect(items).toMatchObject([{ state: 'in-force', changed: ['/rate_limit', '/of_tomorrow', '/models'] }]);
    expect(next).not.toBeNull();
    const [older] = (await client.policy.history({ cursor: next ?? '' })).items;
    expect(await client.policy.version(older?.version ?? 0)).toMatchObject({
      document: { rate_limit: { rpm: 5 } },
    });
    expect((await client.policy.rollback({ version: 1 })).document).toEqual({
      ip_whitelist: [],
      cors: { allowed_origins: [] },
    });
    expect((await client.policy.allow({ network: '10.0.0.0/8' })).items).toEqual(['10.0.0.0/8']);
    expect((await client.policy.whitelist()).items).toEqual(['10.0.0.0/8']);
    expect((await client.policy.disallow({ network: '10.0.0.0/8' })).items).toEqual([]);
    const response = await fetch('http://localhost/api/v1/policy/schema', { unix: data.paths.adminSocket });
    expect(await response.json()).toEqual(JSON.parse(JSON.stringify(POLICY_SCHEMA)));
  });

  test('FLM-073: a reload says which version is in force', async () => {
    const result = await client.proxies.reload({ all: true });
    expect(result.policy_version).toBe(app.policy.current()?.version ?? null);
    expect(result.policy_version).toBeGreaterThan(1);
  });

  test('that was altered is found, and told of', async () => {
    await behindItsBack(data, (db) => db.exec(`UPDATE policy_versions SET document_json = '{}'`));
    expect((await client.proxies.reload({ all: true })).policy_version).toBeNull();
    expect(await codeOf(() => client.policy.show())).toBe('POLICY_UNREADABLE');
    const { checks } = await client.check();
    expect(checks.filter(({ name }) => name === 'security policy')).toMatchObject([{ status: 'error' }]);
    const { items } = await client.audit.list({ type: 'policy.unreadable' });
    expect(items).toMatchObject([{ severity: 'critical', actor: { id: 'flm' } }]);
    // Every one of them was altered, so none can come back.
    expect(await codeOf(() => client.policy.rollback({ version: 1 }))).toBe('POLICY_VERSION_ALTERED');
    expect((await client.policy.set({ document: {} })).version).toBeGreaterThan(1);
    expect(app.policy.current()).not.toBeNull();
  });
});
