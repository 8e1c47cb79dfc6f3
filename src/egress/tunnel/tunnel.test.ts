import { describe, expect, test } from 'bun:test';
import { failureOf, get, ok, post, textOf } from '../../../test/support/egress';
import { thrown } from '../../../test/support/rejected';
import { listenSocks, type SocksOptions } from '../../../test/support/socks';
import { listenRequests, listenTcp } from '../../../test/support/tcp';
import { tunnelFixture } from '../../../test/support/tunnel';
import { FlmError } from '../../lib/errors';
import { EgressError } from '../errors';

const through = (endpoint: string) =>
  ({ 'egress.mode': 'socks5', 'egress.socks5_endpoint': endpoint }) as const;

describe('requests', () => {
  test('FLM-103: names go to the SOCKS server as they are, and nobody looks them up here', async () => {
    await using engine = await listenRequests(({ socket, head }, done) => {
      done();
      socket.write(ok(/^host: (.*)$/m.exec(head)?.[1] ?? ''));
    });
    await using socks = await listenSocks();
    using fixture = tunnelFixture(through(socks.endpoint));
    const url = `http://gpu.flm.test:${engine.port}/v1`;
    expect((await fixture.egress.checkEngineUrl(url)).address).toBe('gpu.flm.test');
    expect(await textOf(fixture.egress.send(get(url)))).toBe(`gpu.flm.test:${engine.port}`);
    expect(socks.requests).toEqual([
      { host: 'gpu.flm.test', port: engine.port, kind: 'name', user: null, password: null },
    ]);
    expect(fixture.lookedUp).toEqual([]);
  });

  test('one connection carries several, for each purpose', async () => {
    await using engine = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok());
    });
    await using socks = await listenSocks();
    using fixture = tunnelFixture(through(socks.endpoint));
    const url = `http://gpu.flm.test:${engine.port}/`;
    for (let n = 0; n < 3; n++) await textOf(fixture.egress.send(get(url)));
    await textOf(fixture.egress.send(get(url, { purpose: 'telemetry' })));
    expect(socks.requests).toHaveLength(2);
  });

  test('large bodies pass in both directions, and a stream comes as it is sent', async () => {
    const big = 'x'.repeat(3_000_000);
    const sent = Promise.withResolvers<void>();
    await using engine = await listenRequests(({ socket, body, head }, done) => {
      done();
      if (head.startsWith('POST')) return void socket.write(ok(`${body.length} ${big}`));
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n');
      void sent.promise.then(() => socket.write('4\r\nlast\r\n0\r\n\r\n'));
    });
    await using socks = await listenSocks();
    using fixture = tunnelFixture(through(socks.endpoint));
    const url = `http://gpu.flm.test:${engine.port}/`;
    expect(await textOf(fixture.egress.send(post(url, big)))).toBe(`3000000 ${big}`);
    const reader = (await fixture.egress.send(get(url))).body.reader();
    expect(Buffer.from((await reader.read()) ?? []).toString()).toBe('first');
    sent.resolve();
    expect(Buffer.from((await reader.read()) ?? []).toString()).toBe('last');
    expect(await reader.read()).toBeNull();
  });

  test('aborting closes the connection, while dialling and while streaming', async () => {
    await using engine = await listenTcp((socket) =>
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n'),
      ),
    );
    await using socks = await listenSocks();
    using fixture = tunnelFixture(through(socks.endpoint));
    const streaming = new AbortController();
    const response = await fixture.egress.send(
      get(`http://gpu.flm.test:${engine.port}/`, { signal: streaming.signal }),
    );
    streaming.abort('enough');
    expect(await response.body.bytes().catch((reason: unknown) => reason)).toBe('enough');
    await engine.deserted();
    await socks.deserted();

    await using stuck = await listenSocks({ fault: 'stuck' });
    using other = tunnelFixture(through(stuck.endpoint));
    const dialling = new AbortController();
    const sending = other.egress.send(get('http://gpu.flm.test/', { signal: dialling.signal }));
    const failure = sending.catch((reason: unknown) => reason);
    while (stuck.requests.length === 0) await Bun.sleep(1);
    dialling.abort('left');
    expect(await failure).toBe('left');
    await stuck.deserted();
  });

  test('the killed tunnel breaks a stream off', async () => {
    await using engine = await listenTcp((socket) =>
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n'),
      ),
    );
    await using socks = await listenSocks();
    using fixture = tunnelFixture(through(socks.endpoint));
    const { body } = await fixture.egress.send(get(`http://gpu.flm.test:${engine.port}/`));
    socks.cut();
    expect(await failureOf(body.bytes())).toBe('closed');
  });
});

