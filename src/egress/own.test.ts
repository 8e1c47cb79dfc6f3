/** What is on this machine is asked straight, and whoever says so of something else is not believed. */
import { describe, expect, test } from 'bun:test';
import { networkInterfaces } from 'node:os';
import { failureOf, get, ok, textOf } from '../../test/support/egress';
import { isImpossible } from '../../test/support/missing';
import { listenSocks } from '../../test/support/socks';
import { listenRequests } from '../../test/support/tcp';
import { tunnelFixture } from '../../test/support/tunnel';
import { whoIsAt } from '../engines';
import { isOwnAddress } from './own';

const mine = Object.values(networkInterfaces())
  .flatMap((own) => own ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
const missing = isImpossible(
  'FLM looking at its own network address',
  mine === undefined ? 'this machine has none' : null,
);

describe('isOwnAddress', () => {
  test('of this machine', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '[::1]', '::1', ...(mine === undefined ? [] : [mine])])
      expect([host, isOwnAddress(host)]).toEqual([host, true]);
  });

  test('of others, and of names', () => {
    for (const host of ['192.0.2.1', '[2001:db8::1]', 'fe80::dead:beef%lo', 'localhost', '', 'gpu.flm.test'])
      expect([host, isOwnAddress(host)]).toEqual([host, false]);
  });
});

describe.skipIf(missing)('with a tunnel', () => {
  const here = mine ?? '';

  test('FLM finds out what is open on this machine without it', async () => {
    await using server = await listenRequests(
      ({ socket }, done) => {
        done();
        socket.write('HTTP/1.1 200 OK\r\nserver: flm\r\ncontent-length: 2\r\n\r\n{}');
      },
      { host: here },
    );
    await using socks = await listenSocks();
    using fixture = tunnelFixture({ 'egress.mode': 'socks5', 'egress.socks5_endpoint': socks.endpoint });
    expect(await fixture.egress.knock(here, server.port, 2_000)).toBe(true);
    expect((await whoIsAt(fixture.egress, here, server.port)).who).toBe('flm');
    expect(socks.accepted()).toBe(0);
    // The same address, by whoever does not say that it is this machine's.
    expect(fixture.tunnel.wayTo(here)).toBe('tunnel');
  });

  test('which is believed of no address of another machine', async () => {
    await using server = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok('by tunnel'));
    });
    await using socks = await listenSocks({ lead: () => ({ host: '127.0.0.1', port: server.port }) });
    using fixture = tunnelFixture({ 'egress.mode': 'socks5', 'egress.socks5_endpoint': socks.endpoint });
    const asked = fixture.egress.send(get('http://192.0.2.1/', { isOwn: true }));
    expect(await textOf(asked)).toBe('by tunnel');
    expect(socks.requests.map(({ host }) => host)).toEqual(['192.0.2.1']);
    using down = tunnelFixture({ 'egress.mode': 'socks5', 'egress.socks5_endpoint': '127.0.0.1:1' });
    expect(await failureOf(down.egress.send(get('http://gpu.flm.test/', { isOwn: true })))).toBe('tunnel');
  });
});

test('nobody knocks at another machine', async () => {
  using fixture = tunnelFixture({});
  const startedMs = performance.now();
  expect(await fixture.egress.knock('192.0.2.1', 80, 20_000)).toBe(false);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
});
