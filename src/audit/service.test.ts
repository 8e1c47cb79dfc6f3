/** The audit chain as a room: written with the change or not at all, once, in order, found again, followed, and checked. */
import { describe, expect, test } from 'bun:test';
import { copyFileSync } from 'node:fs';
import { configSchema, openDatabases, securitySchema } from '../../db';
import {
  attacked,
  fill,
  moveHead,
  put,
  rewriteFrom,
  type TestChain,
  testChain,
  truncate,
} from '../../test/support/audit-chain';
import { testDir } from '../../test/support/data-dir';
import type { AuditEvent } from '../contract';
import { actingAs } from '../lib/actor';
import { manualClock } from '../lib/clock';
import { type Log, silentLog } from '../lib/log';
import type { AuditEntry } from './model';
import { createAudit } from './service';
import { createAuditStore } from './store';

const event = (target: string, more: Partial<AuditEvent> = {}): AuditEvent => ({
  type: 'config.set',
  severity: 'low',
  target,
  details: null,
  ...more,
});

const targets = async ({ audit }: TestChain) =>
  (await audit.list({ limit: 1_000 })).items.map(({ target }) => target).reverse();

const from = (ip: string | null) =>
  ({ kind: 'owner', id: 'owner', via: 'tcp', requestId: 'req-1', traceId: 'trace-1', ip }) as const;

