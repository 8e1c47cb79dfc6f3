/**
 * Clients that are slow in every way there is, on bare sockets against the listener itself (FLM-115 as design §6 has it):
 * they are cut, and nobody else is. Time runs eight times as fast for FLM.
 */
import { describe, expect, test } from 'bun:test';
import { createBus, type EventOf } from '../../src/lib/bus';
import { systemClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { createConnections } from '../../src/listeners';
import { ONION_PEER } from '../../src/listeners/onion';
import { listen } from '../../src/listeners/proxy';
import type { PolicyDocument } from '../../src/policy/model';
import { connectRaw, type RawClient } from './support/raw';
import { until } from './support/until';

const SPEED = 8;
const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() * SPEED };
const HEADER_TIMEOUT_S = 4;
/** In real time. */
const TIMEOUT_MS = (HEADER_TIMEOUT_S * 1_000) / SPEED;
/** Longer than a look at all connections takes. */
const LOOK_MS = 700;

const HEAD = 'Host: localhost\r\n';
const HEALTH = `GET /health HTTP/1.1\r\n${HEAD}\r\n`;

interface Peer {
  readonly address: string;
  readonly port: number;
}

interface Options {
  readonly connections?: PolicyDocument['connections'];
  readonly never?: string[];
  readonly isExposed?: boolean;
  readonly maxConnections?: number;
  readonly trustedProxies?: readonly string[];
  readonly bind?: string;
  /** Whether a tor leads there, and nobody else comes. */
  readonly isOnion?: boolean;
}

/** A listener whose connections are watched. /slow answers when `release` is called, /big with 64 MB, /stream for ever. */
function start(options: Options = {}) {
  const closers: (() => void | Promise<void>)[] = [];
  const { connections = {}, isExposed = true, bind = '127.0.0.1', isOnion = false } = options;
  const served = new Set<Peer>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const listener = listen({
    bind,
    port: 0,
    isExposed,
    handler: {
      async fetch(request, server) {
        const from = server.requestIP(request);
        const peer = from === null || !isOnion ? from : { ...from, address: ONION_PEER };
        if (peer === null) return new Response(null, { status: 400 });
        const { pathname } = new URL(request.url);
        if (pathname === '/big') return new Response(new Uint8Array(64 * 1024 * 1024));
        if (pathname === '/anonymous') return new Response('who?', { status: 401 });
        if (pathname === '/health') return new Response('ok');
        served.add(peer);
        server.timeout(request, 0);
        if (pathname === '/stream') {
          const body = new ReadableStream<string>({
            start: (controller) => controller.enqueue('data: 1\n\n'),
            cancel: () => void served.delete(peer),
          });
          return new Response(body);
        }
        await released;
        served.delete(peer);
        return new Response('done');
      },
    },
  });
  closers.push(async () => {
    release();
    await listener.stop(async () => {}, 0);
  });
  const bus = createBus();
  const signals: EventOf<'security.signal'>[] = [];
  bus.subscribe('security.signal', (signal) => signals.push(signal));
  const document: PolicyDocument = {
    connections: { header_timeout_s: HEADER_TIMEOUT_S, ...connections },
    ip_blocklist: { never: options.never ?? [] },
  };
  const policy = { version: 1, document };
  const watched = createConnections({
    policy: () => policy,
    isExposed: () => isExposed,
    config: () => ({ 'proxy.max_connections': options.maxConnections ?? 10_000 }),
    ports: () => (isOnion ? [] : [listener.port]),
    frontPorts: () => [],
    clientAt: (outer) => outer,
    onionPorts: () => (isOnion ? [listener.port] : []),
    trustedProxies: () => options.trustedProxies ?? [],
    mayServe: (port) => [...served].some((peer) => peer.port === port),
    visitServed(visit) {
      for (const { address, port } of served) visit(address, port);
    },
    clock,
    bus,
    log: silentLog,
  });
  closers.push(watched.close);
  const host = bind.includes(':') ? '[::1]' : '127.0.0.1';
  const url = `http://${host}:${listener.port}`;
  const connect = async (localAddress?: string): Promise<RawClient> => {
    const client = await connectRaw(url, localAddress);
    closers.push(() => client.reset());
    return client;
  };
  return {
    watched,
    signals,
    served,
    release,
    port: listener.port,
    connect,
    /** Closes with all the rest. */
    onClose: (close: () => void) => void closers.push(close),
    async [Symbol.asyncDispose]() {
      for (const close of closers.reverse()) await close();
    },
  };
}

const text = (client: RawClient) => client.received().toString('latin1');
const total = (cut: Readonly<Record<string, number>>) => Object.values(cut).reduce((a, b) => a + b, 0);

/** Sends a byte now and then for as long as it lasts. */
function drip(client: RawClient): void {
  // It ends with the connection, which the test closes.
  const timer = setInterval(() => (client.ended() ? clearInterval(timer) : client.send('x')), 50);
}

