/** The screen by itself: what a machine at its limit, a bad score and a limit of addresses do to whom. */
import { describe, expect, test } from 'bun:test';
import { codeOf, errorOf } from '../../test/support/thrown';
import type { Visit } from '../contract';
import { createBus } from '../lib/bus';
import { manualClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { silentLog } from '../lib/log';
import type { PolicyDocument } from '../policy';
import { createBans } from './bans';
import { isHoneypot } from './honeypots';
import { createJournal } from './journal';
import type { Watch } from './resources';
import { type AdmitStranger, createScreen } from './screen';
import { createStandings } from './standing';
import type { Batch, SecurityStore } from './store';
import { createTarpit } from './tarpit';

interface Parts {
  readonly document?: PolicyDocument;
  readonly scarce?: Watch['scarce'];
  readonly admitStranger?: AdmitStranger;
  readonly maxHeld?: number;
}

function screenWith({ document = {}, scarce = null, admitStranger = () => {}, maxHeld = 2 }: Parts = {}) {
  const clock = manualClock();
  const batches: Batch[] = [];
  let failing = 0;
  const store: SecurityStore = {
    load: () => ({ bans: [], standings: [] }),
    write(batch) {
      if (failing > 0) {
        failing--;
        throw new Error('the disk is full');
      }
      batches.push(batch);
    },
    signals: () => [],
    counts: () => [],
  };
  const policy = { version: 1, document };
  const journal = createJournal({
    store,
    clock,
    log: silentLog,
    recordFrom: () => screen.rules()?.recordFrom ?? 'low',
    beforeFlush() {},
  });
  const tarpit = createTarpit({ delayMs: 60_000, maxHeld });
  const screen = createScreen({
    policy: () => policy,
    isExposed: () => true,
    bans: createBans(clock, 100),
    standings: createStandings(100),
    journal,
    watch: { scarce, look: () => null },
    tarpit,
    admitStranger,
    clock,
    bus: createBus(),
  });
  return {
    screen,
    journal,
    tarpit,
    clock,
    batches,
    fail(times: number) {
      failing = times;
    },
  };
}

let ids = 0;
function visit(target: string, ip = '203.0.113.1', headers: Record<string, string> = {}): Visit {
  const request = new Request(`http://flm.example${target}`, { headers });
  return { id: String(++ids), ip, request, certificate: null };
}

describe('a machine at its limit (FLM-115)', () => {
  test('takes nothing new, and says when to come again; its probes are answered', async () => {
    const { screen } = screenWith({ scarce: 'memory' });
    for (const ip of ['203.0.113.1', '127.0.0.1']) {
      const error = await errorOf(() =>
        screen.arrive(visit('/v1/models', ip, { authorization: 'Bearer x' })),
      );
      expect(error).toMatchObject({
        code: 'RESOURCE_THROTTLE',
        status: 503,
        meta: { retryAfterSeconds: 10 },
      });
      expect(error.message).toContain('memory');
      for (const probe of ['/health', '/ready']) expect(screen.arrive(visit(probe, ip))).toBeUndefined();
    }
  });

  test('does so only where the policy wants it', () => {
    const { screen } = screenWith({ scarce: 'CPU', document: { resource_protection: { enabled: false } } });
    expect(screen.arrive(visit('/v1/models'))).toBeUndefined();
  });
});

describe('the limit of an address', () => {
  test('is asked for those who are not recognised, and only for them', async () => {
    const asked: string[] = [];
    const { screen } = screenWith({
      admitStranger({ ip }) {
        asked.push(ip);
        if (ip === '203.0.113.1') throw new FlmError('RATE_LIMITED', { meta: { retryAfterSeconds: 7 } });
      },
    });
    screen.arrive(visit('/v1/models'));
    screen.known(visit('/v1/models'));
    expect(asked).toEqual([]);
    const error = await errorOf(() => screen.stranger(visit('/v1/models'), 'missing_authorization_header'));
    expect(error).toMatchObject({ code: 'RATE_LIMITED', meta: { retryAfterSeconds: 7 } });
    expect(
      screen.stranger(visit('/v1/models', '203.0.113.2'), 'missing_authorization_header'),
    ).toBeUndefined();
  });

  test('is smaller for an address with a bad score (FLM-110)', () => {
    const shares: number[] = [];
    const { screen } = screenWith({
      admitStranger: (_, share) => void shares.push(share),
      // So that the scores alone are looked at.
      document: { ip_blocklist: { enabled: false }, intrusion_detection: { score_threshold: 10_000 } },
    });
    const ask = () => screen.stranger(visit('/v1/models'), 'missing_authorization_header');
    ask();
    for (let n = 0; n < 5; n++) screen.hold(visit('/.env'), 404);
    ask();
    for (let n = 0; n < 5; n++) screen.hold(visit('/.env'), 404);
    ask();
    expect(shares).toEqual([1, 0.75, 0.5]);
  });
});

describe('the tarpit', () => {
  const walk = (screen: ReturnType<typeof screenWith>['screen'], ip: string, times: number) =>
    Array.from({ length: times }, () => screen.hold(visit('/.env', ip), 404));

  test('keeps back answers to those with a bad score, a few at once, and lets all go at the end', async () => {
    const { screen, tarpit } = screenWith({ maxHeld: 3 });
    const held = walk(screen, '203.0.113.1', 9).filter((promise) => promise !== null);
    // From half of the score for a ban on, and never more than there is room for.
    expect(held).toHaveLength(3);
    expect(tarpit.held).toBe(3);
    expect(walk(screen, '203.0.113.2', 9).every((promise) => promise === null)).toBe(true);
    tarpit.close();
    await Promise.all(held);
    expect(tarpit.held).toBe(0);
    expect(tarpit.hold()).toBeNull();
  });

  test('holds nobody whose score is good, and nobody on this machine', () => {
    const { screen, tarpit } = screenWith();
    expect(screen.hold(visit('/v1/models'), 401)).toBeNull();
    expect(walk(screen, '127.0.0.1', 20).every((promise) => promise === null)).toBe(true);
    tarpit.close();
  });
});

test('a whitelist refuses what is no address, too', async () => {
  const { screen } = screenWith({ document: { ip_whitelist: ['10.0.0.0/8'] } });
  expect(await codeOf(() => screen.arrive(visit('/v1/models', 'unknown')))).toBe('IP_NOT_ALLOWED');
  expect(screen.arrive(visit('/v1/models', '10.1.1.1'))).toBeUndefined();
  expect(screen.arrive(visit('/v1/models', '::1'))).toBeUndefined();
});

test('what is below the level of the policy is counted and not put on record (FLM-117)', () => {
  const { screen, journal, batches, tarpit } = screenWith({ document: { log_level: 'high' } });
  screen.hold(visit('/.env'), 404);
  screen.hold(visit("/?id=1'", '203.0.113.2'), 404);
  journal.flush();
  expect(batches.flatMap(({ signals }) => signals.map(({ pattern }) => pattern))).toEqual([
    'honeypot_access',
    'sql_injection',
  ]);
  expect(batches.flatMap(({ entries }) => entries.map(({ event }) => event.type))).toEqual([
    'security.intrusion',
  ]);
  tarpit.close();
});

test('what cannot be written waits, and after five failures the disk is left alone for a minute (FLM-111)', () => {
  const { screen, journal, batches, fail, tarpit, clock } = screenWith();
  screen.hold(visit('/.env'), 404);
  fail(5);
  for (let n = 0; n < 5; n++) expect(journal.flush()).toBe(false);
  clock.advance(59_999);
  expect(journal.flush()).toBe(false);
  expect(batches).toEqual([]);
  clock.advance(1);
  expect(journal.flush()).toBe(true);
  expect(batches).toHaveLength(1);
  expect(batches[0]?.signals).toHaveLength(1);
  tarpit.close();
});

test('secrets in a path or User-Agent are not kept', () => {
  const { screen, journal, batches, tarpit } = screenWith();
  const key = `flm_Ab12Cd34${'x'.repeat(38)}`;
  screen.hold(visit(`/.git/config/${key}?key=${key}`, '203.0.113.1', { 'user-agent': `nikto ${key}` }), 404);
  journal.flush();
  const written = JSON.stringify(batches);
  expect(written).toContain('/.git/config/');
  expect(written).not.toContain(key);
  tarpit.close();
});

describe('honeypots', () => {
  test.each([
    ['/.env', true],
    ['/.ENV', true],
    ['//.env', true],
    ['/.env/', true],
    ['/wp-login.php', true],
    ['/wp-admin', true],
    ['/phpmyadmin', true],
    ['/phpMyAdmin-4.9/index.php', true],
    ['/pma2/', true],
    ['/cgi-bin/luci', true],
    ['/actuator', true],
    ['/pmarket', false],
    ['/', false],
    ['/health', false],
    ['/v1/.env', false],
    ['/v1/models/.git/config', false],
    ['/environment', false],
    ['/api/tags', false],
    ['/favicon.ico', false],
  ])('%s: %p', (path, expected) => {
    expect(isHoneypot(path)).toBe(expected);
  });
});