describe('a change of security.db', () => {
  test('is on record when it is made, with who made it', async () => {
    await using chain = await testChain();
    const { audit, db, clock } = chain;
    actingAs(from('::ffff:192.0.2.1'), () =>
      db.security.transaction(() =>
        audit.inSecurityDb.write(
          event('key:a', { type: 'key.created', severity: 'medium', details: { label: 'x' } }),
        ),
      ),
    );
    expect((await audit.list({})).items).toEqual([
      {
        seq: 1,
        writer: chain.writer,
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        at: new Date(clock.nowMs()).toISOString(),
        type: 'key.created',
        severity: 'medium',
        actor: { kind: 'owner', id: 'owner', via: 'tcp' },
        target: 'key:a',
        ip: '192.0.2.1',
        request_id: 'req-1',
        trace_id: 'trace-1',
        details: { label: 'x' },
        previous_hash: '00'.repeat(32),
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
  });

  test('that is undone leaves no row, and no gap', async () => {
    await using chain = await testChain();
    const { audit, db } = chain;
    const write = (target: string, fails: boolean) =>
      db.security.transaction(() => {
        audit.inSecurityDb.write(event(target));
        if (fails) throw new Error('undo');
      });
    write('a', false);
    expect(() => write('b', true)).toThrow('undo');
    write('c', false);
    expect(await targets(chain)).toEqual(['a', 'c']);
    expect(await audit.verify({})).toMatchObject({ ok: true, rows: 2 });
  });

  test('cannot be put on record beside its transaction', async () => {
    await using chain = await testChain();
    expect(() => chain.audit.inSecurityDb.write(event('a'))).toThrow('bug');
    expect(() => chain.audit.inConfigDb.write(event('a'))).toThrow('bug');
    expect(await targets(chain)).toEqual([]);
  });

  test('fails when it cannot be put on record, and says so', async () => {
    await using chain = await testChain();
    const { audit, db } = chain;
    db.security.$client.exec(
      "CREATE TRIGGER full BEFORE INSERT ON audit_logs BEGIN SELECT RAISE(ABORT, 'no room'); END",
    );
    const change = () =>
      db.security.transaction((tx) => {
        const row = { engineId: 'e', secret: 's', updatedAtMs: 1 };
        tx.insert(securitySchema.engineCredentials).values(row).run();
        audit.inSecurityDb.write(event('engine:e'));
      });
    expect(change).toThrow('cannot be put on record, so it was not made');
    expect(db.security.select().from(securitySchema.engineCredentials).all()).toEqual([]);
  });

  test('never puts a secret on record', async () => {
    await using chain = await testChain();
    const secret = `flm_Ab12Cd34${'x'.repeat(38)}`;
    await chain.audit.record(
      event('a', { details: { note: `key ${secret}`, token: 'abc', nested: { password: 'p' } } }),
    );
    const [entry] = (await chain.audit.list({})).items;
    expect(entry?.details).toEqual({
      note: 'key flm_Ab12Cd34[redacted]',
      token: '[redacted]',
      nested: { password: '[redacted]' },
    });
  });
});

describe('a change of config.db', () => {
  const change = ({ audit, db }: TestChain, target: string) =>
    db.config.transaction(() => audit.inConfigDb.write(event(target)));
  const waiting = ({ db }: TestChain) => db.config.select().from(configSchema.auditOutbox).all().length;

  test('is in the chain right after it is made', async () => {
    await using chain = await testChain();
    actingAs(from('192.0.2.9'), () => change(chain, 'a'));
    expect(waiting(chain)).toBe(1);
    await Promise.resolve();
    expect(waiting(chain)).toBe(0);
    expect((await chain.audit.list({})).items).toMatchObject([
      { target: 'a', ip: '192.0.2.9', actor: { via: 'tcp' }, request_id: 'req-1' },
    ]);
  });

  test('that is undone leaves nothing', async () => {
    await using chain = await testChain();
    const { db } = chain;
    expect(() =>
      db.config.transaction(() => {
        chain.audit.inConfigDb.write(event('a'));
        throw new Error('undo');
      }),
    ).toThrow('undo');
    expect(await targets(chain)).toEqual([]);
  });

  test('gets into the chain once, wherever the power went', async () => {
    await using chain = await testChain();
    const { db, store, writer } = chain;
    for (const target of ['a', 'b']) change(chain, target);
    // The rows were added, and the outbox has not learnt of it.
    const left = db.config.select().from(configSchema.auditOutbox).all();
    await Promise.resolve();
    db.config.insert(configSchema.auditOutbox).values(left).run();
    // And one was never added at all.
    change(chain, 'c');
    const again = await createAudit({ store, clock: chain.clock, log: silentLog });
    expect(await targets(chain)).toEqual(['a', 'b', 'c']);
    expect(waiting(chain)).toBe(0);
    expect(await again.verify({})).toMatchObject({ ok: true, rows: 3, chains: [{ writer }] });
  });

  test('waits while the chain cannot be written to, and is told of once', async () => {
    await using chain = await testChain();
    const { db, store, clock } = chain;
    db.security.$client.exec(
      "CREATE TRIGGER full BEFORE INSERT ON audit_logs BEGIN SELECT RAISE(ABORT, 'no room'); END",
    );
    const errors: string[] = [];
    const log: Log = { ...silentLog, error: (message) => void errors.push(message) };
    const audit = await createAudit({ store, clock, log });
    for (const target of ['a', 'b']) {
      db.config.transaction(() => audit.inConfigDb.write(event(target)));
      await Promise.resolve();
    }
    expect(errors).toEqual(['changes wait to be added to the audit chain']);
    db.security.$client.exec('DROP TRIGGER full');
    await audit.list({});
    expect(await targets(chain)).toEqual(['a', 'b']);
    await audit.close();
  });

  test('that cannot be read is left where it is, and holds up no other', async () => {
    await using chain = await testChain();
    chain.db.config
      .insert(configSchema.auditOutbox)
      .values([{ eventJson: '{' }, { eventJson: '{"id":""}' }])
      .run();
    change(chain, 'a');
    expect(await targets(chain)).toEqual(['a']);
    expect(waiting(chain)).toBe(2);
  });

  const draft = {
    id: 'x',
    atMs: 1,
    type: 'config.set',
    severity: 'low',
    actorKind: 'owner',
    actorId: 'owner',
    via: 'tcp',
    target: 'b',
    requestId: null,
    traceId: null,
    detailsJson: null,
    personalJson: null,
  };

  test.each([
    ['no JSON', '{'],
    ['a time that is none', JSON.stringify({ ...draft, atMs: 1e300 })],
    ['half a character', JSON.stringify({ ...draft, target: '\ud800' })],
  ])(
    'gets into the chain past 1,200 rows of somebody else with %s, and verify tells',
    async (_what, text) => {
      await using chain = await testChain();
      const { db, store, clock, writer } = chain;
      const rows = Array.from({ length: 600 }, () => ({ eventJson: text }));
      db.config.insert(configSchema.auditOutbox).values(rows).run();
      // Numbers that JavaScript cannot tell apart.
      db.config.$client
        .prepare(
          'INSERT INTO audit_outbox (id, event_json) SELECT 9007199254740992 + id, event_json FROM audit_outbox',
        )
        .run();
      const errors: string[] = [];
      const log: Log = { ...silentLog, error: (message) => void errors.push(message) };
      const audit = await createAudit({ store, clock, log });
      for (const target of ['a', 'b']) db.config.transaction(() => audit.inConfigDb.write(event(target)));
      await Promise.resolve();
      expect(await targets(chain)).toEqual(['a', 'b']);
      expect(waiting(chain)).toBe(1_200);
      const message =
        '1200 changes wait in config.db and cannot be added, the first in row 1 of audit_outbox.';
      for (let n = 0; n < 2; n++)
        expect(await audit.verify({})).toMatchObject({
          ok: false,
          rows: 2,
          findings: [{ writer, seq: null, problem: 'waiting', message }],
        });
      expect(errors).toEqual([expect.stringContaining('cannot take')]);
      await audit.close();
    },
  );

  test('that no row can hold is left where it is, one by one', async () => {
    await using chain = await testChain();
    const { store, writer } = chain;
    const drafts = ['a', 'b', 'c'].map((id) => ({ ...draft, id, atMs: id === 'b' ? 1e300 : 1 }));
    expect(store.addMissing(writer, drafts).map(({ id }) => id)).toEqual(['b']);
    expect((await chain.audit.list({})).items.map(({ id }) => id)).toEqual(['c', 'a']);
    expect(await chain.audit.verify({})).toMatchObject({ ok: true, rows: 2 });
  });

  test('that waits for another process to add it is no finding for a moment', async () => {
    await using chain = await testChain();
    const { db, audit, clock } = chain;
    db.security.$client.exec(
      "CREATE TRIGGER full BEFORE INSERT ON audit_logs BEGIN SELECT RAISE(ABORT, 'no room'); END",
    );
    change(chain, 'a');
    await Promise.resolve();
    expect(await audit.verify({})).toMatchObject({ ok: true });
    clock.advance(10_000);
    expect(await audit.verify({})).toMatchObject({ ok: false, findings: [{ problem: 'waiting' }] });
    db.security.$client.exec('DROP TRIGGER full');
    expect(await audit.verify({})).toMatchObject({ ok: true, rows: 1 });
  });
});

describe('the list', () => {
  test('shows every row once, newest first, page by page', async () => {
    await using chain = await testChain();
    fill(chain, 655);
    const seen: number[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await chain.audit.list({ limit: 230, ...(cursor == null ? {} : { cursor }) });
      seen.push(...page.items.map(({ seq }) => seq));
      cursor = page.next;
    } while (cursor !== null);
    expect(seen).toEqual(Array.from({ length: 655 }, (_, n) => 655 - n));
  });

  test('ends where the rows end, also when they just fill it', async () => {
    await using chain = await testChain();
    fill(chain, 10);
    expect((await chain.audit.list({ limit: 10 })).next).toBeNull();
    expect((await chain.audit.list({ limit: 9 })).next).not.toBeNull();
  });

  test.each([
    [{ type: 'key.created' }, (n: number) => n % 2 === 1],
    [{ type: 'key' }, (n: number) => n % 2 === 1],
    [{ type: 'ke' }, () => false],
    [{ severity: 'high' }, (n: number) => n % 10 === 0],
    [{ actor: 'owner' }, () => true],
    [{ actor: 'own' }, () => false],
    [{ target: 'thing:7' }, (n: number) => n % 100 === 7],
    [{ ip: '::ffff:192.0.2.6' }, (n: number) => n % 3 === 0 && n % 250 === 6],
    [{ type: 'config', severity: 'high' }, (n: number) => n % 10 === 0],
  ] as const)('finds %p', async (query, matches) => {
    await using chain = await testChain();
    fill(chain, 300);
    const { items } = await chain.audit.list({ ...query, limit: 1_000 });
    const expected = Array.from({ length: 300 }, (_, n) => 300 - n).filter((n) => matches(n));
    expect(items.map(({ seq }) => seq)).toEqual(expected);
  });

  test('finds what lies between two times', async () => {
    await using chain = await testChain();
    fill(chain, 10);
    const all = (await chain.audit.list({})).items;
    const at = (seq: number) => all.find((entry) => entry.seq === seq)?.at ?? '';
    const { items } = await chain.audit.list({ since: at(3), until: at(6) });
    expect(items.map(({ seq }) => seq)).toEqual([5, 4, 3]);
  });

  test('looks at so many rows at once, and goes on until it has found the last one', async () => {
    await using chain = await testChain();
    const { audit, store } = chain;
    await actingAs(from('198.51.100.7'), () => audit.record(event('the first')));
    fill(chain, 4_500);
    const nothing = { type: null, severity: null, actor: null, target: null, sinceMs: null, untilMs: null };
    const filter = { ...nothing, ip: '198.51.100.7' };
    expect(store.newest(filter, null, 10)).toMatchObject({ rows: [], next: { seq: 2_502 } });
    expect(store.oldest(filter, { writer: chain.writer, seq: 1 }, null, 10)).toMatchObject({
      rows: [],
      next: { seq: 2_001 },
    });
    expect((await audit.list({ ip: '198.51.100.7' })).items.map(({ seq }) => seq)).toEqual([1]);
    const entries = audit.follow({ ip: '198.51.100.7' }, null, new AbortController().signal);
    expect((await entries.next()).value).toMatchObject({ seq: 1 });
    await entries.return(undefined);
    let file = '';
    for await (const piece of await audit.export({ ip: '198.51.100.7' }, 'json')) file += piece;
    expect(JSON.parse(file).items).toMatchObject([{ seq: 1 }]);
  });

  test.each([
    [{ cursor: 'x' }, 'cursor'],
    [{ ip: '1.2.3' }, 'ip'],
    [{ since: 'yesterday' }, 'since'],
  ] as const)('refuses %p', async (query, field) => {
    await using chain = await testChain();
    await expect(chain.audit.list(query)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(field),
    });
  });
});

describe('erasing an address', () => {
  test('takes it out of every row and every file, and the chain holds', async () => {
    await using chain = await testChain();
    const { audit, db } = chain;
    fill(chain, 800);
    const rows = (await audit.list({ ip: '192.0.2.6', limit: 1_000 })).items.length;
    expect(rows).toBeGreaterThan(1);
    expect(await actingAs(from('192.0.2.6'), () => audit.erase({ ip: '::ffff:192.0.2.6' }))).toEqual({
      rows,
    });
    expect((await audit.list({ ip: '192.0.2.6' })).items).toEqual([]);
    expect((await audit.list({ ip: '192.0.2.9' })).items).not.toEqual([]);
    expect((await audit.list({ limit: 1 })).items).toMatchObject([
      { type: 'audit.erased', severity: 'high', ip: null, details: { rows: rows + 1 } },
    ]);
    expect(db.security.$client.serialize().includes('"192.0.2.6"')).toBe(false);
    expect(await audit.verify({})).toMatchObject({ ok: true, rows: 801, erased: rows + 1 });
  });

  test('that is not on record is found', async () => {
    await using chain = await testChain();
    fill(chain, 9);
    const sql = 'UPDATE audit_logs SET personal_json = NULL, personal_salt = NULL WHERE seq = 3';
    const { ok, findings } = await attacked(
      chain,
      () => chain.db.security.$client.exec(sql),
      () => chain.audit.verify({}),
    );
    expect({ ok, findings }).toEqual({
      ok: false,
      findings: [
        { writer: chain.writer, seq: null, problem: 'erased', message: expect.stringContaining('of 1 rows') },
      ],
    });
  });

  test('refuses what is no address', async () => {
    await using chain = await testChain();
    await expect(chain.audit.erase({ ip: 'everybody' })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(await targets(chain)).toEqual([]);
  });
});

describe('a checkpoint', () => {
  test('covers the rows before it, and tells how many have come since', async () => {
    await using chain = await testChain();
    const { audit, clock } = chain;
    fill(chain, 5);
    const checkpoint = await audit.checkpoint();
    expect(checkpoint).toMatchObject({ writer: chain.writer, seq: 6 });
    expect(await audit.verify(checkpoint)).toMatchObject({
      ok: true,
      checkpoint: { seq: 6, matches: true },
      unprotected: { rows: 0, since: null, last_checkpoint: { seq: 6, at: checkpoint.at } },
    });
    clock.advance(60_000);
    const since = new Date(clock.nowMs()).toISOString();
    await audit.record(event('a'));
    await audit.record(event('b'));
    const unprotected = { rows: 2, since, last_checkpoint: { seq: 6, at: checkpoint.at } };
    expect(await audit.verify(checkpoint)).toMatchObject({ ok: true, unprotected });
    // Without it at hand, the one on record tells as much.
    expect(await audit.verify({})).toMatchObject({ ok: true, checkpoint: null, unprotected });
  });

  test('tells of a chain that was written anew by somebody with the keys', async () => {
    await using chain = await testChain();
    const { audit, writer } = chain;
    fill(chain, 20);
    const checkpoint = await audit.checkpoint();
    fill(chain, 5);
    const forgetWitness = () => chain.db.config.delete(configSchema.auditWitnesses).run();
    await attacked(
      chain,
      () => rewriteFrom(chain, 7, { target: 'thing:else' }),
      async () => {
        forgetWitness();
        // By itself it holds together.
        expect(await audit.verify({})).toMatchObject({ ok: true, rows: 26 });
        expect(await audit.verify(checkpoint)).toMatchObject({
          ok: false,
          checkpoint: { seq: 21, matches: false },
          findings: [{ writer, seq: 21, problem: 'rewritten' }],
        });
      },
    );
  });

  test('tells of a chain that was cut off behind it, and of one that is another', async () => {
    await using chain = await testChain();
    const { audit } = chain;
    fill(chain, 20);
    const checkpoint = await audit.checkpoint();
    const cut = () => {
      truncate(chain, 10);
      moveHead(chain);
      chain.db.config.delete(configSchema.auditWitnesses).run();
    };
    expect(await attacked(chain, cut, () => audit.verify(checkpoint))).toMatchObject({
      ok: false,
      findings: [{ seq: 10, problem: 'truncated' }],
    });
    await using other = await testChain();
    expect(await other.audit.verify(checkpoint)).toMatchObject({
      ok: false,
      checkpoint: { matches: false },
      findings: [{ writer: checkpoint.writer, seq: null, problem: 'rewritten' }],
    });
  });

  test('has to be whole', async () => {
    await using chain = await testChain();
    await expect(chain.audit.verify({ seq: 5 })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

describe('a security.db that was put back to an earlier day', () => {
  test('is noticed, also after it has grown again', async () => {
    using data = testDir();
    const { paths, env } = data;
    const clock = manualClock();
    const errors: string[] = [];
    const log: Log = { ...silentLog, error: (message) => void errors.push(message) };
    async function run(work: (audit: Awaited<ReturnType<typeof createAudit>>) => Promise<void>) {
      const db = await openDatabases({ paths, env, clock, lockWaitMs: 0 });
      const audit = await createAudit({ store: createAuditStore(db.config, db.security), clock, log });
      await work(audit);
      await audit.close();
      db.close();
    }
    await run(async (audit) => audit.record(event('a')));
    copyFileSync(paths.securityDb, `${paths.securityDb}.old`);
    await run(async (audit) => audit.record(event('what somebody wants to be forgotten')));
    copyFileSync(`${paths.securityDb}.old`, paths.securityDb);
    expect(errors).toEqual([]);
    await run(async (audit) => {
      expect(errors).toEqual([expect.stringContaining('not the one it was')]);
      expect(await audit.verify({})).toMatchObject({
        ok: false,
        findings: [{ seq: 2, problem: 'truncated' }],
      });
      await audit.record(event('b'));
      await audit.record(event('c'));
      expect(await audit.verify({})).toMatchObject({
        ok: false,
        findings: [{ seq: 2, problem: 'rewritten' }],
      });
    });
    // What config.db remembers is not made to fit.
    await run(async (audit) => {
      expect((await audit.verify({})).ok).toBe(false);
    });
  });
});

describe('a chain whose head was taken away', () => {
  test('stays as evidence, and another one begins', async () => {
    await using chain = await testChain();
    const { db, store, clock, writer } = chain;
    fill(chain, 3);
    db.security.delete(securitySchema.auditHeads).run();
    const audit = await createAudit({ store, clock, log: silentLog });
    await audit.record(event('later'));
    const report = await audit.verify({});
    expect(report.findings).toMatchObject([{ writer, seq: 4, problem: 'truncated' }]);
    expect(report.chains.map(({ rows }) => rows)).toEqual([3, 1]);
    expect((await audit.list({})).items.map(({ target }) => target)).toEqual([
      'later',
      'thing:3',
      'thing:2',
      'thing:1',
    ]);
    await audit.close();
    // The other head would be looked for in vain when this chain is closed.
    db.security
      .insert(securitySchema.auditHeads)
      .values({ writer, seq: 3, hash: Buffer.alloc(32) })
      .run();
  });
});

describe('rows of a writer that is not this installation', () => {
  test.each(['', 'a b', '~', 'x'.repeat(150)])('"%s" are listed, examined and found', async (writer) => {
    await using chain = await testChain();
    const { audit, db } = chain;
    fill(chain, 3);
    put({ ...chain, writer }, 1, Buffer.alloc(32));
    put({ ...chain, writer }, 2, Buffer.alloc(32));
    const report = await audit.verify({});
    expect(report.ok).toBe(false);
    expect(report.findings).toMatchObject([{ writer }]);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await audit.list({ limit: 1, ...(cursor === null ? {} : { cursor }) });
      seen.push(...page.items.map((entry) => `${entry.seq}${entry.writer === writer ? '!' : ''}`));
      cursor = page.next;
    } while (cursor !== null);
    expect(seen.sort()).toEqual(['1', '1!', '2', '2!', '3']);
    const entries = audit.follow({ limit: 9 }, null, new AbortController().signal);
    for (const seq of [1, 2, 3])
      expect((await entries.next()).value).toMatchObject({ seq, writer: chain.writer });
    await entries.return(undefined);
    expect(db.security.select().from(securitySchema.auditLogs).all()).toHaveLength(5);
  });

  test('are found also when they are a chain that holds', async () => {
    await using chain = await testChain();
    const { audit, db, store } = chain;
    fill(chain, 3);
    const head = { writer: '0', seq: 0, hash: Buffer.alloc(32) };
    db.security.insert(securitySchema.auditHeads).values(head).run();
    const draft = store.page(chain.writer, 2, 1)[0];
    if (draft === undefined) throw new Error('no row');
    await store.add('0', { ...draft, id: 'another' });
    expect(await audit.verify({})).toMatchObject({
      ok: false,
      findings: [{ writer: '0', seq: null, problem: 'foreign', message: expect.stringContaining('"0"') }],
    });
    // An erasure that is on record in one chain goes through both.
    expect(await audit.erase({ ip: '192.0.2.3' })).toEqual({ rows: 2 });
    const { findings, erased } = await audit.verify({});
    expect([erased, findings.map(({ problem }) => problem)]).toEqual([2, ['foreign']]);
  });
});

describe('following', () => {
  async function take(entries: AsyncGenerator<AuditEntry | null>, count: number): Promise<(number | null)[]> {
    const seen: (number | null)[] = [];
    while (seen.length < count) {
      const { value, done } = await entries.next();
      if (done === true) break;
      seen.push(value?.seq ?? null);
    }
    return seen;
  }

  test('tells some of the newest rows, then each new one', async () => {
    await using chain = await testChain();
    const { audit } = chain;
    fill(chain, 300);
    const ending = new AbortController();
    const entries = audit.follow({ limit: 3 }, null, ending.signal);
    expect(await take(entries, 3)).toEqual([298, 299, 300]);
    const next = take(entries, 2);
    await audit.record(event('a'));
    chain.db.config.transaction(() => audit.inConfigDb.write(event('b')));
    expect(await next).toEqual([301, 302]);
    const rest = entries.next();
    ending.abort();
    expect(await rest).toEqual({ done: true, value: undefined });
  });

  test('goes on after the row that was seen last, and passes over what does not match', async () => {
    await using chain = await testChain();
    fill(chain, 450);
    const entries = chain.audit.follow({ severity: 'high' }, 30, new AbortController().signal);
    expect(await take(entries, 42)).toEqual(Array.from({ length: 42 }, (_, n) => 40 + n * 10));
    await entries.return(undefined);
  });

  test('begins anew for somebody who has seen another chain', async () => {
    await using chain = await testChain();
    fill(chain, 5);
    const entries = chain.audit.follow({ limit: 2 }, 900, new AbortController().signal);
    expect(await take(entries, 2)).toEqual([4, 5]);
    await entries.return(undefined);
  });

  test('says that there is nothing to say', async () => {
    await using chain = await testChain(1);
    const ending = new AbortController();
    expect(await take(chain.audit.follow({}, null, ending.signal), 2)).toEqual([null, null]);
  });
});

describe('a start', () => {
  test('tells of the one before that has not ended well', async () => {
    await using chain = await testChain();
    const { audit } = chain;
    await audit.started({ pid: 1 });
    await audit.record(event('x'));
    await audit.started({ pid: 2 });
    await audit.record({ type: 'flm.stopped', severity: 'low', target: null, details: null });
    await audit.started({ pid: 3 });
    const { items } = await audit.list({ type: 'flm' });
    expect(items.map(({ type }) => type).reverse()).toEqual([
      'flm.started',
      'flm.crashed',
      'flm.started',
      'flm.stopped',
      'flm.started',
    ]);
    expect(items.find(({ type }) => type === 'flm.crashed')?.details).toEqual({
      started_at: items.at(-1)?.at,
    });
  });
});