describe.concurrent.skipIf(process.platform !== 'linux')('slow requests', () => {
  test('a connection on which nothing comes is closed without a word', async () => {
    await using server = start();
    const { watched, signals, connect } = server;
    const client = await connect();
    await client.until(client.ended);
    expect([text(client), watched.cut.silent]).toEqual(['', 1]);
    // Browsers do that all the time.
    expect(signals).toEqual([]);
  });

  test.each([
    ['stops within its first line', 'GET /hea', false],
    ['stops within its headers', `GET /health HTTP/1.1\r\n${HEAD}X-A: `, false],
    ['drips its headers', `GET /health HTTP/1.1\r\n${HEAD}X-A: `, true],
  ])('a request that %s gets 408', async (_, beginning, drips) => {
    await using server = start();
    const { watched, signals, connect } = server;
    const client = await connect();
    client.send(beginning);
    if (drips) drip(client);
    await client.until(client.ended);
    expect(text(client)).toStartWith('HTTP/1.1 408 Request Timeout\r\n');
    expect(watched.cut).toMatchObject({ slow_request: 1, silent: 0 });
    await until(() => signals.length > 0);
    expect(signals).toMatchObject([{ ip: '127.0.0.1', kind: 'resource', pattern: 'slow_request', total: 1 }]);
  });

  test('so does the second request of a connection', async () => {
    await using server = start();
    const { watched, connect } = server;
    const client = await connect();
    client.send(HEALTH);
    await client.read();
    client.send(`GET /health HTTP/1.1\r\n${HEAD}X-A: `);
    drip(client);
    await client.until(client.ended);
    expect(text(client)).toInclude('ok');
    expect(text(client)).toInclude('HTTP/1.1 408 ');
    expect(watched.cut.slow_request).toBe(1);
  });

  test('so does the body that nobody wants any more', async () => {
    await using server = start();
    const { watched, connect } = server;
    const client = await connect();
    client.send(`POST /anonymous HTTP/1.1\r\n${HEAD}Content-Length: 9999\r\n\r\n`);
    await client.read();
    drip(client);
    await client.until(client.ended);
    expect(watched.cut.slow_request).toBe(1);
  });

  test('an answer that nobody takes is given up', async () => {
    await using server = start();
    const { watched, connect } = server;
    const client = await connect();
    client.pause();
    client.send(`GET /big HTTP/1.1\r\n${HEAD}\r\n`);
    await until(() => watched.cut.unread_answer === 1, 20_000);
  }, 30_000);
});

describe.concurrent.skipIf(process.platform !== 'linux')('never cut', () => {
  test('requests that engines work on, silent streams, idle connections, slow readers', async () => {
    await using server = start();
    const { watched, connect, served, release } = server;
    const [working, stream, idle, reader] = [
      await connect(),
      await connect(),
      await connect(),
      await connect(),
    ];
    working.send(`POST /slow HTTP/1.1\r\n${HEAD}Content-Length: 3\r\n\r\nabc`);
    stream.send(`GET /stream HTTP/1.1\r\n${HEAD}\r\n`);
    idle.send(HEALTH);
    reader.pause();
    reader.send(`GET /big HTTP/1.1\r\n${HEAD}\r\n`);
    const sips = setInterval(() => {
      reader.resume();
      setTimeout(() => reader.pause(), 1);
    }, 100);
    server.onClose(() => clearInterval(sips));
    await until(() => served.size === 2);
    // Time itself is what is tested.
    await Bun.sleep(6 * TIMEOUT_MS);
    expect([total(watched.cut), working.ended(), stream.ended(), idle.ended(), reader.ended()]).toEqual([
      0,
      false,
      false,
      false,
      false,
    ]);
    release();
    expect((await working.read()).body.toString()).toBe('done');
    idle.send(HEALTH);
    await idle.until(() => text(idle).split('ok').length === 3);
  });

  test('requests over IPv4 that came in where IPv6 listens', async () => {
    await using server = start({ bind: '::' });
    const { watched, port, served, release } = server;
    const client = await connectRaw(`http://127.0.0.1:${port}`);
    server.onClose(() => client.reset());
    client.send(`POST /slow HTTP/1.1\r\n${HEAD}Content-Length: 3\r\n\r\nabc`);
    await until(() => served.size === 1);
    await Bun.sleep(4 * TIMEOUT_MS);
    expect([total(watched.cut), client.ended()]).toEqual([0, false]);
    release();
    expect((await client.read()).body.toString()).toBe('done');
  });

  test('anybody while the policy says no, or nobody can come from elsewhere', async () => {
    await using off = start({ connections: { enabled: false } });
    await using local = start({ isExposed: false });
    const clients = [await off.connect(), await local.connect()];
    for (const client of clients) client.send('GET /');
    await Bun.sleep(3 * TIMEOUT_MS);
    expect(clients.map((client) => client.ended())).toEqual([false, false]);
    expect([off.watched.guard(), local.watched.guard()]).toEqual(['off', 'off']);
    expect([off.watched.open(), off.watched.minBodyBytesPerSecond()]).toEqual([null, null]);
  });

  test('on loopback either, unless the policy says so', async () => {
    await using server = start({ isExposed: false, connections: { enabled: true } });
    const { watched, connect } = server;
    const client = await connect();
    await client.until(client.ended);
    expect([watched.guard(), watched.cut.silent]).toEqual(['on', 1]);
  });
});

