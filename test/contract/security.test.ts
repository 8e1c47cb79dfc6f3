/**
 * Abuse protection through the real gateway: who is refused before a key is looked at and who after, that honest clients
 * never are, and that whoever looks for a way in is banned soon (issue 6: "What it must show", 1 and 2).
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { makeKey } from '../../src/admission/key-format';
import { systemClock } from '../../src/lib/clock';
import { ONION_PEER } from '../../src/listeners/onion';
import { chat, type Gateway, MODEL, startGateway } from './support/gateway';
import { type Answer, ask, headerOf } from './support/raw';
import { asRecord, jsonIn } from './support/sse';

setDefaultTimeout(60_000);

const CHAT = '/v1/chat/completions';
const BANNED = { status: 403, code: 'ip_blocked' };

let gateway: Gateway;
let aheadMs = 0;
beforeAll(async () => {
  const clock = {
    nowMs: () => systemClock.nowMs() + aheadMs,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
  };
  gateway = await startGateway({ isExposed: true, clock });
  await gateway.addFake('openai');
});
afterAll(() => gateway[Symbol.asyncDispose]());

interface From {
  readonly ip: string;
  readonly key?: string | null;
  readonly agent?: string;
  readonly method?: string;
  readonly body?: string;
  readonly more?: readonly (readonly [string, string])[];
}

async function request(
  target: string,
  { ip, key = null, agent = 'curl/8.5.0', method, body, more = [] }: From,
) {
  const headers = [
    ['X-Forwarded-For', ip] as const,
    ['User-Agent', agent] as const,
    ...(key === null ? [] : [['Authorization', `Bearer ${key}`] as const]),
    ...more,
  ];
  return ask(gateway.url, {
    target,
    headers,
    ...(method === undefined ? {} : { method }),
    ...(body === undefined ? {} : { body }),
  });
}

function verdict(answer: Answer) {
  return { status: answer.status, code: asRecord(jsonIn(answer.body.toString())?.error)?.code };
}

let hosts = 0;
const stranger = () => `203.0.113.${++hosts}`;
const wrongKey = () => makeKey().plain;
const standing = (ip: string) => gateway.app.security.standing(ip);

/** Fails to show a key that exists, until the address is banned. Returns how many requests that took. */
async function guess(ip: string, limit = 25): Promise<number> {
  for (let n = 1; n <= limit; n++) {
    const { status } = await request('/v1/models', { ip, key: wrongKey() });
    if (status === 403) return n;
    expect(status).toBe(401);
  }
  return Number.POSITIVE_INFINITY;
}

