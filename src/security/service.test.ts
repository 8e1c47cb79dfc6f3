/** Abuse protection on a real database: what a restart keeps, what strangers can fill, who is never touched. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Databases, openDatabases, securitySchema } from '../../db';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { often } from '../../test/support/often';
import { codeOf, errorOf } from '../../test/support/thrown';
import { createAudit, createAuditStore } from '../audit';
import type { RefusalReason, Visit } from '../contract';
import { actingAs } from '../lib/actor';
import { createBus, type EventOf } from '../lib/bus';
import { type ManualClock, manualClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { silentLog } from '../lib/log';
import type { PolicyDocument } from '../policy';
import { createSecurity, type Security } from './service';
import { createSecurityStore, type SecurityStore } from './store';

const HOUR_MS = 3_600_000;

setDefaultTimeout(60_000);

let data: TestDir;
let db: Databases;
let clock: ManualClock;
let security: Security;
let document: PolicyDocument;
let store: SecurityStore;
let clients: string[];
let told: EventOf<'security.ban'>[];
let closeAudit: () => Promise<void>;

async function open(bounds?: { standings: number; bans: number }): Promise<void> {
  db = await openDatabases({ paths: data.paths, env: data.env, clock, lockWaitMs: 0 });
  const audit = await createAudit({ store: createAuditStore(db.config, db.security), clock, log: silentLog });
  closeAudit = audit.close;
  const bus = createBus();
  told = [];
  bus.subscribe('security.ban', (event) => told.push(event));
  store = createSecurityStore(db.security, audit.inSecurityDb);
  let current = { version: 1, document };
  security = createSecurity({
    admitStranger() {},
    clients: () => clients,
    store,
    policy: () => {
      if (current.document !== document) current = { version: current.version + 1, document };
      return current;
    },
    isExposed: () => true,
    clock,
    bus,
    log: silentLog,
    tarpitMs: 1,
    machine: () => ({ cpu: null, memory: null, freeBytes: null }),
    ...(bounds === undefined ? {} : { bounds }),
  });
  security.start();
}

async function close(): Promise<void> {
  security.close();
  await closeAudit();
  db.close();
}

async function restart(): Promise<void> {
  await close();
  await open();
}

beforeEach(async () => {
  data = testDir();
  clock = manualClock();
  document = {};
  clients = [];
  await open();
});

afterEach(async () => {
  await close();
  data[Symbol.dispose]();
});

let requests = 0;
function visit(ip: string, target = '/v1/models', headers: Record<string, string> = {}): Visit {
  return {
    id: `request-${++requests}`,
    ip,
    request: new Request(`http://flm.example${target}`, { headers }),
    certificate: null,
  };
}

/** What the gateway does with a request of somebody without a valid key. Returns the status. */
function knock(
  ip: string,
  target: string,
  reason: RefusalReason,
  headers: Record<string, string> = {},
): number {
  const visiting = visit(ip, target, headers);
  let status = target.startsWith('/v1/') ? 401 : 404;
  try {
    security.screen.arrive(visiting);
    if (status === 401) security.screen.stranger(visiting, reason);
  } catch (error) {
    status = error instanceof FlmError ? error.status : 500;
  }
  void security.screen.hold(visiting, status);
  return status;
}

const guess = (ip: string) =>
  knock(ip, '/v1/models', 'invalid_or_revoked_api_key', { authorization: `Bearer ${++requests}` });

function guessUntilBanned(ip: string): void {
  for (let n = 0; n < 5; n++) guess(ip);
}

describe('a restart', () => {
  test('takes nobody past the failures that lead to a ban', async () => {
    const slip = (n: number) =>
      knock('203.0.113.44', '/v1/models', 'mistyped_api_key', { authorization: `Bearer ${n}` });
    for (let n = 0; n < 9; n++) expect(slip(n)).toBe(401);
    await restart();
    const after = Array.from({ length: 4 }, (_, n) => slip(100 + n));
    expect(after).toEqual([401, 401, 403, 403]);
  });

  test('keeps bans of both kinds, and what addresses did', async () => {
    guessUntilBanned('203.0.113.1');
    for (let n = 0; n < 4; n++) knock('203.0.113.2', `/.env`, 'missing_authorization_header');
    await security.api.ban({ ip: '198.51.100.0/24', reason: 'noise', for_s: 3_600 });
    await restart();
    expect((await security.api.bans({})).items).toMatchObject([
      { ip: '198.51.100.0/24', automatic: false, reason: 'noise', blocked_by: 'flm' },
      { ip: '203.0.113.1', automatic: true, reason: '5 failed authentications', failure_count: 5 },
    ]);
    expect(await security.api.standing('203.0.113.2')).toMatchObject({ intrusion_score: 40 });
    clock.advance(HOUR_MS);
    expect((await security.api.bans({})).items).toEqual([]);
    await restart();
    // Half an hour the first time; a day, since it was banned before.
    guessUntilBanned('203.0.113.1');
    const [ban] = (await security.api.bans({})).items;
    const lengthMs = Date.parse(ban?.blocked_until ?? '') - Date.parse(ban?.blocked_at ?? '');
    expect(lengthMs).toBe(24 * HOUR_MS);
  });

  test('after somebody set the clock back makes no ban end early or late', async () => {
    guessUntilBanned('203.0.113.1');
    clock.advance(10 * 60_000);
    clock.setWall(clock.nowMs() - 1_000 * HOUR_MS);
    await restart();
    clock.advance(20 * 60_000 - 1);
    expect((await security.api.standing('203.0.113.1')).blocked).not.toBeNull();
    clock.advance(1);
    expect((await security.api.standing('203.0.113.1')).blocked).toBeNull();
  });
});