describe.concurrent.skipIf(process.platform !== 'linux')('too many', () => {
  const long = { header_timeout_s: 3_600, max_per_address: 3 };

  async function fill(connect: (address?: string) => Promise<RawClient>, count: number, address: string) {
    const clients: RawClient[] = [];
    for (let i = 0; i < count; i++) clients.push(await connect(address));
    for (const client of clients) client.send('GET /');
    return clients;
  }

  test('of an onion service: all its visitors may have half of what there is, and whoever is served stays', async () => {
    await using server = start({ connections: long, isOnion: true, maxConnections: 12 });
    const { watched, signals, served, release, connect } = server;
    const honest = await connect();
    honest.send(`GET /slow HTTP/1.1\r\n${HEAD}\r\n`);
    await until(() => served.size === 1);
    // More than one address may have.
    const first = await fill(connect, 6, '127.0.0.1');
    await Bun.sleep(LOOK_MS);
    expect(total(watched.cut)).toBe(0);
    await fill(connect, 2, '127.0.0.1');
    await until(() => watched.cut.address_limit === 2, 3_000);
    await until(() => first.filter((client) => client.ended()).length === 2);
    expect(watched.cut).toMatchObject({ address_limit: 2, total_limit: 0 });
    expect(new Set(signals.map(({ ip }) => ip))).toEqual(new Set([ONION_PEER]));
    release();
    await until(() => text(honest).includes('done'));
  });

  test('of one address: those that wait longest go, others and other addresses stay', async () => {
    await using server = start({ connections: long });
    const { watched, signals, connect } = server;
    const early = await fill(connect, 4, '127.0.0.7');
    await until(() => watched.cut.address_limit === 1);
    const late = await fill(connect, 2, '127.0.0.7');
    const elsewhere = await fill(connect, 3, '127.0.0.8');
    await until(() => watched.cut.address_limit === 3, 3_000);
    await Bun.sleep(LOOK_MS);
    expect([...late, ...elsewhere].map((client) => client.ended())).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
    expect(early.filter((client) => client.ended()).length).toBe(3);
    expect(watched.open()).toBe(6);
    const words = early.filter((client) => client.ended()).map((client) => text(client).split('\r\n', 1)[0]);
    expect(words).toEqual(Array(3).fill('HTTP/1.1 429 Too Many Requests'));
    // Three were cut within a minute of FLM's time, and told of once.
    expect(signals).toMatchObject([{ ip: '127.0.0.7', pattern: 'address_limit', severity: 'medium' }]);
  });

  test('idle ones go last, and those with a request under way neither go nor count', async () => {
    await using server = start({ connections: long });
    const { watched, connect, served } = server;
    const busy = [await connect('127.0.0.7'), await connect('127.0.0.7'), await connect('127.0.0.7')];
    for (const client of busy) client.send(`GET /slow HTTP/1.1\r\n${HEAD}\r\n`);
    await until(() => served.size === 3);
    const idle = [await connect('127.0.0.7'), await connect('127.0.0.7')];
    for (const client of idle) {
      client.send(HEALTH);
      await client.read();
    }
    const slow = await fill(connect, 3, '127.0.0.7');
    await until(() => watched.cut.address_limit === 2, 3_000);
    await Bun.sleep(LOOK_MS);
    expect(slow.filter((client) => client.ended()).length).toBe(2);
    expect([...busy, ...idle].some((client) => client.ended())).toBe(false);
    expect(watched.cut.address_limit).toBe(2);
  });

  test('may come from a reverse proxy, and from whom the policy never bans', async () => {
    await using server = start({
      connections: long,
      trustedProxies: ['127.0.0.7'],
      never: ['127.0.0.8/31'],
    });
    const { watched, connect } = server;
    await fill(connect, 6, '127.0.0.7');
    await fill(connect, 6, '127.0.0.9');
    await until(() => watched.open() === 12);
    await Bun.sleep(LOOK_MS);
    expect([total(watched.cut), watched.open()]).toEqual([0, 12]);
  });

  test('in all: proxy.max_connections', async () => {
    await using server = start({ connections: long, maxConnections: 4 });
    const { watched, connect } = server;
    for (const address of ['127.0.0.7', '127.0.0.8', '127.0.0.9']) await fill(connect, 2, address);
    await until(() => watched.cut.total_limit === 2, 3_000);
    await until(() => watched.open() === 4);
    expect(watched.cut.address_limit).toBe(0);
  });

  test('over IPv6, and IPv4 within it', async () => {
    await using server = start({ connections: long, bind: '::' });
    const { watched, connect, port, signals } = server;
    const mapped = await connectRaw(`http://127.0.0.1:${port}`);
    server.onClose(() => mapped.reset());
    mapped.send('GET /');
    for (let i = 0; i < 5; i++) (await connect()).send('GET /');
    await until(() => watched.cut.address_limit === 2, 3_000);
    await until(() => signals.length > 0);
    expect([mapped.ended(), signals[0]?.ip, watched.open()]).toEqual([false, '::1', 4]);
  });
});
