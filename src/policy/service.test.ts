/** The policy on disk: in force as long as it is what was written, and nothing is in force when it is not. */
import { afterAll, describe, expect, test } from 'bun:test';
import { type Databases, openDatabases, securitySchema } from '../../db';
import { type Sqlite, withSchema } from '../../db/sqlite';
import { behindItsBack } from '../../test/support/behind-its-back';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { eventually } from '../../test/support/eventually';
import { codeOf, errorOf } from '../../test/support/thrown';
import { policyOnRecord } from '../app/policy-seams';
import { type Audit, createAudit, createAuditStore } from '../audit';
import type { Event } from '../contract';
import { actingAs } from '../lib/actor';
import { createBus } from '../lib/bus';
import { type ManualClock, manualClock } from '../lib/clock';
import { type Log, silentLog } from '../lib/log';
import type { Surroundings } from './rules';
import { createSealer } from './seal';
import { createPolicies, FIRST_POLICY, type Policies } from './service';
import { createPolicyStore } from './store';

interface Room extends AsyncDisposable {
  readonly data: TestDir;
  readonly db: Databases;
  readonly audit: Audit;
  readonly clock: ManualClock;
  readonly policy: Policies;
  readonly errors: unknown[];
  readonly versions: number[];
  surroundings: Surroundings;
}

const SECRET = Buffer.alloc(32, 7);
const owner = {
  kind: 'owner',
  id: 'owner',
  via: 'socket',
  requestId: null,
  traceId: null,
  ip: null,
} as const;

const dirs = new Set<TestDir>();
afterAll(() => {
  for (const dir of dirs) dir[Symbol.dispose]();
});

interface RoomOptions {
  readonly data?: TestDir;
  readonly secret?: Buffer;
  readonly running?: boolean;
}

/** The room as an FLM has it, which looks every few milliseconds. Made on `data` it goes on with what is there. */
async function room({ data = testDir(), secret = SECRET, running = true }: RoomOptions = {}): Promise<Room> {
  dirs.add(data);
  const clock = manualClock();
  const db = await openDatabases({ paths: data.paths, env: data.env, clock, lockWaitMs: 0 });
  const audit = await createAudit({ store: createAuditStore(db.config, db.security), clock, log: silentLog });
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (message, fields) => void errors.push([message, fields]) };
  const bus = createBus();
  const versions: number[] = [];
  bus.subscribe(
    'policy.changed',
    ({ version }: Extract<Event, { name: 'policy.changed' }>) => void versions.push(version),
  );
  const made = { surroundings: { isPublic: false, clients: [] as readonly string[] } };
  const policy = await createPolicies({
    store: createPolicyStore(db.security, audit.inSecurityDb),
    secret,
    onRecord: () => policyOnRecord(audit),
    record: audit.record,
    surroundings: () => made.surroundings,
    clock,
    bus,
    log,
    running,
    pollMs: 5,
  });
  return Object.assign(made, {
    data,
    db,
    audit,
    clock,
    policy,
    errors,
    versions,
    async [Symbol.asyncDispose]() {
      await policy.close();
      bus.close();
      await audit.close();
      db.close();
    },
  });
}

/** Stops it, and starts another one on what it left. */
async function again(before: Room, options: Omit<RoomOptions, 'data'> = {}): Promise<Room> {
  await before[Symbol.asyncDispose]();
  return room({ data: before.data, ...options });
}

const set = ({ policy }: Room, document: object) => actingAs(owner, () => policy.set({ document }));
const types = async ({ audit }: Room) => (await audit.list({})).items.map(({ type }) => type).reverse();

describe('the first start', () => {
  test('stores a policy that lets everybody in, and puts nothing on record: nobody has changed anything', async () => {
    await using it = await room();
    expect(it.policy.current()).toEqual({ version: 1, document: FIRST_POLICY });
    expect(await types(it)).toEqual([]);
    await using next = await again(it);
    expect(next.policy.current()?.version).toBe(1);
  });
});

