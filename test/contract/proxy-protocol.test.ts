/** Behind TCP proxies that say who has come to them: real ones, and bytes of the test's own; limits and logs have the told address. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { EventOf } from '../../src/lib/bus';
import type { Mode } from '../../src/listeners';
import { eventually } from '../support/eventually';
import { isMissing } from '../support/missing';
import { missingTcpProxy, PROXY_ADDRESS, startTcpProxy, TCP_PROXIES } from '../support/tcp-proxy';
import { type Gateway, type GatewayOptions, startGateway } from './support/gateway';
import { connectRaw, headerOf, type RawClient } from './support/raw';

setDefaultTimeout(30_000);

const UNTOLD = '100::1';
const BANNED = '203.0.113.9';
const OTHER = '203.0.113.10';
const header = (ip: string, port = 4_711) => `PROXY TCP4 ${ip} 127.0.0.1 ${port} 8080\r\n`;

function behindProxy(mode: Mode, more: GatewayOptions = {}): Promise<Gateway> {
  const settings = { 'proxy.trusted_proxies': [PROXY_ADDRESS] };
  return startGateway({ mode, settings, clients: { proxyProtocol: true }, ...more });
}

const portOf = (gateway: Gateway) => Number(new URL(gateway.url).port);

async function from(gateway: Gateway, localAddress: string, bytes: string): Promise<RawClient> {
  const client = await connectRaw(`http://127.0.0.1:${portOf(gateway)}`, localAddress);
  client.send(bytes);
  return client;
}

function request(gateway: Gateway, path = '/v1/models', ...headers: readonly string[]): string {
  const lines = ['Host: localhost', `Authorization: ${gateway.auth[1]}`, ...headers];
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** Status of one request on a connection of its own. */
async function ask(gateway: Gateway, localAddress: string, bytes: string): Promise<number> {
  const client = await from(gateway, localAddress, bytes);
  const { status } = await client.read();
  client.close();
  return status;
}

const ips = (gateway: Gateway) => gateway.account().finished.map(({ ip }) => ip);

const MODES = ['local-http', 'packaged-ca'] as const;
for (const kind of TCP_PROXIES) {
  const isSkipped = isMissing(`the PROXY protocol of ${kind}`, await missingTcpProxy(kind));
  describe.skipIf(isSkipped)(kind, () => {
    test.each(MODES)('in front of %s: each client is who it is', async (mode) => {
      await using gateway = await behindProxy(mode);
      await using proxy = await startTcpProxy(kind, portOf(gateway));
      const { roots } = await gateway.app.certs.status().catch(() => ({ roots: [] }));
      const scheme = new URL(gateway.url).protocol;
      const word = mode === 'local-http' ? [] : ['--cacert', '/dev/stdin'];
      for (const ip of ['127.0.0.7', '127.0.0.8']) {
        const target = [`${scheme}//localhost:${proxy.port}/v1/models`, '-H', `${gateway.auth.join(': ')}`];
        const command = ['curl', '-sS', '-4', '-m', '20', '--noproxy', '*', '--interface', ip, ...word];
        const child = Bun.spawn([...command, '-o', '/dev/null', '-w', '%{http_code}', ...target], {
          stdin: Buffer.from(roots[0]?.certificate_pem ?? ''),
          stdout: 'pipe',
          stderr: 'inherit',
        });
        expect(await new Response(child.stdout).text()).toBe('200');
      }
      expect(ips(gateway)).toEqual(['127.0.0.7', '127.0.0.8']);
    });
  });
}