describe('the order', () => {
  test('a ban by the owner comes before any key', async () => {
    const ip = stranger();
    await gateway.app.security.ban({ ip });
    expect(verdict(await request('/v1/models', { ip, key: gateway.key }))).toEqual(BANNED);
    expect(verdict(await request('/health', { ip }))).toEqual(BANNED);
    await gateway.app.security.unban(ip);
    expect((await request('/v1/models', { ip, key: gateway.key })).status).toBe(200);
  });

  test('an automatic one holds on every path, whatever is shown that is no valid key', async () => {
    const ip = stranger();
    await guess(ip);
    const shown = [['Authorization', 'Basic eDp5'] as const, ['x-api-key', 'x'] as const];
    for (const header of shown)
      expect(verdict(await request('/nope', { ip, more: [header] }))).toEqual(BANNED);
    expect((await request('/nope', { ip, key: gateway.key })).status).toBe(404);
  });

  test('an automatic one comes after it: a valid key is served', async () => {
    const ip = stranger();
    expect(await guess(ip)).toBe(6);
    expect(verdict(await request('/v1/models', { ip }))).toEqual(BANNED);
    expect(verdict(await request('/.env', { ip }))).toEqual(BANNED);
    expect(verdict(await request('/v1/models', { ip, key: wrongKey() }))).toEqual(BANNED);
    expect((await request('/v1/models', { ip, key: gateway.key })).status).toBe(200);
    const body = JSON.stringify(chat(MODEL.openai));
    expect((await request(CHAT, { ip, key: gateway.key, body })).status).toBe(200);
    // Whoever looks after FLM, and browsers that ask whether they may ask, show no key and mean no harm.
    expect((await request('/health', { ip })).status).toBe(200);
    const preflight = [
      ['Origin', 'https://app.example'],
      ['Access-Control-Request-Method', 'POST'],
    ] as const;
    expect((await request(CHAT, { ip, method: 'OPTIONS', more: preflight })).status).toBe(204);
  });

  test('visitors of an onion service, who share an address: guesses shut out guests, never a valid key', async () => {
    const ip = ONION_PEER;
    await guess(ip);
    expect(verdict(await request('/v1/models', { ip }))).toEqual(BANNED);
    expect(verdict(await request('/v1/models', { ip, key: wrongKey() }))).toEqual(BANNED);
    const body = JSON.stringify(chat(MODEL.openai));
    for (let n = 0; n < 5; n++)
      expect((await request(CHAT, { ip, key: gateway.key, body })).status).toBe(200);
    const { items } = await gateway.app.security.bans({});
    expect(items).toContainEqual(expect.objectContaining({ ip: 'fd87:d87e:eb43::/64', automatic: true }));
    await gateway.app.security.unban(ip);
    expect((await request('/v1/models', { ip })).status).toBe(401);
  });

  test('a body of nobody is not looked at, however wrong it is', async () => {
    expect((await request(CHAT, { ip: stranger(), body: '{' })).status).toBe(401);
  });

  test('an address that is not on the whitelist is refused, and this machine never', async () => {
    const [guest, other] = [stranger(), stranger()];
    await gateway.app.policy.set({ document: { ip_whitelist: [guest] } });
    expect((await request('/v1/models', { ip: guest, key: gateway.key })).status).toBe(200);
    expect(verdict(await request('/v1/models', { ip: other, key: gateway.key }))).toEqual({
      status: 403,
      code: 'ip_not_allowed',
    });
    expect((await request('/v1/models', { ip: '127.0.0.1', key: gateway.key })).status).toBe(200);
    await gateway.app.policy.set({ document: {} });
    expect((await request('/v1/models', { ip: other, key: gateway.key })).status).toBe(200);
  });
});

describe('failed authentications (FLM-112)', () => {
  test('[X] attempts while banned count for nothing, and the ban ends by itself', async () => {
    const ip = stranger();
    await guess(ip);
    for (let n = 0; n < 30; n++) await request('/v1/models', { ip, key: wrongKey() });
    const before = await standing(ip);
    expect(before.failure_count).toBe(5);
    expect(before.blocked).toMatchObject({ automatic: true, permanent_block: false });
    aheadMs += 30 * 60_000;
    expect((await request('/v1/models', { ip, key: wrongKey() })).status).toBe(401);
  });

  test('last longer each time: half an hour, a day, until somebody lifts it', async () => {
    const ip = stranger();
    const lengths: (number | null)[] = [];
    for (let ban = 0; ban < 3; ban++) {
      await guess(ip);
      const { blocked } = await standing(ip);
      const ms = Date.parse(blocked?.blocked_until ?? '') - Date.parse(blocked?.blocked_at ?? '');
      lengths.push(Number.isNaN(ms) ? null : ms / 60_000);
      if (blocked?.permanent_block === false) aheadMs += ms;
    }
    expect(lengths).toEqual([30, 1_440, null]);
    await gateway.app.security.unban(ip);
    expect((await standing(ip)).failure_count).toBe(0);
  });

  test('from one IPv6 /64 with changing addresses are those of one', async () => {
    let refused = 0;
    for (let n = 1; n <= 20; n++) {
      const answer = await request('/v1/models', { ip: `2001:db8:7:1::${n.toString(16)}`, key: wrongKey() });
      if (answer.status === 403) refused++;
    }
    expect(refused).toBe(15);
    expect((await request('/v1/models', { ip: '2001:db8:7:2::1', key: wrongKey() })).status).toBe(401);
  });

  test('with an ended key are none: its holder guesses nothing', async () => {
    const ip = stranger();
    const { id, plain_key: key } = await gateway.app.keys.create({ label: 'ended' });
    await gateway.app.keys.revoke(id);
    for (let n = 0; n < 40; n++) expect((await request('/v1/models', { ip, key })).status).toBe(401);
    expect(await standing(ip)).toMatchObject({ failure_count: 0, intrusion_score: 0, blocked: null });
  });

  test('with the same wrong key again count less than other ones', async () => {
    const ip = stranger();
    const key = wrongKey();
    for (let n = 0; n < 8; n++) expect((await request('/v1/models', { ip, key })).status).toBe(401);
    expect((await standing(ip)).failure_count).toBeLessThan(3);
  });
});