describe('a change', () => {
  test('is in force at once, frozen, sealed, on record, and there after a restart', async () => {
    await using it = await room();
    const before = it.policy.current();
    const document = { rate_limit: { rpm: 60 }, from_the_future: { x: [1] } };
    expect(await set(it, document)).toMatchObject({
      id: 'default',
      version: 2,
      updated_by: 'owner',
      document,
      changed: ['/ip_whitelist', '/cors', '/rate_limit', '/from_the_future'],
    });
    const now = it.policy.current();
    expect(now).toEqual({ version: 2, document });
    expect(before?.version).toBe(1);
    expect(Object.isFrozen(now?.document.rate_limit)).toBe(true);
    expect(it.versions).toEqual([2]);
    const [row] = (await it.audit.list({})).items;
    expect(row).toMatchObject({
      type: 'policy.set',
      target: 'policy:default',
      actor: { id: 'owner' },
      details: { version: 2, changed: ['/ip_whitelist', '/cors', '/rate_limit', '/from_the_future'] },
    });
    await using next = await again(it);
    expect(next.policy.current()).toEqual({ version: 2, document });
    expect(next.policy.current()).toBe(next.policy.current());
  });

  test('keeps what is hard to write down as it is', async () => {
    await using it = await room();
    const document = JSON.parse(
      '{"__proto__": {"rpm": 1}, "constructor": "x", "a/b~c": "\\ud800", "": [[{"": null}]]}',
    );
    const { changed } = await actingAs(owner, () => it.policy.set({ document, note: 'a\0b \ud800' }));
    expect(changed).toEqual(['/ip_whitelist', '/cors', '/__proto__', '/constructor', '/a~1b~0c', '/']);
    await using next = await again(it);
    expect(JSON.stringify(next.policy.current()?.document)).toBe(JSON.stringify(document));
    expect((await next.policy.show()).note).toBe('a\0b \ufffd');
  });

  test('that changes nothing is none', async () => {
    await using it = await room();
    await set(it, { models: ['a'] });
    const now = it.policy.current();
    expect(await set(it, { models: ['a'] })).toMatchObject({ version: 2, changed: [] });
    expect(it.policy.current()).toBe(now);
    expect(await types(it)).toEqual(['policy.set']);
  });

  test('that is not valid names every mistake, and the policy in force stays', async () => {
    await using it = await room();
    const now = it.policy.current();
    const error = await errorOf(() => set(it, { rate_limit: { rpm: -1 }, ip_whitelist: ['10.0.0.1/8'] }));
    expect(error.code).toBe('POLICY_INVALID');
    expect(error.message).toContain('/rate_limit/rpm takes a whole number');
    expect(error.message).toContain('/ip_whitelist/0 "10.0.0.1/8" has host bits: the network is 10.0.0.0/8');
    expect(it.policy.current()).toBe(now);
    expect((await it.policy.history({})).items).toHaveLength(1);
  });

  test('is refused when somebody else was faster', async () => {
    await using it = await room();
    const both = await Promise.allSettled(
      ['a', 'b'].map((model) => it.policy.set({ document: { models: [model] }, if_version: 1 })),
    );
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(it.policy.current()?.document.models).toEqual(['a']);
    expect(await codeOf(() => it.policy.set({ document: {}, if_version: 1 }))).toBe('POLICY_CONFLICT');
    expect(await codeOf(() => it.policy.set({ document: { models: ['a'] }, if_version: 1 }))).toBe(
      'POLICY_CONFLICT',
    );
    expect(await codeOf(() => it.policy.rollback({ version: 1, if_version: 1 }))).toBe('POLICY_CONFLICT');
    expect((await it.policy.set({ document: {}, if_version: 2 })).version).toBe(3);
  });

  test('that cannot be put on record is not made', async () => {
    await using it = await room();
    it.db.security.$client.exec('DELETE FROM audit_heads');
    expect(await codeOf(() => set(it, { models: ['a'] }))).toBe('DB_DAMAGED');
    expect(await it.policy.refresh()).toBe(1);
    expect((await it.policy.history({})).items).toHaveLength(1);
  });
});

describe('what another process writes', () => {
  test('FLM-073 [D]: is in force within a second, as another snapshot that nothing old is derived from', async () => {
    await using it = await room();
    await set(it, { models: ['a'] });
    // The same FLM in another process, as after a hand-over: it has a connection of its own.
    await behindItsBack(it.data, async (sqlite) => {
      const security = withSchema(sqlite, securitySchema);
      const store = createAuditStore(it.db.config, security);
      const audit = await createAudit({ store, clock: it.clock, log: silentLog });
      const other = await createPolicies({
        store: createPolicyStore(security, audit.inSecurityDb),
        secret: SECRET,
        onRecord: () => policyOnRecord(audit),
        record: audit.record,
        surroundings: () => it.surroundings,
        clock: it.clock,
        bus: createBus(),
        log: silentLog,
        running: false,
      });
      await other.set({ document: { models: ['b'] } });
      await other.close();
      await audit.close();
    });
    await eventually(() => it.policy.current()?.version === 3, 1_000);
    expect(it.policy.current()?.document.models).toEqual(['b']);
    expect(it.versions).toEqual([2, 3]);
    expect(it.errors).toEqual([]);
  });
});

