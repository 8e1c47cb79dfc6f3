/** Alerts from the bus to receivers over real HTTP, with everything that receivers do wrong. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type Databases, openDatabases } from '../../../db';
import { type AuditSpy, auditSpy } from '../../../test/support/audit';
import { type TestDir, testDir } from '../../../test/support/data-dir';
import { eventually } from '../../../test/support/eventually';
import { listenSocks } from '../../../test/support/socks';
import { codeOf, errorOf } from '../../../test/support/thrown';
import { tunnelFixture } from '../../../test/support/tunnel';
import { empty, type HookReceiver, receiveHooks } from '../../../test/support/webhooks';
import { webhookVia } from '../../app/collector';
import { createEgress, type Egress } from '../../egress';
import { createBus } from '../../lib/bus';
import { type ManualClock, manualClock, systemClock } from '../../lib/clock';
import { createLog, type Log } from '../../lib/log';
import { MAX_WAITING, parseRetryAfter } from './deliveries';
import { type Alerts, createAlerts } from './index';
import { createAlertStore } from './store';

let data: TestDir;
let db: Databases;
let audit: AuditSpy;
let clock: ManualClock;
let bus: ReturnType<typeof createBus>;
let receiver: HookReceiver;
let lines: Record<string, unknown>[];
let log: Log;
let egress: Egress;
/** Where names lead. */
let names: Map<string, string>;
const opened: Alerts[] = [];

beforeEach(async () => {
  data = testDir();
  audit = auditSpy();
  clock = manualClock();
  bus = createBus();
  lines = [];
  log = createLog(
    () => 'warn',
    clock,
    (line) => lines.push(JSON.parse(line)),
  );
  names = new Map();
  egress = createEgress({
    clock: systemClock,
    async resolve(host) {
      const ip = names.get(host);
      if (ip === undefined) throw new Error('ENOTFOUND');
      return [ip];
    },
  });
  receiver = await receiveHooks();
  db = await openDatabases({ paths: data.paths, env: data.env, clock, lockWaitMs: 0 });
});

afterEach(async () => {
  for (const alerts of opened.splice(0)) await alerts.close();
  await receiver[Symbol.asyncDispose]();
  egress.close();
  bus.close();
  db.close();
  data[Symbol.dispose]();
});

function open(clientIps: 'masked' | 'full' = 'full'): Alerts {
  const alerts = createAlerts({
    store: createAlertStore(db.security, audit),
    bus,
    clock,
    log,
    post: webhookVia(egress),
    checkUrl: egress.checkDeliveryUrl,
    config: () => ({ 'alerts.client_ips': clientIps }),
    host: 'gatehouse',
    version: '1.2.3',
    random: () => 0.5,
  });
  opened.push(alerts);
  return alerts;
}

/** Alerts that watch, with a rule for intrusions that goes to the receiver. */
async function watching(clientIps: 'masked' | 'full' = 'full'): Promise<Alerts> {
  const alerts = open(clientIps);
  const target = await alerts.setTarget('ops', { url: receiver.url, allow_private: true });
  receiver.publicKey = target.public_key ?? '';
  await alerts.setRule('intrusion-critical', { targets: ['log', 'ops'] });
  alerts.start();
  return alerts;
}

/** An attack from that address, all of it told. */
async function attack(alerts: Alerts, ip = '203.0.113.7'): Promise<void> {
  bus.publish({
    name: 'security.signal',
    requestId: 'r-1',
    ip,
    kind: 'intrusion',
    pattern: 'sql_injection',
    score: 20,
    total: 120,
    severity: 'high',
  });
  await Promise.resolve();
  await alerts.work();
}

const states = async (alerts: Alerts) =>
  (await alerts.deliveries({})).items
    .filter(({ target }) => target === 'ops')
    .map(({ state, attempts, last_error: error }) => [state, attempts, error]);

