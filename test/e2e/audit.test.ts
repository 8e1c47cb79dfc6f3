/**
 * The audit log of the executable: each change has its row and each row its change wherever the power goes, a follower
 * misses nothing, and whoever changes the log behind FLM's back is found out.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabases, securitySchema } from '../../db';
import type { AuditEntry, AuditReport } from '../../src/audit';
import { createAudit, createAuditStore } from '../../src/audit';
import { manualClock, systemClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import type { Env } from '../../src/lib/paths';
import { edit, rewriteFrom, type TestChain } from '../support/audit-chain';
import type { TestDir } from '../support/data-dir';
import {
  dataOf,
  errorOf,
  executable,
  flm,
  leftovers,
  parseResult,
  remember,
  startFlm,
} from '../support/executable';
import { testHome } from '../support/home';
import { collect, firstLine } from '../support/output';

setDefaultTimeout(120_000);
afterAll(() => expect(leftovers()).toEqual([]));

const LOG = ['security', 'audit-logs'] as const;

async function rows(env: Env, ...words: string[]): Promise<AuditEntry[]> {
  const list = (await dataOf(env, [...LOG, 'list', '--limit', '1000', ...words])) as { items: AuditEntry[] };
  return list.items.toReversed();
}

const verified = async (env: Env, ...words: string[]) =>
  (await dataOf(env, [...LOG, 'verify', ...words])) as AuditReport;

/** Opens the databases while no FLM runs, as somebody can who holds their key. */
async function behindItsBack(home: TestDir, work: (chain: TestChain) => void | Promise<void>): Promise<void> {
  const { paths, env } = home;
  const db = await openDatabases({ paths, env, clock: systemClock, lockWaitMs: 5_000 });
  const store = createAuditStore(db.config, db.security);
  const audit = await createAudit({ store, clock: systemClock, log: silentLog });
  const writer = store.heads()[0]?.writer ?? '';
  try {
    const dispose = async () => {};
    await work({
      data: home,
      db,
      store,
      audit,
      clock: manualClock(),
      writer,
      [Symbol.asyncDispose]: dispose,
    });
  } finally {
    db.close();
  }
}

/** Every key that is there, and every key that is on record as made. */
async function expectKeysAndRowsAgree(home: TestDir): Promise<number> {
  let there: string[] = [];
  await behindItsBack(home, ({ db }) => {
    there = db.security
      .select()
      .from(securitySchema.apiKeys)
      .all()
      .map(({ id }) => `key:${id}`);
  });
  const made = await rows(home.env, '--event-type', 'key.created');
  expect(made.map(({ target }) => target ?? '').sort()).toEqual(there.sort());
  return there.length;
}