test('what commands did while another process had the database is known afterwards', async () => {
  guessUntilBanned('203.0.113.1');
  guessUntilBanned('203.0.113.2');
  security.stop();
  const other = createSecurity({
    admitStranger() {},
    clients: () => clients,
    store,
    policy: () => ({ version: 1, document: {} }),
    isExposed: () => false,
    clock,
    bus: createBus(),
    log: silentLog,
  });
  await other.api.unban('203.0.113.1');
  await other.api.ban({ ip: '198.51.100.1' });
  security.start();
  const { items } = await security.api.bans({});
  expect(items.map(({ ip }) => ip).sort()).toEqual(['198.51.100.1', '203.0.113.2']);
  expect(guess('198.51.100.1')).toBe(403);
});

describe('who cannot be banned', () => {
  test.each(['127.0.0.1', '127.0.0.0/8', '::1', '::ffff:127.0.0.1'])('%s', async (ip) => {
    expect(await codeOf(() => security.api.ban({ ip }))).toBe('INVALID_INPUT');
  });

  test('the owner who asks, wherever they come from', async () => {
    const actor = {
      kind: 'operator',
      id: 's',
      via: 'tcp',
      requestId: null,
      traceId: null,
      ip: '203.0.113.9',
    } as const;
    expect(await codeOf(() => actingAs(actor, () => security.api.ban({ ip: '203.0.113.0/24' })))).toBe(
      'INVALID_INPUT',
    );
    expect(await actingAs(actor, () => security.api.ban({ ip: '203.0.112.0/24' }))).toMatchObject({
      blocked_by: 's',
    });
  });

  test('whoever the policy lists', async () => {
    document = { ip_blocklist: { never: ['203.0.113.0/24'] } };
    expect(await codeOf(() => security.api.ban({ ip: '203.0.113.9' }))).toBe('INVALID_INPUT');
  });

  test('this machine, whatever is tried from it', () => {
    for (let n = 0; n < 50; n++) expect(guess('127.0.0.1')).toBe(401);
    for (let n = 0; n < 50; n++) expect(knock('::1', `/.env`, 'missing_authorization_header')).toBe(404);
  });
});