describe.each(MODES)('in front of %s', (mode) => {
  /** As ask, through TLS where that is spoken: the header stands before the handshake. */
  async function say(gateway: Gateway, localAddress: string, first: string, then: string): Promise<number> {
    if (mode === 'local-http') return ask(gateway, localAddress, first + then);
    const socket = connectTcp({ port: portOf(gateway), host: '127.0.0.1', localAddress });
    socket.write(Buffer.from(first, 'latin1'));
    const secure = connectTls({ socket, servername: 'localhost', rejectUnauthorized: false });
    const { promise, resolve } = Promise.withResolvers<number>();
    let text = '';
    secure.on('data', (data) => {
      text += data.toString('latin1');
      const status = /^HTTP\/1\.1 (\d+)/.exec(text)?.[1];
      if (status !== undefined) resolve(Number(status));
    });
    for (const end of ['error', 'close']) for (const each of [secure, socket]) each.on(end, () => resolve(0));
    secure.write(then);
    const status = await promise;
    socket.destroy();
    return status;
  }

  test('who is banned stays out, and nobody else', async () => {
    await using gateway = await behindProxy(mode, {
      isExposed: true,
      settings: {
        'proxy.trusted_proxies': [PROXY_ADDRESS],
      },
    });
    await gateway.app.security.ban({ ip: BANNED, reason: 'test' });
    expect(await say(gateway, PROXY_ADDRESS, header(BANNED), request(gateway))).toBe(403);
    expect(await say(gateway, PROXY_ADDRESS, header(OTHER), request(gateway))).toBe(200);
    // The word of a client that the proxy has named is no proxy's.
    const forwarded = request(gateway, '/v1/models', `X-Forwarded-For: ${OTHER}`);
    expect(await say(gateway, PROXY_ADDRESS, header(BANNED), forwarded)).toBe(403);
    // Nor is that of somebody whom it cannot name.
    await say(gateway, PROXY_ADDRESS, 'PROXY UNKNOWN\r\n', forwarded);
    expect(ips(gateway).at(-1)).toBe(UNTOLD);
    // Only somebody who is not to be believed would say it from here: there is no answer, or none that does anything.
    for (const liar of ['127.0.0.6', '127.0.0.1'])
      expect([0, 400]).toContain(await say(gateway, liar, header(OTHER), request(gateway)));
    expect(ips(gateway).filter((ip) => ip === OTHER).length).toBe(1);
    // It is not asked to: its own address is its own.
    expect(await say(gateway, '127.0.0.6', '', request(gateway))).toBe(200);
    expect(ips(gateway).at(-1)).toBe('127.0.0.6');
  });

  test('metrics are open to this machine, not to whom nobody can name', async () => {
    await using gateway = await behindProxy(mode);
    const metrics = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';
    expect(await say(gateway, PROXY_ADDRESS, 'PROXY UNKNOWN\r\n', metrics)).toBe(401);
    expect(await say(gateway, PROXY_ADDRESS, header('203.0.113.9'), metrics)).toBe(401);
    const local = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex').toString('latin1');
    expect(await say(gateway, PROXY_ADDRESS, local, metrics)).toBe(401);
    expect(await say(gateway, PROXY_ADDRESS, header('127.0.0.1'), metrics)).toBe(200);
  });
});

describe.skipIf(process.platform !== 'linux')('the watch over connections', () => {
  const connections = { enabled: true, max_per_address: 4, header_timeout_s: 2 };

  test('blames whoever came to the proxy, and leaves the others alone', async () => {
    await using gateway = await behindProxy('local-http');
    const signals: EventOf<'security.signal'>[] = [];
    gateway.app.bus.subscribe('security.signal', (signal) => signals.push(signal));
    await gateway.app.policy.set({ document: { connections } });
    const many = (count: number, ip: string) =>
      Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const client = await from(gateway, PROXY_ADDRESS, header(ip, index + 1) + request(gateway));
          expect((await client.read()).status).toBe(200);
          return client;
        }),
      );
    const honest = await many(4, OTHER);
    const crowd = await many(12, BANNED);
    await eventually(() => crowd.filter((client) => client.ended()).length === 8);
    expect(honest.filter((client) => client.ended()).length).toBe(0);
    await eventually(() => signals.length > 0);
    expect(new Set(signals.map(({ ip, pattern }) => `${ip} ${pattern}`))).toEqual(
      new Set([`${BANNED} address_limit`]),
    );
    for (const client of [...honest, ...crowd]) client.close();
  });

  test('does not cut a request that somebody works on, and cuts one that does not end', async () => {
    await using gateway = await behindProxy('local-http');
    await gateway.addFake('llamacpp', { tokens: 4, tokenDelayMs: 1_500 });
    await gateway.app.policy.set({ document: { connections } });
    const body = JSON.stringify({
      model: 'smollm2-135m-instruct',
      stream: true,
      messages: [{ role: 'user', content: 'Hello' }],
    });
    const head = request(gateway, '/', `Content-Length: ${body.length}`, 'Content-Type: application/json');
    const post = head.replace('GET / ', 'POST /v1/chat/completions ') + body;
    const served = await from(gateway, PROXY_ADDRESS, header(OTHER) + post);
    const slow = await from(gateway, PROXY_ADDRESS, `${header(BANNED)}POST /v1/chat`);
    await slow.until(slow.ended, 20_000);
    await served.read({ timeoutMs: 20_000 });
    expect(served.received().toString('latin1')).toContain('[DONE]');
  });
});

test('the port that leads to HTTPS speaks it, too', async () => {
  await using gateway = await behindProxy('packaged-ca');
  const { items } = await gateway.app.proxies.list();
  const url = `http://127.0.0.1:${items[0]?.port}`;
  for (const [address, first] of [
    [PROXY_ADDRESS, header(OTHER)],
    ['127.0.0.6', ''],
  ] as const) {
    const client = await connectRaw(url, address);
    client.send(`${first}GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const answer = await client.read();
    expect([answer.status, headerOf(answer, 'location')]).toEqual([308, `${gateway.url}/v1/models`]);
    client.close();
  }
});

test('nobody is believed without being named, so it does not start', async () => {
  await using gateway = await startGateway();
  await expect(gateway.app.proxies.start({ port: 9, proxy_protocol: true })).rejects.toMatchObject({
    code: 'PROXY_INVALID_CONFIG',
    message: expect.stringContaining('--trusted-proxy'),
  });
});