describe('kill -9', () => {
  test('of commands in the middle of changes leaves no change without a row, and no row without a change', async () => {
    using home = testHome();
    const { env } = home;
    remember(env);
    await dataOf(env, ['api-keys', 'create', '--label', 'first']);
    const program = await executable();
    let survived = 0;
    for (let n = 0; n < 60; n++) {
      const words =
        n % 2 === 0
          ? ['api-keys', 'create', '--label', `key ${n}`]
          : ['config', 'set', 'proxy.stream_timeout_ms', String(1_000_000 + n)];
      const child = Bun.spawn([program, ...words], { env, stdout: 'ignore', stderr: 'ignore' });
      // From before it has opened anything to after it is done.
      const timer = setTimeout(() => child.kill('SIGKILL'), 20 + n * 3);
      if ((await child.exited) === 0) survived++;
      clearTimeout(timer);
    }
    const keys = await expectKeysAndRowsAgree(home);
    const settings = await rows(env, '--event-type', 'config.set');
    expect(await dataOf(env, ['config', 'get', 'proxy.stream_timeout_ms'])).toMatchObject({
      value: settings.at(-1)?.details?.value,
    });
    // Each tells of what the one before it set.
    for (const [index, { details }] of settings.entries())
      expect(details?.before).toEqual(settings[index - 1]?.details?.value ?? null);
    expect(await verified(env)).toMatchObject({ ok: true });
    console.log(
      `      ${keys} keys and ${settings.length} settings on record, ${survived} of 60 commands survived`,
    );
    expect(survived).toBeGreaterThan(0);
    expect(survived).toBeLessThan(60);
  });

  test('of FLM in the middle of changes, too; the next start tells of it', async () => {
    using home = testHome();
    const { env } = home;
    for (let crash = 0; crash < 3; crash++) {
      await using running = await startFlm(env);
      const ending = new AbortController();
      const create = async () => {
        while (!ending.signal.aborted) await flm(env, ['api-keys', 'create', '--label', 'x']);
      };
      const work = Promise.all([create(), create()]);
      await Bun.sleep(250 + crash * 60);
      await running.stop('SIGKILL');
      ending.abort();
      await work;
      await expectKeysAndRowsAgree(home);
      expect(await verified(env)).toMatchObject({ ok: true });
    }
    await using running = await startFlm(env);
    const told = (await rows(env, '--event-type', 'flm')).map(({ type }) => type);
    expect(told).toEqual([
      'flm.started',
      'flm.crashed',
      'flm.started',
      'flm.crashed',
      'flm.started',
      'flm.crashed',
      'flm.started',
    ]);
    expect(await running.stop()).toBe(0);
    expect((await rows(env)).at(-1)).toMatchObject({
      type: 'flm.stopped',
      actor: { kind: 'system', id: 'flm' },
    });
  });
});

describe('each change', () => {
  test('is on record with who made it and by which door, and no secret', async () => {
    using home = testHome();
    const { env } = home;
    const offline = (await dataOf(env, ['api-keys', 'create', '--label', 'offline'])) as {
      id: string;
      plain_key: string;
    };
    await using running = await startFlm(env);
    const live = (await dataOf(env, ['api-keys', 'create', '--label', 'live'])) as {
      id: string;
      plain_key: string;
    };
    const engine = [
      '--kind',
      'openai',
      '--url',
      'http://127.0.0.1:9',
      '--id',
      'x',
      '--key-env',
      'ENGINE_KEY',
    ];
    await dataOf({ ...env, ENGINE_KEY: 'sk-very-secret-0123456789' }, ['engines', 'add', ...engine]);
    await dataOf(env, ['config', 'set', 'log.level', 'warn']);
    await dataOf(env, ['config', 'unset', 'log.level']);
    await dataOf(env, ['models', 'alias', 'set', 'small', 'm']);
    await dataOf(env, ['models', 'strategy', 'set', 'small', 'highest-score']);
    await dataOf(env, ['models', 'strategy', 'unset', 'small']);
    await dataOf(env, ['models', 'alias', 'remove', 'small']);
    await dataOf(env, ['engines', 'remove', 'x']);
    await dataOf(env, ['api-keys', 'rotate', live.id]);
    await dataOf(env, ['api-keys', 'revoke', offline.id]);
    const all = await rows(env);
    expect(all.map(({ type, target, actor }) => `${type} ${target} ${actor.id}/${actor.via}`)).toEqual([
      `key.created key:${offline.id} owner/offline`,
      expect.stringMatching(/^proxy\.started proxy:proxy-\d+ flm\/inside$/),
      'flm.started null flm/inside',
      `key.created key:${live.id} owner/socket`,
      'engine.added engine:x owner/socket',
      'config.set setting:log.level owner/socket',
      'config.unset setting:log.level owner/socket',
      'model.alias_set model:small owner/socket',
      'model.strategy_set model:small owner/socket',
      'model.strategy_unset model:small owner/socket',
      'model.alias_removed model:small owner/socket',
      'engine.removed engine:x owner/socket',
      `key.rotated key:${live.id} owner/socket`,
      expect.stringMatching(/^key\.created key:\w{8} owner\/socket$/),
      `key.revoked key:${offline.id} owner/socket`,
    ]);
    for (const { request_id, type } of all)
      expect({ type, known: request_id !== null }).toEqual({
        type,
        known: !/^(flm|proxy)\.started$/.test(type),
      });
    const text = JSON.stringify(all);
    for (const secret of ['sk-very', offline.plain_key.slice(12), live.plain_key.slice(12)])
      expect(text).not.toContain(secret);
    expect(await running.stop()).toBe(0);
    expect(await verified(env)).toMatchObject({ ok: true, rows: all.length + 1 });
  });
});

