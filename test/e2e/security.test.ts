/**
 * Abuse protection of the executable: who guesses keys or walks through honeypots is banned within 20 requests and still is
 * after a restart; sqlmap too; the owner sees and lifts it, whether FLM runs or not; a valid key is served all along.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { RefusalList } from '../../src/activity';
import { makeKey } from '../../src/admission/key-format';
import type { AddressStanding, BanList, IntrusionList, SecurityStats } from '../../src/security';
import { dataOf, errorOf, flm, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isMissing, lacksProgram } from '../support/missing';

setDefaultTimeout(120_000);

const POLICY = {
  ip_blocklist: { enabled: true },
  intrusion_detection: { enabled: true },
  anomaly_detection: { enabled: true },
};

// Strangers come through a reverse proxy on this machine, which tells where they are.
const home = testHome({ FLM_PROXY_TRUSTED_PROXIES: '127.0.0.1' });
const { env } = home;
let running: RunningFlm;
let key: string;

beforeAll(async () => {
  running = await startFlm(env);
  key = running.key;
  await dataOf(env, ['security', 'policy', 'set', '--json', JSON.stringify(POLICY), '--format', 'json']);
});

afterAll(async () => {
  await running.stop('SIGKILL');
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

async function statusAt(target: string, ip: string, authorization: string | null = null): Promise<number> {
  const response = await fetch(`${running.url}${target}`, {
    headers: {
      'x-forwarded-for': ip,
      'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0',
      ...(authorization === null ? {} : { authorization: `Bearer ${authorization}` }),
    },
  });
  await response.body?.cancel();
  return response.status;
}

/** Requests until one is refused because of its address. */
async function untilBanned(request: (n: number) => Promise<number>): Promise<number> {
  for (let n = 1; n <= 30; n++) if ((await request(n)) === 403) return n;
  return Number.POSITIVE_INFINITY;
}

const blocklist = (...words: string[]) => dataOf(env, ['security', 'ip-blocklist', ...words]);
const standing = async (ip: string) => (await blocklist('show', ip)) as AddressStanding;

const GUESSER = '198.51.100.1';
const SITE = '2001:db8:5:5::/64';
const WALKER = '198.51.100.2';
const HONEYPOTS = [
  '/.env',
  '/.git/config',
  '/wp-login.php',
  '/phpmyadmin/',
  '/actuator/env',
  '/server-status',
];

test('scanners are banned within 20 requests, and a valid key is served', async () => {
  const found = {
    guesser: await untilBanned(() => statusAt('/v1/models', GUESSER, makeKey().plain)),
    site: await untilBanned((n) => statusAt('/v1/models', `2001:db8:5:5::${n}`, makeKey().plain)),
    walker: await untilBanned((n) => statusAt(HONEYPOTS[n % HONEYPOTS.length] ?? '/.env', WALKER)),
  };
  expect(found).toEqual({ guesser: 6, site: 6, walker: 11 });
  for (const ip of [GUESSER, WALKER, '2001:db8:5:5::ffff']) {
    expect(await statusAt('/v1/models', ip)).toBe(403);
    expect(await statusAt('/v1/models', ip, key)).toBe(200);
  }
});

test('they still are after a restart, also after one that nobody saw coming', async () => {
  // What was banned is on disk within a second.
  await Bun.sleep(1_000);
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await running.stop(signal);
    running = await startFlm(env);
    for (const ip of [GUESSER, WALKER, '2001:db8:5:5::1']) expect(await statusAt('/v1/models', ip)).toBe(403);
    expect(await statusAt('/v1/models', GUESSER, key)).toBe(200);
  }
});