describe('the list of those who are never banned (FLM-117)', () => {
  test('wins, and lifts what there is', async () => {
    const ip = stranger();
    await guess(ip);
    expect((await standing(ip)).blocked).not.toBeNull();
    await gateway.app.policy.set({ document: { ip_blocklist: { never: ['203.0.113.0/24'] } } });
    expect((await request('/v1/models', { ip })).status).toBe(401);
    expect(await guess(ip, 20)).toBe(Number.POSITIVE_INFINITY);
    await gateway.app.policy.set({ document: {} });
    expect((await standing(ip)).blocked).toBeNull();
  });
});

describe('a honeypot (FLM-116)', () => {
  test.each(['GET', 'POST', 'HEAD', 'PUT', 'OPTIONS'])(
    'is answered to %s as any unknown path is',
    async (method) => {
      const body = method === 'POST' || method === 'PUT' ? '{"a":1}' : undefined;
      const answerAt = async (target: string, key: string | null) =>
        request(target, { ip: stranger(), key, method, ...(body === undefined ? {} : { body }) });
      const shape = (answer: Answer, target: string) => ({
        status: answer.status,
        headers: answer.headers
          .filter(([name]) => !/^(date|x-request-id|content-length)$/i.test(name))
          .map(([name, value]) => `${name}: ${value}`),
        body: answer.body
          .toString()
          .replaceAll(headerOf(answer, 'x-request-id') ?? '-', 'ID')
          .replaceAll(target, 'PATH'),
      });
      for (const target of ['/.env', '/wp-login.php', '/.git/config', '/phpMyAdmin/index.php']) {
        // With any key or none: none is looked at.
        for (const key of [null, wrongKey(), gateway.key])
          expect(shape(await answerAt(target, key), target)).toEqual(
            shape(await answerAt('/unknown', null), '/unknown'),
          );
      }
    },
  );

  test('counts for the address, with or without a key', async () => {
    const ip = stranger();
    await request('/.env', { ip });
    await request('/wp-login.php', { ip, key: gateway.key, method: 'POST', body: 'a=b' });
    expect((await standing(ip)).intrusion_score).toBeCloseTo(20, 0);
    const { items } = await gateway.app.security.intrusions({ ip });
    expect(items).toMatchObject([
      { pattern: 'honeypot_access', request_path: '/.env', method: 'GET', score: 10 },
    ]);
  });
});