describe('ways', () => {
  const rows = [
    ['http://127.0.0.1:8080', 'direct', 'direct'],
    ['http://[::1]:8080', 'direct', 'direct'],
    ['http://localhost:8080', 'direct', 'direct'],
    ['http://a.localhost:8080', 'direct', 'direct'],
    ['http://192.168.1.20:8080', 'tunnel', 'direct'],
    ['http://10.0.0.1', 'tunnel', 'direct'],
    ['http://[fd00::1]:8080', 'tunnel', 'direct'],
    ['http://93.184.216.34', 'tunnel', 'tunnel'],
    ['http://gpu.local', 'tunnel', 'tunnel'],
    ['http://localhost.example', 'tunnel', 'tunnel'],
    ['http://0.0.0.0:8080', 'tunnel', 'tunnel'],
  ] as const;
  for (const [url, way, byChoice] of rows) {
    test(`${url}: ${way}, and ${byChoice} where private addresses are to go straight`, () => {
      using fixture = tunnelFixture(through('127.0.0.1:1'));
      const { hostname } = new URL(url);
      expect(fixture.tunnel.wayTo(hostname)).toBe(way);
      fixture.settings = { ...fixture.settings, 'egress.private_addresses': 'direct' };
      expect(fixture.tunnel.wayTo(hostname)).toBe(byChoice);
      fixture.settings = { ...fixture.settings, 'egress.mode': 'direct' };
      expect(fixture.tunnel.wayTo(hostname)).toBe('direct');
    });
  }

  test('FLM-103: loopback engines never go through it', async () => {
    await using engine = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok());
    });
    using fixture = tunnelFixture(through('127.0.0.1:1'));
    expect(await textOf(fixture.egress.send(get(engine.url)))).toBe('ok');
    // Which a resolver may ask a name server for; Host stays as it was.
    const port = new URL(engine.url).port;
    expect(await textOf(fixture.egress.send(get(`http://ollama.localhost:${port}/`)))).toBe('ok');
  });

  test('a change of the settings moves new connections at once', async () => {
    await using engine = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok());
    });
    await using first = await listenSocks();
    await using second = await listenSocks();
    using fixture = tunnelFixture(through(first.endpoint));
    const url = `http://gpu.flm.test:${engine.port}/`;
    await textOf(fixture.egress.send(get(url)));
    fixture.settings = { ...fixture.settings, ...through(second.endpoint) };
    await textOf(fixture.egress.send(get(url)));
    expect([first.requests.length, second.requests.length]).toEqual([1, 1]);
    await first.deserted();
  });
});

describe('circuits', () => {
  test('Tor is given another name for each purpose and destination, and the same for the same', async () => {
    await using engine = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok('ok', 'connection: close\r\n'));
    });
    await using socks = await listenSocks();
    using fixture = tunnelFixture({ 'egress.mode': 'tor', 'egress.socks5_endpoint': socks.endpoint });
    fixture.login = { user: 'me', password: 'secret' };
    const ask = (host: string, purpose: string) =>
      fixture.egress.send(get(`http://${host}:${engine.port}/`, { purpose })).then(textOf);
    await ask('a.flm.test', 'engine');
    await ask('a.flm.test', 'engine');
    await ask('b.flm.test', 'engine');
    await ask('a.flm.test', 'download');
    const circuits = socks.requests.map(({ user, password }) => `${user}:${password}`);
    expect(new Set(circuits).size).toBe(3);
    expect(circuits[0]).toBe(circuits[1]);
    expect(circuits.join()).not.toContain('secret');
  });

  test('FLM-106: an endpoint of the owner counts for Tor, too; socks5 makes none up', async () => {
    using tor = tunnelFixture({ 'egress.mode': 'tor', 'egress.socks5_endpoint': '127.0.0.1:9999' });
    expect(tor.tunnel.view().endpoint).toBe('tor://127.0.0.1:9999');
    tor.settings = { ...tor.settings, 'egress.socks5_endpoint': '' };
    await tor.tunnel.refresh();
    expect(tor.tunnel.view().endpoint).toBe('tor://127.0.0.1:9050');
    using socks5 = tunnelFixture({ 'egress.mode': 'socks5', 'egress.fail_open': true });
    expect(await failureOf(socks5.egress.send(get('http://gpu.flm.test/')))).toBe('tunnel');
    // That nobody has said where it is is no reason to go around it.
    expect(socks5.tunnel.isBypassed()).toBe(false);
    expect(socks5.lookedUp).toEqual([]);
  });
});