describe('watch', () => {
  test('misses nothing and repeats nothing while FLM is stopped and started', async () => {
    using home = testHome();
    const { env } = home;
    expect((await errorOf(env, [...LOG, 'watch'])).code).toBe('PROXY_NOT_RUNNING');
    const first = await startFlm(env);
    const child = Bun.spawn([await executable(), ...LOG, 'watch', '--json'], {
      env,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const out = collect(child.stdout);
    const err = collect(child.stderr);
    const seen = () =>
      out
        .text()
        .split('\n')
        .slice(0, -1)
        .map((line) => parseResult(`${line}\n`) as AuditEntry);
    const until = (type: string, count: number) =>
      out.until((text) => text.split(`"type":"${type}"`).length > count);
    await until('flm.started', 1);
    await dataOf(env, ['api-keys', 'create', '--label', 'a']);
    await until('key.created', 2);
    expect(await first.stop()).toBe(0);
    await err.until((text) => text.includes('Waiting'));
    await dataOf(env, ['api-keys', 'create', '--label', 'while it is away']);
    await using second = await startFlm(env);
    await dataOf(env, ['api-keys', 'create', '--label', 'b']);
    await until('key.created', 4);
    child.kill('SIGINT');
    expect(await child.exited).toBe(130);
    const all = await rows(env);
    expect(seen().map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq));
    expect(await second.stop()).toBe(0);
  });

  test('ends when nobody reads any more', async () => {
    using home = testHome();
    const { env } = home;
    await using running = await startFlm(env);
    const shell = Bun.spawn(
      ['bash', '-c', `set -o pipefail; "${await executable()}" ${LOG.join(' ')} watch --json | head -1`],
      { env, stdout: 'pipe', stderr: 'pipe' },
    );
    // The shell keeps its end open until both have ended.
    expect(parseResult(`${await firstLine(collect(shell.stdout))}\n`)).toBeObject();
    await dataOf(env, ['config', 'set', 'log.level', 'warn']);
    await dataOf(env, ['config', 'set', 'log.level', 'info']);
    expect(await shell.exited).toBe(0);
    expect(await running.stop()).toBe(0);
  });
});

describe('somebody who holds the keys', () => {
  test('and edits a row is told, with FLM running and without', async () => {
    using home = testHome();
    const { env } = home;
    for (const label of ['a', 'b', 'c']) await dataOf(env, ['api-keys', 'create', '--label', label]);
    await behindItsBack(home, (chain) => edit(chain, 2, 'detailsJson', '{"label":"harmless"}'));
    const check = async () => {
      const { code, stdout } = await flm(env, [...LOG, 'verify']);
      expect({ code, report: parseResult(stdout) }).toMatchObject({
        code: 1,
        report: { ok: false, findings: [{ seq: 2, problem: 'edited' }] },
      });
    };
    await check();
    await using running = await startFlm(env);
    await check();
    const text = await flm(env, [...LOG, 'verify', '--format', 'text']);
    expect(text.stdout).toContain('✗ Row 2 is not as it was written.');
    expect(await running.stop()).toBe(0);
  });

  test('and writes everything anew is caught by a checkpoint that was kept elsewhere, and by nothing else', async () => {
    using home = testHome();
    using elsewhere = testHome();
    const { env } = home;
    const file = join(elsewhere.dir, 'checkpoint.json');
    for (const label of ['a', 'b', 'c']) await dataOf(env, ['api-keys', 'create', '--label', label]);
    await dataOf(env, [...LOG, 'checkpoint', '--output', file]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(Object.keys(JSON.parse(readFileSync(file, 'utf8'))).sort()).toEqual([
      'at',
      'hash',
      'seq',
      'writer',
    ]);
    // An older checkpoint is never written over.
    expect(await errorOf(env, [...LOG, 'checkpoint', '--output', file])).toMatchObject({
      code: 'INVALID_INPUT',
      exit: 1,
    });
    expect(await verified(env, '--checkpoint', file)).toMatchObject({
      ok: true,
      checkpoint: { seq: 4, matches: true },
      unprotected: { rows: 0 },
    });
    await dataOf(env, ['config', 'set', 'log.level', 'warn']);
    expect(await verified(env, '--checkpoint', file)).toMatchObject({ ok: true, unprotected: { rows: 1 } });

    await behindItsBack(home, (chain) => {
      rewriteFrom(chain, 2, { detailsJson: '{"label":"harmless"}' });
      chain.db.config.$client.exec('DELETE FROM audit_witnesses');
    });
    expect(await verified(env)).toMatchObject({ ok: true, rows: 5 });
    const caught = await flm(env, [...LOG, 'verify', '--checkpoint', file]);
    expect({ code: caught.code, report: parseResult(caught.stdout) }).toMatchObject({
      code: 1,
      report: {
        ok: false,
        checkpoint: { seq: 4, matches: false },
        findings: [{ seq: 4, problem: 'rewritten' }],
      },
    });
    // What a command printed is as good as the file.
    writeFileSync(file, JSON.stringify({ version: '1.0', data: JSON.parse(readFileSync(file, 'utf8')) }));
    expect((await flm(env, [...LOG, 'verify', '--checkpoint', file])).code).toBe(1);
    writeFileSync(file, '{}');
    expect(await errorOf(env, [...LOG, 'verify', '--checkpoint', file])).toMatchObject({
      code: 'INVALID_INPUT',
    });
    expect(await errorOf(env, [...LOG, 'verify', '--checkpoint', `${file}.not`])).toMatchObject({
      code: 'IO_ERROR',
    });
  });
});

describe('export', () => {
  test('is the same from a running FLM and without one, to a file of the owner alone or to stdout', async () => {
    using home = testHome();
    const { env } = home;
    for (const label of ['=1+1', 'b']) await dataOf(env, ['api-keys', 'create', '--label', label]);
    const file = join(home.dir, 'audit.csv');
    await dataOf(env, [...LOG, 'export', '--format', 'csv', '--event-type', 'key', '--output', file]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const csv = readFileSync(file, 'utf8');
    expect(csv.split('\r\n')).toHaveLength(4);
    const printed = await flm(env, [...LOG, 'export', '--event-type', 'key']);
    const { items } = (JSON.parse(printed.stdout) as { data: { items: AuditEntry[] } }).data;
    expect(items.map(({ seq }) => seq)).toEqual([1, 2]);

    await using running = await startFlm(env);
    expect((await flm(env, [...LOG, 'export', '--format=csv', '--event-type', 'key.created'])).stdout).toBe(
      csv,
    );
    expect((await flm(env, [...LOG, 'export', '--event-type', 'key'])).stdout).toBe(printed.stdout);
    expect((await errorOf(env, [...LOG, 'export', '--format', 'xml'])).code).toBe('INVALID_INPUT');
    const nowhere = join(home.dir, 'nowhere', 'x.csv');
    expect((await errorOf(env, [...LOG, 'export', '--output', nowhere])).code).toBe('IO_ERROR');
    expect(existsSync(nowhere)).toBe(false);
    expect(await running.stop()).toBe(0);
  });
});

describe('erase', () => {
  test('takes an address out, and is on record', async () => {
    using home = testHome();
    const { env } = home;
    expect(await dataOf(env, [...LOG, 'erase', '--ip', '203.0.113.7'])).toEqual({ rows: 0 });
    expect(await rows(env)).toMatchObject([{ type: 'audit.erased', details: { rows: 0 } }]);
    expect((await errorOf(env, [...LOG, 'erase', '--ip', 'x'])).code).toBe('INVALID_INPUT');
  });
});