/** Everything that somebody could do to the newest version, of which there are three. */
const ATTACKS: readonly (readonly [string, (sqlite: Sqlite) => void, string])[] = [
  [
    'another document',
    (db) => db.exec(`UPDATE policy_versions SET document_json = '{}' WHERE version = 3`),
    'version 3 is not as it was written',
  ],
  [
    'one character',
    (db) => db.exec(`UPDATE policy_versions SET document_json = replace(document_json, '30', '31')`),
    'version 3 is not as it was written',
  ],
  [
    'another author',
    (db) => db.exec(`UPDATE policy_versions SET actor = 'nobody' WHERE version = 3`),
    'version 3 is not as it was written',
  ],
  [
    'no JSON',
    (db) => db.exec(`UPDATE policy_versions SET document_json = '{' WHERE version = 3`),
    'version 3 is not as it was written',
  ],
  [
    'another seal',
    (db) => db.exec(`UPDATE policy_versions SET seal = zeroblob(32) WHERE version = 3`),
    'version 3 is not as it was written',
  ],
  ['no seal', (db) => db.exec(`UPDATE policy_versions SET seal = x''`), 'version 3 is not as it was written'],
  [
    'the last one gone',
    (db) => db.exec('DELETE FROM policy_versions WHERE version = 3'),
    'version 3 is gone',
  ],
  [
    'the one before gone',
    (db) => db.exec('DELETE FROM policy_versions WHERE version = 2'),
    'version 3 is not as it was written',
  ],
  [
    'an earlier one put in its place',
    (db) =>
      db.exec(
        `UPDATE policy_versions SET (document_json, seal, created_at_ms, actor, note) =
         (SELECT document_json, seal, created_at_ms, actor, note FROM policy_versions WHERE version = 2) WHERE version = 3`,
      ),
    'version 3 is not as it was written',
  ],
  [
    'a newer one made up',
    (db) =>
      db.exec(
        `INSERT INTO policy_versions SELECT 4, '{}', seal, created_at_ms, actor, note FROM policy_versions WHERE version = 3`,
      ),
    'version 4 is not as it was written',
  ],
  ['all gone', (db) => db.exec('DELETE FROM policy_versions'), 'all of its versions are gone'],
];

async function three(it: Room): Promise<void> {
  await set(it, { rate_limit: { rpm: 10 } });
  await set(it, { rate_limit: { rpm: 30 } });
}