describe('an alert', () => {
  test('arrives signed, with what a program needs and nothing of a client’s text', async () => {
    const alerts = await watching();
    await attack(alerts);
    const [hook] = receiver.received;
    expect(receiver.received.length).toBe(1);
    expect(hook?.isSigned).toBe(true);
    expect(hook?.timestamp).toBe(Math.floor(clock.nowMs() / 1_000));
    expect(hook?.head).toContain('content-type: application/json');
    expect(hook?.head).toContain('user-agent: flm/1.2.3');
    expect(hook?.json).toEqual({
      type: 'alert.firing',
      timestamp: new Date(clock.nowMs()).toISOString(),
      data: {
        message: 'Somebody tries to break in: 203.0.113.7 (sql_injection, score 120).',
        alert_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        rule: 'intrusion-critical',
        event_type: 'intrusion',
        severity: 'critical',
        state: 'firing',
        subject: '203.0.113.7',
        sources: 1,
        count: 1,
        threshold: 90,
        score: 120,
        pattern: 'sql_injection',
        request_id: 'r-1',
        first_at: new Date(clock.nowMs()).toISOString(),
        last_at: new Date(clock.nowMs()).toISOString(),
        host: 'gatehouse',
      },
    });
    expect(lines.map(({ level, type, rule }) => [level, type, rule])).toEqual([
      ['warn', 'alert.firing', 'intrusion-critical'],
    ]);
    expect(await states(alerts)).toEqual([['sent', 1, null]]);
  });

  test('names clients as the owner wants it', async () => {
    const alerts = await watching('masked');
    await attack(alerts, '203.0.113.77');
    await attack(alerts, '2001:db8:1:2:3::4');
    expect(receiver.received.map(({ json }) => json.data.subject)).toEqual([
      '203.0.113.***',
      '2001:db8:1:2:***/64',
    ]);
    expect(JSON.stringify([receiver.received, lines])).not.toContain('113.77');
  });

  test('a key in what a detector or an owner says does not leave', async () => {
    const alerts = await watching();
    await alerts.setRule('bans', { event_type: 'ban', severity: 'low', targets: ['ops'] });
    const secret = `flm_abcdefgh${'S'.repeat(38)}`;
    bus.publish({
      name: 'security.ban',
      network: '203.0.113.0/24',
      state: 'banned',
      isAutomatic: false,
      reason: `${'x'.repeat(50)} used ${secret} ${'y'.repeat(500)}`,
    });
    await Promise.resolve();
    await alerts.work();
    expect(receiver.received.length).toBe(1);
    expect(receiver.received[0]?.body).not.toContain('SSSS');
    expect(receiver.received[0]?.body.length).toBeLessThan(2_000);
  });

  test('costs nothing where no rule is about it', async () => {
    const alerts = await watching();
    for (let i = 0; i < 50; i++)
      bus.publish({
        name: 'auth.refused',
        requestId: `${i}`,
        ip: '203.0.113.9',
        path: '/',
        reason: 'invalid_or_revoked_api_key',
      });
    await alerts.work();
    expect(alerts.counts().raised).toBe(0);
  });

  test('of every kind comes from what the bus says', async () => {
    const alerts = await watching();
    for (const event of ['rate_limit', 'api_error', 'ban', 'auth_failure', 'policy', 'resource'] as const)
      await alerts.setRule(event, { event_type: event, severity: 'low', targets: ['ops'] });
    const ip = '203.0.113.9';
    bus.publish({ name: 'limit.exceeded', requestId: 'r', limit: 'key', unit: 'tokens', subject: 'key:Ab' });
    bus.publish({
      name: 'engine.changed',
      engineId: 'gpu',
      kind: 'vllm',
      status: 'error-network',
      models: 0,
    });
    bus.publish({
      name: 'security.ban',
      network: ip,
      state: 'banned',
      isAutomatic: true,
      reason: 'guessing',
    });
    bus.publish({
      name: 'auth.refused',
      requestId: 'r',
      ip,
      path: '/v1/models?key=flm_x',
      reason: 'missing_authorization_header',
    });
    bus.publish({ name: 'policy.changed', version: 7 });
    bus.publish({
      name: 'security.signal',
      requestId: null,
      ip: '',
      kind: 'resource',
      pattern: 'memory',
      score: 1,
      total: 1,
      severity: 'high',
    });
    await Promise.resolve();
    await alerts.work();
    const told = receiver.received.map(({ json: { data: said } }) => [said.event_type, said.subject]);
    expect(told.sort()).toEqual([
      ['api_error', 'engine:gpu'],
      ['auth_failure', ip],
      ['ban', ip],
      ['policy', 'policy'],
      ['rate_limit', 'key:Ab'],
      ['resource', 'memory'],
    ]);
    expect(JSON.stringify(receiver.received)).not.toContain('/v1/models');
    bus.publish({
      name: 'engine.changed',
      engineId: 'gpu',
      kind: 'vllm',
      status: 'running-healthy',
      models: 1,
    });
    await Promise.resolve();
    await alerts.work();
    expect(receiver.received.at(-1)?.json).toMatchObject({
      type: 'alert.resolved',
      data: { subject: 'engine:gpu' },
    });
  });
});