describe('logins', () => {
  const login = { user: 'me', password: 'sécret' };

  test('a server that wants one gets it', async () => {
    await using engine = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok());
    });
    await using socks = await listenSocks({ login });
    using fixture = tunnelFixture(through(socks.endpoint));
    fixture.login = login;
    expect(await textOf(fixture.egress.send(get(`http://gpu.flm.test:${engine.port}/`)))).toBe('ok');
    expect(await fixture.tunnel.greet()).toBeGreaterThanOrEqual(0);
  });

  for (const [what, held] of [
    ['none', null],
    ['a wrong one', { user: 'me', password: 'wrong' }],
  ] as const) {
    test(`with ${what} the tunnel is down, and the reason says what to do`, async () => {
      await using socks = await listenSocks({ login });
      using fixture = tunnelFixture(through(socks.endpoint));
      fixture.login = held;
      const error = await thrown(fixture.egress.send(get('http://gpu.flm.test/')));
      expect(error).toBeInstanceOf(EgressError);
      expect(String(error)).toContain('flm egress login set');
      // Nor what caused it: whoever keeps the error for a log keeps that, too.
      expect(JSON.stringify(error instanceof Error ? (error.cause ?? null) : error)).not.toContain('wrong');
      expect(String(error)).not.toContain('wrong');
      expect(String(await thrown(fixture.tunnel.greet()))).toContain('flm egress login set');
    });
  }
});

describe('faults', () => {
  const rows: readonly (readonly [string, SocksOptions, string])[] = [
    ['says nothing', { fault: 'mute' }, 'tunnel'],
    ['is no SOCKS server', { fault: 'stranger' }, 'tunnel'],
    ['hangs up', { fault: 'hangs-up' }, 'tunnel'],
    ['takes the request and does not answer', { fault: 'stuck' }, 'timeout'],
    ['hangs up at the request', { fault: 'drops' }, 'closed'],
    ['finds nobody there', { lead: () => null, code: 5 }, 'refused'],
    ['finds no such host', { lead: () => null, code: 4 }, 'unreachable'],
    ['has no route', { lead: () => null, code: 3 }, 'unreachable'],
    ['fails', { lead: () => null, code: 1 }, 'unreachable'],
    ['does not let us', { lead: () => null, code: 2 }, 'unreachable'],
    ['says something that is not in the RFC', { lead: () => null, code: 0xf0 }, 'unreachable'],
  ];
  for (const [what, options, kind] of rows) {
    test(`a server that ${what}: ${kind}`, async () => {
      await using socks = await listenSocks(options);
      using fixture = tunnelFixture({ ...through(socks.endpoint), 'egress.connect_timeout_ms': 1_000 });
      expect(await failureOf(fixture.egress.send(get('http://gpu.flm.test/')))).toBe(kind as never);
      await socks.deserted();
    });
  }

  test('nobody listens there: tunnel', async () => {
    await using closed = await listenTcp(() => {});
    const { port } = closed;
    await closed[Symbol.asyncDispose]();
    using fixture = tunnelFixture(through(`127.0.0.1:${port}`));
    expect(await failureOf(fixture.egress.send(get('http://gpu.flm.test/')))).toBe('tunnel');
  });
});