describe('the owner', () => {
  test('bans and lifts; what is not banned is said so, with the wider ban that holds', async () => {
    await security.api.ban({ ip: '203.0.113.0/24' });
    expect(guess('203.0.113.77')).toBe(403);
    const error = await errorOf(() => security.api.unban('203.0.113.77'));
    expect(error).toMatchObject({
      code: 'BAN_NOT_FOUND',
      hint: expect.stringContaining('unblock 203.0.113.0/24'),
    });
    expect(await security.api.unban('203.0.113.5/24')).toEqual({
      ip: '203.0.113.0/24',
      unblocked: true,
      still_blocked_by: null,
    });
    expect(guess('203.0.113.77')).toBe(401);
    await Promise.resolve();
    expect(told.map(({ state, network }) => `${state} ${network}`)).toEqual([
      'banned 203.0.113.0/24',
      'lifted 203.0.113.0/24',
    ]);
  });

  test('is told of the wider ban that holds on, unless the policy frees the address of it', async () => {
    await security.api.ban({ ip: '203.0.113.0/24' });
    await security.api.ban({ ip: '203.0.113.50' });
    expect(await security.api.unban('203.0.113.50')).toMatchObject({ still_blocked_by: '203.0.113.0/24' });
    expect(guess('203.0.113.50')).toBe(403);
    document = { ip_blocklist: { never: ['203.0.113.51'] } };
    await security.api.ban({ ip: '203.0.113.52' });
    clock.advance(1_000);
    expect(await security.api.unban('203.0.113.0/24')).toMatchObject({ still_blocked_by: null });
  });

  test('writes networks by the book', async () => {
    const error = await errorOf(() => security.api.ban({ ip: '203.0.113.9/24' }));
    expect(error).toMatchObject({ code: 'INVALID_INPUT', meta: { field: 'ip' } });
    expect(error.message).toContain('the network is 203.0.113.0/24, the address alone 203.0.113.9');
    expect((await security.api.bans({})).items).toEqual([]);
  });

  test('bans no network that FLM is used from, nor half the world, unless that is meant', async () => {
    clients = ['203.0.113.1', '203.0.113.2', '2001:db8::1'];
    const error = await errorOf(() => security.api.ban({ ip: '203.0.113.0/24' }));
    expect(error.code).toBe('BAN_LOCKS_OUT');
    expect(error.message).toContain('203.0.113.1, 203.0.113.2');
    expect(error.message).not.toContain('2001:db8');
    for (const ip of ['2001:db8::/32', '64.0.0.0/7', '2000::/15', '0.0.0.0/0', '::/0'])
      expect(await codeOf(() => security.api.ban({ ip }))).toBe('BAN_LOCKS_OUT');
    expect((await security.api.bans({})).items).toEqual([]);
    // One address is meant, whoever uses it; of networks without clients, those of a common size.
    for (const ip of ['203.0.113.1', '2001:db8::1', '64.0.0.0/8', '2002::/16', '198.51.100.0/24'])
      await security.api.ban({ ip });
    expect(security.wideBans()).toEqual([]);
    await security.api.ban({ ip: '0.0.0.0/0', force: true });
    expect(security.wideBans()).toEqual(['0.0.0.0/0']);
    expect(guess('192.0.2.1')).toBe(403);
  });

  test('may ban around clients for whom no ban holds, or who are banned already', async () => {
    clients = ['203.0.113.1', '203.0.113.2'];
    document = { ip_blocklist: { never: ['203.0.113.1'] } };
    guess('192.0.2.1');
    await security.api.ban({ ip: '203.0.113.2' });
    expect(await security.api.ban({ ip: '203.0.113.0/24' })).toMatchObject({ ip: '203.0.113.0/24' });
  });

  test('clears what would end by itself, and nothing else', async () => {
    guessUntilBanned('203.0.113.1');
    await security.api.ban({ ip: '198.51.100.1', for_s: 60 });
    await security.api.ban({ ip: '198.51.100.2' });
    expect(await security.api.clearBans()).toEqual({ cleared: true, lifted: 2, kept: 1 });
    expect(guess('203.0.113.1')).toBe(401);
    await restart();
    expect((await security.api.bans({})).items.map(({ ip }) => ip)).toEqual(['198.51.100.2']);
  });

  test('a change that cannot be written is not made', async () => {
    db.pause();
    const error = await security.api.ban({ ip: '198.51.100.2' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(guess('198.51.100.2')).toBe(401);
    db.resume(0);
  });

  test('pages through bans and signals by cursor', async () => {
    for (let n = 0; n < 7; n++) {
      clock.advance(n % 2);
      await security.api.ban({ ip: `198.51.100.${n}` });
      knock(`203.0.113.${n}`, '/.env', 'missing_authorization_header');
    }
    const pages = async <Row>(read: (cursor?: string) => Promise<{ items: Row[]; next: string | null }>) => {
      const rows: Row[] = [];
      let page = await read();
      for (;;) {
        rows.push(...page.items);
        if (page.next === null) return rows;
        page = await read(page.next);
      }
    };
    const bans = await pages((cursor) =>
      security.api.bans({ limit: 3, ...(cursor === undefined ? {} : { cursor }) }),
    );
    expect(new Set(bans.map(({ ip }) => ip)).size).toBe(7);
    expect(bans).toHaveLength(7);
    const seen = await pages((cursor) =>
      security.api.intrusions({ limit: 2, ...(cursor === undefined ? {} : { cursor }) }),
    );
    expect(seen.map(({ ip }) => ip)).toEqual([6, 5, 4, 3, 2, 1, 0].map((n) => `203.0.113.${n}`));
    const offset = await security.api.intrusions({ limit: 2, offset: 5 });
    expect(offset.items.map(({ ip }) => ip)).toEqual(['203.0.113.1', '203.0.113.0']);
    for (const cursor of ['x', '1.2.3', '']) {
      expect(await codeOf(() => security.api.bans({ cursor }))).toBe('INVALID_INPUT');
    }
  });
});

describe('what strangers can fill', () => {
  const bytes = () =>
    readdirSync(data.dir)
      .filter((name) => name.startsWith('security.db'))
      .reduce((sum, name) => sum + statSync(join(data.dir, name)).size, 0);

  test('refusals of 1,000 addresses, 100 of each by test/slow, take less than 1 MB', async () => {
    await restart();
    const before = bytes();
    for (let n = 0; n < often(20, 100); n++) {
      for (let host = 0; host < 1_000; host++) {
        const ip = `10.${host >> 8}.${host & 255}.1`;
        if (n % 2 === 0) guess(ip);
        else knock(ip, `/.env`, 'missing_authorization_header');
      }
      clock.advance(1_000);
      security.stop();
      security.start();
    }
    expect((await security.api.bans({ limit: 1_000 })).items).toHaveLength(1_000);
    await close();
    const grown = bytes() - before;
    await open();
    console.log(`      security.db has grown by ${Math.round(grown / 1_000)} kB`);
    expect(grown).toBeLessThan(1_000_000);
  });

  test('any number of sources takes a bounded room, in memory and on disk', async () => {
    await close();
    await open({ standings: 5_000, bans: 1_000 });
    for (let n = 0; n < often(30_000, 100_000); n++) {
      const ip = `${11 + (n >> 18)}.${(n >> 10) & 255}.${(n >> 2) & 255}.${n & 3}`;
      guess(ip);
      if (n % 10 === 0)
        for (let again = 0; again < 5; again++) knock(ip, '/.git/config', 'missing_authorization_header');
    }
    const stats = await security.api.stats();
    expect(stats.addresses).toBeLessThanOrEqual(5_000);
    expect(stats.blocked_ips.automatic).toBeLessThanOrEqual(1_000);
    for (let n = 0; n < 50; n++) {
      security.stop();
      security.start();
    }
    const rows = db.security.select().from(securitySchema.ipStandings).all().length;
    expect(rows).toBeLessThanOrEqual(20_000);
    expect(db.security.select().from(securitySchema.securitySignals).all().length).toBeLessThanOrEqual(200);
  });

  test('more bans than there is room for leave none on disk that is not in memory', async () => {
    await close();
    await open({ standings: 5_000, bans: 200 });
    for (let n = 0; n < 1_000; n++) guessUntilBanned(`10.1.${n >> 8}.${n & 255}`);
    for (let n = 0; n < 5; n++) {
      security.stop();
      security.start();
    }
    const kept = new Set((await security.api.bans({ limit: 1_000 })).items.map(({ ip }) => ip));
    const rows = store.load().bans.map(({ network }) => network);
    expect(rows.sort()).toEqual([...kept].sort());
  });

  test('the same again and again is one row, which says how often', async () => {
    for (let n = 0; n < 5; n++) knock('203.0.113.1', '/.env', 'missing_authorization_header');
    clock.advance(11 * 60_000);
    knock('203.0.113.1', '/.env', 'missing_authorization_header');
    const { items } = await security.api.intrusions({ ip: '203.0.113.1' });
    expect(items.map(({ repeated }) => repeated)).toEqual([4, 0]);
    expect((await security.api.stats()).last_24h.by_kind.honeypot).toBe(6);
  });
});

describe('a disk that is full', () => {
  test('loses nothing that still counts: it is written once there is room', async () => {
    db.pause();
    guessUntilBanned('203.0.113.1');
    security.stop();
    expect(guess('203.0.113.1')).toBe(403);
    db.resume(0);
    security.start();
    security.stop();
    expect(store.load().bans.map(({ network }) => network)).toEqual(['203.0.113.1']);
  });
});

test('a policy that cannot be read lets nobody in', async () => {
  const screen = createSecurity({
    admitStranger() {},
    clients: () => clients,
    store,
    policy: () => null,
    isExposed: () => false,
    clock,
    bus: createBus(),
    log: silentLog,
  }).screen;
  for (const ip of ['127.0.0.1', '203.0.113.1']) {
    expect(await codeOf(() => screen.arrive(visit(ip, '/health')))).toBe('POLICY_UNREADABLE');
  }
});

test('on loopback alone nothing is on but what the owner has switched on', async () => {
  let isExposed = false;
  const other = createSecurity({
    admitStranger() {},
    clients: () => clients,
    store,
    policy: () => policy,
    isExposed: () => isExposed,
    clock,
    bus: createBus(),
    log: silentLog,
  });
  const policy = { version: 1, document: {} };
  const tries = (ip: string) => {
    for (let n = 0; n < 30; n++)
      other.screen.stranger(
        visit(ip, '/v1/models', { authorization: `Bearer ${n}` }),
        'invalid_or_revoked_api_key',
      );
  };
  tries('203.0.113.1');
  expect((await other.api.stats()).features.ip_blocklist).toBe('automatic-off');
  // A listener is opened to others: it is on within a second.
  isExposed = true;
  clock.advance(1_000);
  expect(() => tries('203.0.113.1')).toThrow('This address may not use FLM.');
  other.close();
});