describe('a receiver that does not take it', () => {
  const METADATA = 'http://169.254.169.254/latest/meta-data/';

  test.each<[string, HookReceiver['answers'][number], string]>([
    ['answers 500', 500, 'it answered 500'],
    ['answers 404', 404, 'it answered 404'],
    [
      'redirects to the metadata service of a cloud',
      empty(307, `location: ${METADATA}\r\n`),
      'it answered 307: redirects are not followed',
    ],
    ['breaks the connection off', (socket) => socket.resetAndDestroy(), 'the connection was closed'],
    ['does not speak HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 'it does not speak HTTP'],
  ])('that %s is asked again, with the same id and a signature of that moment', async (_, answer, reason) => {
    const alerts = await watching();
    receiver.answers.push(answer);
    await attack(alerts);
    expect(await states(alerts)).toEqual([['waiting', 1, reason]]);
    clock.advance(4_999);
    await alerts.work();
    expect(receiver.received.length).toBe(1);
    clock.advance(1);
    await alerts.work();
    const [first, second] = receiver.received;
    expect(second?.id).toBe(first?.id);
    expect(second?.body).toBe(first?.body);
    expect([first?.isSigned, second?.isSigned]).toEqual([true, true]);
    expect((second?.timestamp ?? 0) - (first?.timestamp ?? 0)).toBe(5);
    expect(await states(alerts)).toEqual([['sent', 2, null]]);
  });

  test('waits while the tunnel that everything leaves through is down, and arrives when it is back', async () => {
    let socks = await listenSocks({
      lead: () => ({ host: '127.0.0.1', port: Number(new URL(receiver.url).port) }),
    });
    const options = {
      port: socks.port,
      lead: () => ({ host: '127.0.0.1', port: Number(new URL(receiver.url).port) }),
    };
    await socks[Symbol.asyncDispose]();
    const settings = { 'egress.mode': 'socks5', 'egress.socks5_endpoint': socks.endpoint } as const;
    using fixture = tunnelFixture(settings, { 'hooks.flm.test': '127.0.0.1' });
    egress = fixture.egress;
    const alerts = open();
    const target = await alerts.setTarget('ops', { url: 'http://hooks.flm.test/', allow_private: true });
    receiver.publicKey = target.public_key ?? '';
    await alerts.setRule('intrusion-critical', { targets: ['ops'] });
    alerts.start();
    await attack(alerts);
    expect([receiver.received.length, fixture.lookedUp]).toEqual([0, []]);
    expect(await states(alerts)).toEqual([['waiting', 1, expect.stringMatching(/./)]]);
    socks = await listenSocks(options);
    clock.advance(5_000);
    await alerts.work();
    expect([receiver.received.length, receiver.received[0]?.isSigned, fixture.lookedUp]).toEqual([
      1,
      true,
      [],
    ]);
    expect(socks.requests.map(({ host }) => host)).toEqual(['hooks.flm.test']);
    expect(await states(alerts)).toEqual([['sent', 2, null]]);
    await socks[Symbol.asyncDispose]();
  });

  test('waits three times as long each time, and is given up after a day, on record', async () => {
    const alerts = await watching();
    await alerts.setRule('policy', { event_type: 'policy', severity: 'low', targets: ['ops'] });
    receiver.answers.push(...Array(100).fill(500));
    bus.publish({ name: 'policy.changed', version: 2 });
    await Promise.resolve();
    await alerts.work();
    const pauses: number[] = [];
    for (;;) {
      const [next] = (await alerts.deliveries({ state: 'waiting' })).items;
      if (next?.next_at == null) break;
      const pauseMs = Date.parse(next.next_at) - clock.nowMs();
      pauses.push(pauseMs / 1_000);
      clock.advance(pauseMs);
      await alerts.work();
    }
    expect(pauses.slice(0, 7)).toEqual([5, 15, 45, 135, 405, 1_215, 3_645]);
    expect(Math.max(...pauses)).toBe(14_400);
    expect(await states(alerts)).toEqual([['failed', pauses.length, 'it could not be delivered for a day']]);
    expect(alerts.counts()).toMatchObject({ waiting: 0, failed: 1, retried: pauses.length });
    expect(audit.events.filter(({ type }) => type === 'alert.undelivered')).toEqual([
      {
        type: 'alert.undelivered',
        severity: 'high',
        target: 'alert-target:ops',
        details: {
          deliveries: 1,
          first: receiver.received[0]?.id,
          reason: 'it could not be delivered for a day',
        },
      },
    ]);
  });

  test.each([429, 503])(
    'is left alone for as long as it says with %p, whatever else there is to tell',
    async (status) => {
      const alerts = await watching();
      receiver.answers.push(empty(status, 'retry-after: 3600\r\n'));
      await attack(alerts);
      await attack(alerts, '203.0.113.8');
      clock.advance(3_599_000);
      await alerts.work();
      expect(receiver.received.length).toBe(1);
      clock.advance(1_000);
      await alerts.work();
      const types = receiver.received.map(({ json }) => json.type);
      expect(types).toEqual([...Array(3).fill('alert.firing'), ...Array(2).fill('alert.resolved')]);
    },
  );

  test('a Retry-After that nobody could wait for, or with another status, changes little', async () => {
    const alerts = await watching();
    receiver.answers.push(empty(500, 'retry-after: 86400\r\n'), empty(503, 'retry-after: 999999999\r\n'));
    await attack(alerts);
    clock.advance(5_000);
    await alerts.work();
    expect(receiver.received.length).toBe(2);
    clock.advance(86_400_000);
    await alerts.work();
    expect(alerts.counts().waiting).toBe(0);
  });

  test('that is gone (410) is told nothing more until the owner sets it again', async () => {
    const alerts = await watching();
    receiver.answers.push(410);
    await attack(alerts);
    await attack(alerts, '203.0.113.8');
    expect(receiver.received.length).toBe(1);
    expect((await alerts.targets()).items.find(({ id }) => id === 'ops')?.enabled).toBe(false);
    expect(await states(alerts)).toEqual([['failed', 0, 'the target is gone']]);
    expect(audit.events.at(-1)).toMatchObject({ type: 'alert.target_set', details: { gone: true } });
    await alerts.setTarget('ops', { url: receiver.url, allow_private: true });
    await attack(alerts, '203.0.113.9');
    expect(receiver.received.length).toBe(2);
  });

  test('with a body that never ends has answered all the same, and is hung up on', async () => {
    const alerts = await watching();
    let written = 0;
    receiver.answers.push((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const piece = `10000\r\n${'x'.repeat(65_536)}\r\n`;
      const more = (): void => {
        while (!socket.destroyed && socket.write(piece)) written += piece.length;
        written += piece.length;
      };
      socket.on('drain', more);
      more();
    });
    await attack(alerts);
    expect(await states(alerts)).toEqual([['sent', 1, null]]);
    await receiver.server.deserted();
    expect(written).toBeLessThan(16 * 1_048_576);
  });

  test('that hangs holds up no other target, and stopping does not wait for it', async () => {
    const alerts = await watching();
    await using other = await receiveHooks();
    const { public_key: key } = await alerts.setTarget('other', { url: other.url, allow_private: true });
    other.publicKey = key ?? '';
    await alerts.setRule('intrusion-critical', { targets: ['ops', 'other'] });
    receiver.answers.push(() => {});
    bus.publish({
      name: 'security.signal',
      requestId: null,
      ip: '203.0.113.7',
      kind: 'honeypot',
      pattern: '/wp-admin',
      score: 10,
      total: 90,
      severity: 'medium',
    });
    await Promise.resolve();
    void alerts.work();
    const isSent = async () =>
      (await alerts.deliveries({})).items.some(({ target, state }) => target === 'other' && state === 'sent');
    // Its answer has to be there, too: what is stopped before that is sent again.
    await eventually(async () => receiver.received.length === 1 && (await isSent()));
    await alerts.pause();
    expect((await states(alerts))[0]?.[0]).toBe('waiting');
    alerts.start();
    await alerts.work();
    expect(receiver.received.map(({ id }) => id)).toEqual(Array(2).fill(receiver.received[0]?.id));
    expect(other.received.length).toBe(1);
  });
});

describe('HL-019: what waits', () => {
  test('outlives a restart, and is not sent sooner for it', async () => {
    const alerts = await watching();
    receiver.answers.push(500, 500);
    await attack(alerts);
    clock.advance(5_000);
    await alerts.work();
    await alerts.close();
    const again = open();
    again.start();
    expect(again.counts().waiting).toBe(1);
    await again.work();
    expect(receiver.received.length).toBe(2);
    clock.advance(15_000);
    await again.work();
    expect(receiver.received.map(({ id }) => id)).toEqual(Array(3).fill(receiver.received[0]?.id));
    expect(receiver.received[2]?.isSigned).toBe(true);
    expect(await states(again)).toEqual([['sent', 3, null]]);
  });

  test('is not kept for ever by a clock that was set back', async () => {
    const alerts = await watching();
    receiver.answers.push(500);
    await attack(alerts);
    await alerts.close();
    clock.setWall(clock.nowMs() - 400 * 86_400_000);
    const again = open();
    again.start();
    clock.advance(86_400_000);
    await again.work();
    expect(again.counts().waiting).toBe(0);
  });

  test('is bounded: the oldest are given up, in one row of the record for all of a moment', async () => {
    const alerts = await watching();
    await alerts.setRule('bans', { event_type: 'policy', severity: 'low', targets: ['ops'] });
    receiver.answers.push(500);
    await attack(alerts);
    const { store, rows } = fillStore(MAX_WAITING + 20);
    await alerts.close();
    const again = open();
    again.start();
    bus.publish({ name: 'policy.changed', version: 2 });
    await Promise.resolve();
    expect(again.counts().waiting).toBe(MAX_WAITING);
    expect(store.waiting().length).toBe(MAX_WAITING);
    const undelivered = audit.events.filter(({ type }) => type === 'alert.undelivered');
    expect(undelivered.map(({ details }) => details?.deliveries)).toEqual([rows - MAX_WAITING + 2]);
  });

  test('rows of what is over do not pile up', async () => {
    const alerts = await watching();
    const { store } = fillStore(1_100, 'sent');
    await alerts.test({ target: 'log' });
    const kept = () => store.list({ state: null, before: null, limit: 5_000 }).length;
    expect(kept()).toBe(1_000);
    clock.advance(8 * 86_400_000);
    await alerts.test({ target: 'log' });
    expect(kept()).toBe(1);
  });

  function fillStore(rows: number, state: 'waiting' | 'sent' = 'waiting') {
    const store = createAlertStore(db.security, audit);
    const atMs = clock.nowMs();
    const body = JSON.stringify({ type: 'alert.firing', timestamp: '', data: { message: 'm' } });
    const waiting = Array.from({ length: rows }, () => ({
      id: Bun.randomUUIDv7(),
      targetId: 'ops',
      body,
      state,
      attempts: 3,
      lastError: 'it answered 500',
      createdAtMs: atMs,
      nextAtMs: atMs + 3_600_000,
    }));
    store.add(waiting, 2_000, 0);
    return { store, rows };
  }
});

describe('the guard', () => {
  test.each([
    ['http://hooks.example/x', 'INVALID_INPUT'],
    ['https://internal.example/x', 'EGRESS_REFUSED'],
    ['https://127.0.0.1/x', 'EGRESS_REFUSED'],
    ['https://[::ffff:10.0.0.1]/x', 'EGRESS_REFUSED'],
    ['https://metadata.example/x', 'EGRESS_REFUSED'],
    ['https://user:pass@hooks.example/x', 'EGRESS_REFUSED'],
    ['https://nowhere.example/x', 'EGRESS_REFUSED'],
    ['ftp://hooks.example/x', 'EGRESS_REFUSED'],
  ])('does not take %s', async (url, code) => {
    names = names
      .set('hooks.example', '93.184.215.14')
      .set('internal.example', '10.1.2.3')
      .set('metadata.example', '169.254.169.254');
    const alerts = open();
    expect(await codeOf(() => alerts.setTarget('ops', { url }))).toBe(code as 'INVALID_INPUT');
    expect((await alerts.targets()).items.map(({ id }) => id)).toEqual(['log']);
  });

  test('never lets anybody at the metadata services of clouds, whatever the owner allows', async () => {
    names.set('metadata.example', '169.254.169.254');
    const alerts = open();
    for (const host of ['metadata.example', '169.254.169.254', '[fd00:ec2::254]'])
      expect(
        await codeOf(() => alerts.setTarget('ops', { url: `http://${host}/x`, allow_private: true })),
      ).toBe('EGRESS_REFUSED');
  });

  test('looks again each time: a name that moves to this machine is refused then', async () => {
    names.set('hooks.example', '93.184.215.14');
    const alerts = open();
    const url = `https://hooks.example:${receiver.server.port}/x`;
    await alerts.setTarget('ops', { url });
    names.set('hooks.example', '127.0.0.1');
    const { items } = await alerts.test({ target: 'ops' });
    expect(items[0]).toMatchObject({ ok: false, status: null });
    expect(items[0]?.error).toContain('127.0.0.1 is loopback');
    expect(receiver.server.accepted()).toBe(0);
  });
});

describe('a test message', () => {
  test('says what came back, of every target', async () => {
    const alerts = await watching();
    receiver.answers.push('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nthanks');
    const { items } = await alerts.test({});
    expect(items).toEqual([
      {
        target: 'log',
        ok: true,
        id: expect.any(String),
        status: null,
        answer: null,
        error: null,
        duration_ms: 0,
      },
      {
        target: 'ops',
        ok: true,
        id: receiver.received[0]?.id ?? '',
        status: 200,
        answer: 'thanks',
        error: null,
        duration_ms: 0,
      },
    ]);
    expect(receiver.received[0]?.json.type).toBe('alert.test');
    expect(receiver.received[0]?.isSigned).toBe(true);
  });

  test('is tried once', async () => {
    const alerts = await watching();
    receiver.answers.push(500);
    const { items } = await alerts.test({ target: 'ops' });
    expect(items[0]).toMatchObject({ ok: false, status: 500, error: 'it answered 500' });
    clock.advance(86_400_000);
    await alerts.work();
    expect(receiver.received.length).toBe(1);
    expect(await codeOf(() => alerts.test({ target: 'nobody' }))).toBe('ALERT_TARGET_NOT_FOUND');
  });
});

describe('rules and targets', () => {
  test('the defaults are there once: what the owner removes does not come back', async () => {
    const alerts = open();
    expect((await alerts.rules()).items.map(({ id }) => id)).toEqual([
      'anomaly-critical',
      'intrusion-critical',
      'intrusion-high',
    ]);
    for (const { id } of (await alerts.rules()).items) await alerts.removeRule(id);
    expect((await open().rules()).items).toEqual([]);
    expect(audit.events.map(({ type }) => type)).toEqual(Array(3).fill('alert.rule_removed'));
  });

  test('a change keeps what is left out, and is on record', async () => {
    const alerts = open();
    const rule = await alerts.setRule('intrusion-high', { threshold: 50 });
    expect(rule).toEqual({
      id: 'intrusion-high',
      event_type: 'intrusion',
      severity: 'high',
      threshold: 50,
      enabled: true,
      targets: ['log'],
    });
    expect(audit.events.at(-1)).toMatchObject({ type: 'alert.rule_set', details: { threshold: 50 } });
    expect(await codeOf(() => alerts.setRule('new', { severity: 'low' }))).toBe('INVALID_INPUT');
    expect(await codeOf(() => alerts.setRule('intrusion-high', { targets: ['nobody'] }))).toBe(
      'ALERT_TARGET_NOT_FOUND',
    );
    expect(await codeOf(() => alerts.removeRule('nobody'))).toBe('ALERT_RULE_NOT_FOUND');
  });

  test('a target that rules use is not removed, and the log never', async () => {
    const alerts = await watching();
    const error = await errorOf(() => alerts.removeTarget('ops'));
    expect([error.code, error.meta.rules]).toEqual(['ALERT_TARGET_IN_USE', 'intrusion-critical']);
    expect(await codeOf(() => alerts.removeTarget('log'))).toBe('INVALID_INPUT');
    receiver.answers.push(500);
    await attack(alerts);
    await alerts.setRule('intrusion-critical', { targets: ['log'] });
    await alerts.removeTarget('ops');
    expect(alerts.counts().waiting).toBe(0);
    clock.advance(60_000);
    await alerts.work();
    expect(receiver.received.length).toBe(1);
  });

  test('neither the private key nor the path of a webhook is shown or put on record', async () => {
    const alerts = await watching();
    await attack(alerts);
    const shown = JSON.stringify([await alerts.targets(), await alerts.deliveries({}), audit.events, lines]);
    expect(shown).toContain('whpk_');
    expect(shown).not.toContain('s3cret-path');
    const [stored] = createAlertStore(db.security, audit)
      .targets()
      .flatMap(({ webhook }) => (webhook === null ? [] : [webhook]));
    expect(stored?.privateKey.length).toBe(32);
    expect(shown).not.toContain(stored?.privateKey.toString('base64') ?? '');
    const file = await Bun.file(data.paths.securityDb).bytes();
    expect(Buffer.from(file).includes('s3cret-path')).toBe(false);
  });

  test('a change that cannot be put on record is not made', async () => {
    const alerts = open();
    audit.refuse();
    await expect(alerts.setRule('intrusion-high', { threshold: 1 })).rejects.toThrow('no room');
    expect((await alerts.rules()).items.find(({ id }) => id === 'intrusion-high')?.threshold).toBe(70);
  });
});

describe('Retry-After', () => {
  const nowMs = Date.parse('2026-11-24T00:00:00Z');
  test.each<[string | null, number | null]>([
    ['120', 120_000],
    [' 5 ', 5_000],
    ['Tue, 24 Nov 2026 00:01:00 GMT', 60_000],
    ['Tue, 24 Nov 2020 00:01:00 GMT', 0],
    ['-1', null],
    ['soon', null],
    [null, null],
  ])('%p is %p ms', (text, ms) => {
    expect(parseRetryAfter(text, nowMs)).toBe(ms);
  });
});