describe('FLM-006: a policy that is not as it was written', () => {
  test.each(ATTACKS)(
    '%s: lets nobody in while FLM runs, and is on record once',
    async (_what, attack, reason) => {
      await using it = await room();
      await three(it);
      await behindItsBack(it.data, attack);
      await eventually(() => it.policy.current() === null, 1_000);
      expect(it.policy.trouble()).toBe(reason);
      await eventually(async () => (await types(it)).includes('policy.unreadable'));
      await it.policy.refresh();
      await it.policy.refresh();
      expect(await types(it)).toEqual(['policy.set', 'policy.set', 'policy.unreadable']);
      expect(it.errors).toHaveLength(1);
      expect(await errorOf(() => it.policy.show())).toMatchObject({
        code: 'POLICY_UNREADABLE',
        meta: { reason },
      });
    },
  );

  test.each(ATTACKS)('%s: lets nobody in after a restart', async (_what, attack, reason) => {
    const it = await room();
    await three(it);
    await behindItsBack(it.data, attack);
    await using next = await again(it);
    expect(next.policy.current()).toBeNull();
    expect(next.policy.trouble()).toBe(reason);
    expect(await next.policy.examine()).toMatchObject({ version: null, trouble: reason });
  });

  test.each(ATTACKS)('%s: is over when a good one is stored', async (_what, attack) => {
    const it = await room();
    await three(it);
    await behindItsBack(it.data, attack);
    await using next = await again(it);
    const change = await set(next, { rate_limit: { rpm: 99 } });
    expect(change.version).toBeGreaterThan(3);
    expect(next.policy.current()?.document.rate_limit).toEqual({ rpm: 99 });
    await using last = await again(next);
    expect(last.policy.current()).toEqual({ version: change.version, document: { rate_limit: { rpm: 99 } } });
  });

  test('is not replaced by the first policy, which would open what was closed', async () => {
    const it = await room();
    await set(it, { ip_whitelist: ['10.0.0.0/8'] });
    await behindItsBack(it.data, (db) => db.exec('DELETE FROM policy_versions'));
    await using next = await again(it);
    expect(next.policy.current()).toBeNull();
    expect((await next.policy.history({})).items).toEqual([]);
  });

  test('is one whose table is gone', async () => {
    await using it = await room();
    await behindItsBack(it.data, (db) => db.exec('ALTER TABLE policy_versions RENAME TO elsewhere'));
    await eventually(() => it.policy.current() === null, 1_000);
    expect(it.policy.trouble()).toContain('no such table');
    await behindItsBack(it.data, (db) => db.exec('ALTER TABLE elsewhere RENAME TO policy_versions'));
    await eventually(() => it.policy.current()?.version === 1, 1_000);
  });

  test('is one that was sealed by another installation', async () => {
    const it = await room();
    await three(it);
    await using next = await again(it, { secret: Buffer.alloc(32, 8) });
    expect(next.policy.trouble()).toBe('version 3 is not as it was written');
  });

  test('is one that nobody put on record, although its seal fits', async () => {
    const it = await room();
    await three(it);
    // With the secret of the installation anybody can make a seal, but not a row of the audit chain without a trace.
    await behindItsBack(it.data, (db) => {
      const row = { version: 4, documentJson: '{}', createdAtMs: 1, actor: 'owner', note: null };
      const before = db.prepare('SELECT seal FROM policy_versions WHERE version = 3').pluck().get();
      const seal = createSealer(SECRET).seal(row, Buffer.isBuffer(before) ? before : null);
      db.prepare('INSERT INTO policy_versions VALUES (4, ?, ?, 1, ?, NULL)').run('{}', seal, 'owner');
    });
    await using next = await again(it);
    expect(next.policy.trouble()).toBe('version 4 was never put on record');
  });

  test('is not told of by commands that work offline', async () => {
    const it = await room();
    await three(it);
    await behindItsBack(it.data, (db) => db.exec('DELETE FROM policy_versions WHERE version = 3'));
    await using next = await again(it, { running: false });
    expect(next.policy.current()).toBeNull();
    expect(await types(next)).toEqual(['policy.set', 'policy.set']);
  });
});

describe('earlier versions', () => {
  test('are listed with who, when and what, in pages', async () => {
    await using it = await room();
    await actingAs(owner, () => it.policy.set({ document: { models: ['a'] }, note: 'one model' }));
    it.clock.advance(60_000);
    await actingAs({ ...owner, id: 'op-1' }, () =>
      it.policy.set({ document: { models: ['a'], log_level: 'high' } }),
    );
    const first = await it.policy.history({ limit: 2 });
    expect(first).toMatchObject({
      items: [
        { version: 3, updated_by: 'op-1', note: null, state: 'in-force', changed: ['/log_level'] },
        { version: 2, updated_by: 'owner', note: 'one model', state: 'past' },
      ],
      next: '2',
    });
    expect(await it.policy.history({ limit: 2, cursor: '2' })).toMatchObject({
      items: [{ version: 1, updated_by: 'flm', state: 'past' }],
      next: null,
    });
    expect(await codeOf(() => it.policy.history({ cursor: 'x' }))).toBe('INVALID_INPUT');
    expect(await it.policy.version(2)).toMatchObject({ version: 2, document: { models: ['a'] } });
    expect(await codeOf(() => it.policy.version(9))).toBe('POLICY_VERSION_NOT_FOUND');
  });

  test('come back as a new one', async () => {
    await using it = await room();
    await three(it);
    const change = await actingAs(owner, () => it.policy.rollback({ version: 2, note: 'too many' }));
    expect(change).toMatchObject({ version: 4, note: 'too many', changed: ['/rate_limit/rpm'] });
    expect(it.policy.current()?.document).toEqual({ rate_limit: { rpm: 10 } });
    const [row] = (await it.audit.list({})).items;
    expect(row).toMatchObject({ type: 'policy.rolled_back', details: { version: 4, rolled_back_to: 2 } });
    expect(await codeOf(() => it.policy.rollback({ version: 9 }))).toBe('POLICY_VERSION_NOT_FOUND');
  });

  test('that were altered are told of, stay where they are, and do not come back', async () => {
    await using it = await room();
    await three(it);
    await behindItsBack(it.data, (db) =>
      db.exec(`UPDATE policy_versions SET document_json = '{"ip_whitelist":[]}' WHERE version = 2`),
    );
    expect(await codeOf(() => it.policy.rollback({ version: 2 }))).toBe('POLICY_VERSION_ALTERED');
    expect((await it.policy.history({})).items.map(({ state }) => state)).toEqual([
      'in-force',
      'altered',
      'past',
    ]);
    expect(await it.policy.examine()).toEqual({ version: 3, trouble: null, versions: 3, altered: [2] });
    expect(it.policy.current()?.version).toBe(3);
  });

  test('come back also when the one in force cannot be read', async () => {
    const it = await room();
    await three(it);
    await behindItsBack(it.data, (db) => db.exec('DELETE FROM policy_versions WHERE version = 3'));
    await using next = await again(it);
    expect((await next.policy.rollback({ version: 2 })).version).toBe(4);
    expect(next.policy.current()?.document).toEqual({ rate_limit: { rpm: 10 } });
  });
});

