/** Alerts and a tunnel: they leave through it, by nobody else's way, or not at all. */
import { describe, expect, test } from 'bun:test';
import { failureOf, get, textOf } from '../../../test/support/egress';
import { thrown } from '../../../test/support/rejected';
import { listenSocks } from '../../../test/support/socks';
import { listenRequests } from '../../../test/support/tcp';
import { tunnelFixture } from '../../../test/support/tunnel';
import type { Delivery } from '../index';

const through = (endpoint: string) =>
  ({ 'egress.mode': 'socks5', 'egress.socks5_endpoint': endpoint }) as const;
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

function delivery(url: string, allowPrivate = false): Delivery {
  const { signal } = new AbortController();
  return { url, allowPrivate, headers: {}, body: '{}', timeoutMs: 5_000, maxAnswerBytes: 8, signal };
}

async function receiver() {
  const heads: string[] = [];
  const server = await listenRequests(({ head, body, socket }, done) => {
    heads.push(`${head}|${body}`);
    done();
    socket.write(ANSWER);
  });
  return { ...server, heads };
}

describe('an alert', () => {
  test('goes through the tunnel, under its name, which nobody looks up here', async () => {
    await using hooks = await receiver();
    await using socks = await listenSocks({ lead: () => ({ host: '127.0.0.1', port: hooks.port }) });
    using fixture = tunnelFixture(through(socks.endpoint));
    const url = 'http://hooks.flm.test/x';
    await fixture.egress.checkDeliveryUrl(url, false);
    expect(await fixture.egress.deliver(delivery(url))).toMatchObject({ status: 200, text: 'ok' });
    expect(hooks.heads).toEqual([
      expect.stringMatching(/^POST \/x [^|]*host: hooks\.flm\.test[^|]*\|\{\}$/is),
    ]);
    expect(socks.requests.map(({ host, port, kind }) => [host, port, kind])).toEqual([
      ['hooks.flm.test', 80, 'name'],
    ]);
    expect(fixture.lookedUp).toEqual([]);
  });

  test('goes the new way when the owner changes it while its name is looked up', async () => {
    await using hooks = await receiver();
    await using socks = await listenSocks({ lead: () => ({ host: '127.0.0.1', port: hooks.port }) });
    using fixture = tunnelFixture({}, { 'hooks.flm.test': '127.0.0.1' });
    const sent = fixture.egress.deliver(delivery(`http://hooks.flm.test:${hooks.port}/x`, true));
    fixture.settings = { ...fixture.settings, ...through(socks.endpoint) };
    expect(await sent).toMatchObject({ status: 200 });
    expect(fixture.lookedUp).toEqual(['hooks.flm.test']);
    expect(socks.requests.map(({ host, kind }) => [host, kind])).toEqual([['hooks.flm.test', 'name']]);
  });

  test('takes a circuit of Tor that nothing else takes', async () => {
    await using hooks = await receiver();
    await using socks = await listenSocks({ lead: () => ({ host: '127.0.0.1', port: hooks.port }) });
    using fixture = tunnelFixture({ 'egress.mode': 'tor', 'egress.socks5_endpoint': socks.endpoint });
    const url = 'http://both.flm.test/';
    await fixture.egress.deliver(delivery(url));
    await textOf(fixture.egress.send(get(url)));
    await textOf(fixture.egress.send(get(url, { purpose: 'telemetry' })));
    await fixture.egress.download(url, { maxBytes: 100, timeoutMs: 5_000 });
    await fixture.egress.deliver(delivery('http://other.flm.test/'));
    expect(new Set(socks.requests.map(({ password }) => password)).size).toBe(5);
  });

  test.each([
    ['http://nas.local/', false],
    ['http://metadata.google.internal/', false],
    ['http://192.168.1.1/', false],
    ['http://localhost/', false],
    ['http://169.254.169.254/', false],
    ['http://169.254.169.254/', true],
    ['http://168.63.129.16/', true],
  ])('to %s (private allowed: %p) is refused without asking anybody', async (url, allowPrivate) => {
    await using socks = await listenSocks();
    using fixture = tunnelFixture(through(socks.endpoint));
    const refused = { code: 'EGRESS_REFUSED' };
    expect(await thrown(fixture.egress.checkDeliveryUrl(url, allowPrivate))).toMatchObject(refused);
    expect(await thrown(fixture.egress.deliver(delivery(url, allowPrivate)))).toMatchObject(refused);
    expect([socks.accepted(), fixture.lookedUp]).toEqual([0, []]);
  });

  test('to a receiver on this machine goes straight', async () => {
    await using hooks = await receiver();
    using fixture = tunnelFixture(through('127.0.0.1:1'));
    for (const host of ['127.0.0.1', 'localhost', 'hooks.localhost'])
      expect((await fixture.egress.deliver(delivery(`http://${host}:${hooks.port}/`, true))).status).toBe(
        200,
      );
    expect(fixture.lookedUp).toEqual([]);
  });

  test('stays here while the tunnel is down, even its name', async () => {
    await using hooks = await receiver();
    using fixture = tunnelFixture(through('127.0.0.1:1'), { 'hooks.flm.test': '127.0.0.1' });
    const url = `http://hooks.flm.test:${hooks.port}/`;
    for (const allowPrivate of [true, false])
      expect(await failureOf(fixture.egress.deliver(delivery(url, allowPrivate)))).toBe('tunnel');
    expect([hooks.accepted(), fixture.lookedUp]).toEqual([0, []]);
  });

  test('that goes around a lost tunnel, because the owner said so, is checked as what goes straight out', async () => {
    await using hooks = await receiver();
    const names = { 'hooks.flm.test': '127.0.0.1' };
    using fixture = tunnelFixture({ ...through('127.0.0.1:1'), 'egress.fail_open': true }, names);
    const url = `http://hooks.flm.test:${hooks.port}/`;
    expect(await thrown(fixture.egress.deliver(delivery(url)))).toMatchObject({ code: 'EGRESS_REFUSED' });
    expect(hooks.accepted()).toBe(0);
    expect((await fixture.egress.deliver(delivery(url, true))).status).toBe(200);
  });
});