describe('scanners are banned within 20 requests', () => {
  const browser = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36';
  const SCANNERS: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'nikto',
      'Mozilla/5.00 (Nikto/2.1.5) (Evasions:None) (Test:map_codes)',
      ['/', '/uLcQl0Bk.', '/index.php', '/cgi.cgi/'],
    ],
    ['a nikto that says it is a browser', browser, []],
    ['sqlmap', 'sqlmap/1.7.2#stable (https://sqlmap.org)', ['/v1/models?id=1']],
    [
      'sqlmap --random-agent',
      browser,
      [
        "/v1/models?id=1'",
        '/v1/models?id=1%20AND%204321=4321',
        '/v1/models?id=1%20UNION%20ALL%20SELECT%20NULL--%20-',
      ],
    ],
    [
      'a honeypot walker',
      browser,
      ['/.env', '/.git/config', '/wp-login.php', '/phpmyadmin/', '/actuator/env', '/server-status'],
    ],
    ['a climber', browser, ['/static/..%2f..%2f..%2fetc/passwd', '/?page=../../../../etc/passwd']],
  ];

  /** The status of each request, until they are banned. */
  async function scan(ip: string, agent: string, targets: readonly string[]): Promise<number[]> {
    const statuses: number[] = [];
    while (statuses.length < 21 && statuses.at(-1) !== 403) {
      const n = statuses.length;
      const { status } = await request(targets[n % targets.length] ?? `/app${n}/secret${n}.jsp`, {
        ip,
        agent,
      });
      statuses.push(status);
    }
    return statuses;
  }

  test('all of them, whatever they say they are', async () => {
    // Together: from the middle on, their answers are kept back.
    const found = await Promise.all(
      SCANNERS.map(async ([name, agent, targets]) => {
        const ip = stranger();
        const statuses = await scan(ip, agent, targets);
        const isServed = (await request('/v1/models', { ip, key: gateway.key })).status === 200;
        const { blocked } = await standing(ip);
        return { name, isBanned: statuses.at(-1) === 403, isAutomatic: blocked?.automatic, isServed };
      }),
    );
    expect(found).toEqual(
      SCANNERS.map(([name]) => ({ name, isBanned: true, isAutomatic: true, isServed: true })),
    );
  });
});

test('what was seen and refused is counted (FLM-121: the reference counts nothing [D])', async () => {
  const { plain_key: key } = await gateway.app.keys.create({ label: 'prometheus', scopes: ['metrics'] });
  const text = (await request('/metrics', { ip: '127.0.0.1', key })).body.toString();
  const count = (name: string) => Number(new RegExp(`^flm_proxy_${name} (\\d+)$`, 'm').exec(text)?.[1]);
  expect(count('requests_blocked')).toBeGreaterThan(30);
  expect(count('intrusions_detected')).toBeGreaterThan(20);
  expect(count('anomalies_detected')).toBe(0);
});

test('each part can be switched off, at once (FLM-111: the reference ignores these switches [D])', async () => {
  const ip = stranger();
  const off = { enabled: false };
  await gateway.app.policy.set({
    document: {
      ip_blocklist: off,
      intrusion_detection: off,
      anomaly_detection: off,
      resource_protection: off,
    },
  });
  expect(await guess(ip, 20)).toBe(Number.POSITIVE_INFINITY);
  for (let n = 0; n < 20; n++) expect((await request('/.env', { ip, agent: 'nikto' })).status).toBe(404);
  expect(await standing(ip)).toMatchObject({ failure_count: 0, intrusion_score: 0 });
  // What the owner has banned stays banned.
  await gateway.app.security.ban({ ip });
  expect(verdict(await request('/v1/models', { ip, key: gateway.key }))).toEqual(BANNED);
  await gateway.app.policy.set({ document: {} });
  await gateway.app.security.unban(ip);
  expect(await guess(ip)).toBe(6);
});

test('what was seen is on record, without filling it', async () => {
  const stats = await gateway.app.security.stats();
  expect(stats.features.ip_blocklist).toBe('automatic-on');
  expect(stats.blocked_ips.automatic).toBeGreaterThan(5);
  expect(stats.last_24h.by_kind.honeypot).toBeGreaterThan(0);
  const { items } = await gateway.app.audit.list({ type: 'security', limit: 1_000 });
  expect(items.map(({ type }) => type)).toContain('security.banned');
  expect(items.map(({ type }) => type)).toContain('security.honeypot');
  // Addresses of strangers stand where they can be erased.
  const text = JSON.stringify(items.map(({ target, details }) => ({ target, details })));
  expect(text).not.toMatch(/203\.0\.113\.\d/);
  expect(items.some(({ ip }) => ip?.startsWith('203.0.113.'))).toBe(true);
});