describe('FLM-027: the list of who may come', () => {
  test('is edited in the policy, by the book, and nothing else of it changes', async () => {
    await using it = await room();
    await set(it, { models: ['a'] });
    expect(await it.policy.allow({ network: '2001:DB8::/32' })).toMatchObject({
      items: ['2001:db8::/32'],
      version: 3,
    });
    expect(await it.policy.allow({ network: '10.0.0.1/32' })).toMatchObject({
      items: ['2001:db8::/32', '10.0.0.1'],
    });
    expect(await it.policy.allow({ network: '::ffff:10.0.0.1' })).toMatchObject({ version: 4 });
    expect(await it.policy.disallow({ network: '2001:db8:0::/32' })).toMatchObject({ items: ['10.0.0.1'] });
    expect(it.policy.current()?.document).toEqual({ models: ['a'], ip_whitelist: ['10.0.0.1'] });
    expect(await codeOf(() => it.policy.disallow({ network: '10.0.0.2' }))).toBe('NETWORK_NOT_LISTED');
    expect(await codeOf(() => it.policy.allow({ network: '10.0.0.2/8' }))).toBe('POLICY_INVALID');
    expect((await it.policy.whitelist()).items).toEqual(['10.0.0.1']);
  });

  test('refuses what would shut out everybody who is there, unless that is meant', async () => {
    await using it = await room();
    it.surroundings = { isPublic: true, clients: ['203.0.113.1', '203.0.113.2'] };
    const error = await errorOf(() => it.policy.allow({ network: '10.0.0.0/8' }));
    expect(error).toMatchObject({ code: 'POLICY_LOCKS_OUT', meta: { clients: '203.0.113.1, 203.0.113.2' } });
    expect(it.policy.current()?.version).toBe(1);
    // One of them stays.
    expect((await it.policy.allow({ network: '203.0.113.1' })).warnings).toEqual([
      { path: '/ip_whitelist', message: 'shuts out 1 of 2 addresses that used FLM lately: 203.0.113.2' },
    ]);
    await it.policy.allow({ network: '10.0.0.0/8' });
    expect(await codeOf(() => it.policy.disallow({ network: '203.0.113.1' }))).toBe('POLICY_LOCKS_OUT');
    const { warnings } = await it.policy.disallow({ network: '203.0.113.1', force: true });
    expect(warnings.map(({ message }) => message).join()).toContain('nobody from there gets in');
    // Whoever is shut out loses nothing by one more entry.
    expect((await it.policy.allow({ network: '192.168.0.0/16' })).items).toHaveLength(2);
  });
});

test('what is asked for every request costs next to nothing', async () => {
  await using it = await room();
  const { current } = it.policy;
  const fromMs = performance.now();
  let seen = 0;
  for (let n = 0; n < 1_000_000; n++) if (current() !== null) seen++;
  expect(seen).toBe(1_000_000);
  // A thousandth of a millisecond each, on a machine that has other things to do.
  expect(performance.now() - fromMs).toBeLessThan(1_000);
});