describe('a tunnel that is lost', () => {
  /** A server that can be closed and come back on its port. */
  async function restartable() {
    let socks = await listenSocks();
    const { port, endpoint } = socks;
    return {
      endpoint,
      close: async () => {
        socks.cut();
        await socks[Symbol.asyncDispose]();
      },
      open: async () => {
        socks = await listenSocks({ port });
      },
    };
  }

  test('FLM-104, FLM-105: nothing leaves, at once and on record; loopback goes on; it comes back by itself', async () => {
    await using engine = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok());
    });
    const socks = await restartable();
    using fixture = tunnelFixture(through(socks.endpoint));
    await fixture.tunnel.start(false);
    expect(fixture.tunnel.view()).toMatchObject({ state: 'up', losses: 0, reason: null });
    const remote = `http://gpu.flm.test:${engine.port}/`;
    expect(await textOf(fixture.egress.send(get(remote)))).toBe('ok');

    const lost = fixture.recorded('egress.tunnel_lost');
    await socks.close();
    expect(await lost).toMatchObject({ severity: 'high', target: 'proxy.egress' });
    expect(fixture.tunnel.view()).toMatchObject({
      state: 'down',
      losses: 1,
      reason: 'nothing listens there',
    });
    expect(await failureOf(fixture.egress.send(get(remote)))).toBe('tunnel');
    expect(await textOf(fixture.egress.send(get(engine.url)))).toBe('ok');
    expect(fixture.lookedUp).toEqual([]);

    const back = fixture.recorded('egress.tunnel_back');
    await socks.open();
    expect(await back).toMatchObject({ severity: 'low' });
    expect(await textOf(fixture.egress.send(get(remote)))).toBe('ok');
    expect(fixture.audit.map(({ type }) => type)).toEqual(['egress.tunnel_lost', 'egress.tunnel_back']);
    expect(fixture.events.map(({ state }) => state)).toEqual(['up', 'down', 'up']);
    await socks.close();
  });

  test('FLM-104: where the owner said so requests go straight, which is on record, and back when it is back', async () => {
    const socks = await restartable();
    using fixture = tunnelFixture({ ...through(socks.endpoint), 'egress.fail_open': true });
    await fixture.tunnel.start(false);
    const opened = fixture.recorded('egress.fail_open_used');
    await socks.close();
    expect(await opened).toMatchObject({ severity: 'medium', target: 'proxy.egress' });
    expect(fixture.tunnel.view().state).toBe('bypassed');
    expect(fixture.tunnel.wayTo('gpu.flm.test')).toBe('direct');
    // The name is looked up here now, and refused as what it is.
    expect(await thrown(fixture.egress.checkEngineUrl('http://gpu.flm.test/'))).toBeInstanceOf(FlmError);
    expect(fixture.lookedUp).toEqual(['gpu.flm.test']);
    // Not `localhost`, which is never asked through the tunnel anyway.
    expect(await failureOf(fixture.egress.send(get('http://no.such.name.invalid/')))).toBe('unreachable');
    const back = fixture.recorded('egress.tunnel_back');
    await socks.open();
    await back;
    expect(fixture.tunnel.wayTo('gpu.flm.test')).toBe('tunnel');
    await socks.close();
  });

  test('a request that finds it lost goes around it at once, where it may', async () => {
    await using engine = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok());
    });
    // Nobody watches it: the request itself finds out.
    using fixture = tunnelFixture({ ...through('127.0.0.1:1'), 'egress.fail_open': true });
    const remote = `http://[::ffff:127.0.0.1]:${engine.port}/`;
    expect(fixture.tunnel.wayTo(new URL(remote).hostname)).toBe('direct');
    const refused = await thrown(
      fixture.egress.download('http://media.flm.test/', { maxBytes: 10, timeoutMs: 5_000 }),
    );
    // Checked as what goes straight out: the name has to lead somewhere public.
    expect(refused).toMatchObject({ code: 'EGRESS_REFUSED' });
    expect(fixture.lookedUp).toEqual(['media.flm.test']);
  });

  test('FLM-104: a start is refused, unless it is patient or may go around it', async () => {
    using strict = tunnelFixture(through('127.0.0.1:1'));
    const error = await thrown(strict.tunnel.start(false));
    expect(error).toMatchObject({ code: 'PROXY_INVALID_CONFIG' });
    expect(String(error)).toContain('socks5://127.0.0.1:1');
    expect(strict.audit.map(({ type }) => type)).toEqual(['egress.tunnel_lost']);

    using patient = tunnelFixture(through('127.0.0.1:1'));
    await patient.tunnel.start(true);
    expect(patient.tunnel.view().state).toBe('down');

    using open = tunnelFixture({ ...through('127.0.0.1:1'), 'egress.fail_open': true });
    await open.tunnel.start(false);
    expect(open.audit.map(({ type }) => type)).toEqual(['egress.tunnel_lost', 'egress.fail_open_used']);
  });

  test('a server that accepts and says nothing is not there', async () => {
    await using socks = await listenSocks({ fault: 'mute' });
    using fixture = tunnelFixture(through(socks.endpoint));
    expect(await fixture.tunnel.whyUnusable(fixture.settings)).toBe('it does not answer in time');
    expect(socks.accepted()).toBe(3);
  }, 12_000);
});

