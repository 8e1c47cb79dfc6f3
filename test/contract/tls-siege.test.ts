/**
 * What is thrown at the ports of a proxy with TLS by those who do not want to be served: clear answers, nothing left behind, and
 * honest clients served meanwhile.
 */

import { heapStats } from 'bun:jsc';
import { expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { eventually } from '../support/eventually';
import { type Gateway, startGateway } from './support/gateway';
import { connectRaw } from './support/raw';

setDefaultTimeout(120_000);

/** The first bytes of a ClientHello that promises more. */
const HALF_HELLO = Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3);
const CROWD = 1_000;
const ROUNDS = 4;

const descriptors = () => readdirSync('/proc/self/fd').length;

function connections(): number {
  Bun.gc(true);
  const { TLSSocket = 0, TCPSocket = 0, Socket = 0 } = heapStats().objectTypeCounts;
  return TLSSocket + TCPSocket + Socket;
}

/** Milliseconds until a new connection has its answer; it fails the test where there is none. */
async function honest(gateway: Gateway, ca: string): Promise<number> {
  const startedMs = performance.now();
  const response = await fetch(`${gateway.url}/v1/models`, {
    headers: [[...gateway.auth]],
    tls: { ca },
    keepalive: false,
  });
  expect(response.status).toBe(200);
  await response.text();
  return performance.now() - startedMs;
}

/** Half of them say nothing, half of them begin; each resolves when it is there, or was cut. */
function crowd(port: number, localAddress: string): Promise<Socket[]> {
  return Promise.all(
    Array.from(
      { length: CROWD },
      (_, index) =>
        new Promise<Socket>((resolve) => {
          const socket = connectTcp({ port, host: '127.0.0.1', localAddress }, () => {
            if (index % 2 === 0) socket.write(HALF_HELLO);
            resolve(socket);
          });
          socket.on('error', () => resolve(socket));
        }),
    ),
  );
}

test.skipIf(process.platform !== 'linux')(
  '1,000 half-open handshakes, again and again: honest clients are served, and nothing is left',
  async () => {
    await using gateway = await startGateway({ mode: 'packaged-ca' });
    const { roots } = await gateway.app.certs.status();
    const ca = roots[0]?.certificate_pem ?? '';
    const port = Number(new URL(gateway.url).port);
    await honest(gateway, ca);
    const before = { descriptors: descriptors(), connections: connections() };
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const sockets = await crowd(port, `127.0.0.${20 + round}`);
      for (let n = 0; n < 5; n++) times.push(await honest(gateway, ca));
      for (const socket of sockets) socket.destroy();
      await eventually(() => descriptors() <= before.descriptors + 8);
    }
    await eventually(() => connections() <= before.connections + 100, 20_000, 200);
    const after = { descriptors: descriptors(), connections: connections() };
    console.log(`      slowest of ${times.length}: ${Math.max(...times).toFixed(0)} ms`, before, after);
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 8);
  },
);

test('plain HTTP at the TLS port, and everything else that is no handshake, is told so and closed', async () => {
  await using gateway = await startGateway({ mode: 'packaged-ca' });
  const url = `http://127.0.0.1:${new URL(gateway.url).port}`;
  for (const words of [
    'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n',
    `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n${'x'.repeat(99_999)}`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'SSH-2.0-OpenSSH_9.2\r\n',
    'x',
  ]) {
    const client = await connectRaw(url);
    client.send(words);
    await client.until(client.ended);
    const text = client.received().toString('latin1');
    expect(text).toStartWith('HTTP/1.1 400 Bad Request\r\n');
    expect(text).toContain('write https://');
    client.close();
  }
  expect(gateway.account().finished).toEqual([]);
});

test('TLS at the HTTP port, and handshakes of nonsense at the TLS port, are closed without an answer to a request', async () => {
  await using gateway = await startGateway({ mode: 'packaged-ca' });
  const { items } = await gateway.app.proxies.list();
  const record = (...bytes: number[]) => Buffer.concat([HALF_HELLO, Uint8Array.from(bytes)]);
  const tlsPort = Number(new URL(gateway.url).port);
  for (const [port, bytes] of [
    [items[0]?.port, record(...new Array(600).fill(0))],
    // A handshake record of no known version, with nothing in it, and of more than one may have (RFC 8446 §5.1).
    [tlsPort, Uint8Array.of(22, 9, 9, 0, 1, 1)],
    [tlsPort, Uint8Array.of(22, 3, 1, 0, 0)],
    [tlsPort, Uint8Array.of(22, 3, 1, 255, 255, 1, 0, 0, 1)],
    [tlsPort, record(...new Array(600).fill(255))],
  ] as const) {
    const client = await connectRaw(`http://127.0.0.1:${port}`);
    client.send(bytes);
    await client.until(client.ended, 15_000);
    const text = client.received().toString('latin1');
    expect(text).not.toContain('200 OK');
    expect(text).not.toContain('models');
    client.close();
  }
  expect(gateway.account().finished).toEqual([]);
});