test('the owner sees who it is and why', async () => {
  const { items } = (await blocklist('list')) as BanList;
  expect(items.map(({ ip }) => ip).sort()).toEqual([GUESSER, WALKER, SITE].sort());
  expect(await standing(GUESSER)).toMatchObject({
    blocked: {
      automatic: true,
      reason: '5 failed authentications',
      permanent_block: false,
    },
  });
  const intrusions = (await dataOf(env, [
    'security',
    'intrusion',
    '--ip',
    WALKER,
    '--min-score',
    '10',
  ])) as IntrusionList;
  expect(intrusions.items[0]).toMatchObject({ pattern: 'honeypot_access', ip: WALKER, method: 'GET' });
  const stats = (await dataOf(env, ['security', 'stats'])) as SecurityStats;
  expect(stats).toMatchObject({ features: { ip_blocklist: 'on' }, blocked_ips: { automatic: 3 } });
  expect(await dataOf(env, ['security', 'anomaly', '--limit', '5', '--offset', '0'])).toMatchObject({
    next: null,
  });
  const text = await flm(env, ['security', 'ip-blocklist', 'list', '--format', 'text']);
  expect(text.stdout).toContain(WALKER);
});

test('the owner bans and lifts while FLM runs, at once', async () => {
  await blocklist('add', '203.0.113.0/24', '--reason', 'noise', '--for', '1h');
  expect(await statusAt('/v1/models', '203.0.113.9', key)).toBe(403);
  expect(await blocklist('unblock', '203.0.113.0/24')).toEqual({
    ip: '203.0.113.0/24',
    unblocked: true,
    still_blocked_by: null,
  });
  expect(await statusAt('/v1/models', '203.0.113.9', key)).toBe(200);
  expect(await blocklist('unblock', GUESSER)).toEqual({
    ip: GUESSER,
    unblocked: true,
    still_blocked_by: null,
  });
  expect(await statusAt('/v1/models', GUESSER)).toBe(401);
  for (const words of [
    ['add', '127.0.0.1'],
    ['add', 'example.org'],
    ['show', 'x'],
  ])
    expect(await errorOf(env, ['security', 'ip-blocklist', ...words])).toMatchObject({
      code: 'INVALID_INPUT',
      exit: 1,
    });
  expect(await errorOf(env, ['security', 'ip-blocklist', 'unblock', '192.0.2.1'])).toMatchObject({
    code: 'BAN_NOT_FOUND',
  });
});

describe('sqlmap', () => {
  const ip = '198.51.100.77';
  test.skipIf(isMissing('sqlmap against FLM', lacksProgram('sqlmap')))(
    'is banned within 20 requests',
    async () => {
      const scan = Bun.spawn(
        [
          'sqlmap',
          '-u',
          `${running.url}/v1/models?id=1`,
          '--batch',
          '--level=2',
          '--random-agent',
          '--ignore-code=401',
          `--headers=X-Forwarded-For: ${ip}`,
          `--output-dir=${home.dir}/sqlmap`,
        ],
        { stdin: 'ignore', stdout: 'pipe', stderr: 'ignore', env: { ...process.env, HOME: home.dir } },
      );
      const words = await new Response(scan.stdout).text();
      await scan.exited;
      expect(words).toContain('403');
      const { blocked } = await standing(ip);
      expect(blocked).toMatchObject({ automatic: true });
      // What it asked before it was refused because of its address. Counts are written once their minute is over or FLM ends.
      await running.stop('SIGTERM');
      const { items } = (await dataOf(env, ['activity', 'refusals', '--limit', '1000'])) as RefusalList;
      const asked = items.filter(({ source, status }) => source === ip && status !== 403);
      const count = asked.reduce((sum, { requests }) => sum + requests, 0);
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThanOrEqual(20);
      running = await startFlm(env);
      expect(await statusAt('/v1/models', ip, key)).toBe(200);
    },
  );
});

test('offline the owner bans, clears and lifts all the same', async () => {
  await running.stop('SIGTERM');
  const added = await flm(env, ['security', 'ip-blocklist', 'add', '192.0.2.7', '--json']);
  expect(added.code).toBe(0);
  expect(((await blocklist('list')) as BanList).items.map(({ ip }) => ip)).toContain('192.0.2.7');
  const cleared = (await blocklist('clear')) as { lifted: number; kept: number };
  expect(cleared.lifted).toBeGreaterThanOrEqual(2);
  expect(cleared.kept).toBe(1);
  running = await startFlm(env);
  expect(await statusAt('/v1/models', '192.0.2.7', key)).toBe(403);
  expect(await statusAt('/v1/models', WALKER)).toBe(401);
});