describe('downloads', () => {
  const limits = { maxBytes: 1_000, timeoutMs: 5_000 };
  for (const host of [
    '127.0.0.1',
    'localhost',
    'a.localhost',
    '[::1]',
    '192.168.1.1',
    '169.254.169.254',
    '[::ffff:10.0.0.1]',
    'nas',
    'nas.local',
    'metadata.google.internal',
    'router.home.arpa',
    'x.localdomain.',
  ]) {
    test(`of ${host} are refused without asking anybody`, async () => {
      await using socks = await listenSocks();
      using fixture = tunnelFixture(through(socks.endpoint));
      expect(await thrown(fixture.egress.download(`http://${host}/x`, limits))).toMatchObject({
        code: 'EGRESS_REFUSED',
      });
      expect(socks.accepted()).toBe(0);
      expect(fixture.lookedUp).toEqual([]);
    });
  }

  test('go through it, and so do their redirects, of which none may lead into a private network', async () => {
    await using server = await listenRequests(({ socket, head }, done) => {
      done();
      const [, path = ''] = head.split(' ');
      if (path === '/a')
        socket.write('HTTP/1.1 302 Found\r\nlocation: http://b.flm.test/b\r\ncontent-length: 0\r\n\r\n');
      else if (path === '/c')
        socket.write('HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n');
      else socket.write(ok('a cat', 'content-type: image/png\r\n'));
    });
    await using socks = await listenSocks({ lead: () => ({ host: '127.0.0.1', port: server.port }) });
    using fixture = tunnelFixture(through(socks.endpoint));
    const { bytes, contentType } = await fixture.egress.download('http://a.flm.test/a', limits);
    expect([Buffer.from(bytes).toString(), contentType]).toEqual(['a cat', 'image/png']);
    expect(await thrown(fixture.egress.download('http://a.flm.test/c', limits))).toMatchObject({
      code: 'EGRESS_REFUSED',
    });
    expect(socks.requests.map(({ host }) => host)).not.toContain('10.0.0.1');
    expect(fixture.lookedUp).toEqual([]);
  });
});

test('RFC 7686: an onion name is never looked up, and goes to the tunnel where there is one', async () => {
  await using socks = await listenSocks();
  using fixture = tunnelFixture({});
  const url = 'http://abcdefghijklmnop.onion/';
  expect(await thrown(fixture.egress.checkEngineUrl(url))).toMatchObject({ code: 'EGRESS_REFUSED' });
  expect(await failureOf(fixture.egress.send(get(url)))).toBe('unreachable');
  expect(fixture.lookedUp).toEqual([]);
  fixture.settings = { ...fixture.settings, 'egress.mode': 'tor', 'egress.socks5_endpoint': socks.endpoint };
  expect((await fixture.egress.checkEngineUrl(url)).address).toBe('abcdefghijklmnop.onion');
});
