/** HTTPS through a tunnel: verified with the destination itself. In a process of its own, which trusts the test authority. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { listenSocks } from '../../../test/support/socks';
import { listenTcp } from '../../../test/support/tcp';
import { createTestCa } from '../../../test/support/test-ca';
import { listenTls } from '../../../test/support/tls';

interface Job {
  readonly url: string;
  readonly socks: string;
  readonly tlsName?: string;
  readonly how?: 'whole' | 'pieces' | 'piped';
}

async function outcomesOf(caFile: string, jobs: readonly Job[]): Promise<string[]> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, '../../../test/support/https-client.ts')],
    {
      env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: caFile },
      stdin: new Blob([JSON.stringify(jobs)]),
      stdout: 'pipe',
      stderr: 'inherit',
    },
  );
  return JSON.parse(await new Response(child.stdout).text()) as string[];
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

test('is verified for the name, or the address, that was asked for; no name is told but that', async () => {
  using ca = createTestCa();
  const serve = (socket: { write(text: string): unknown }) => void socket.write(OK);
  await using good = await listenTls(ca.issue('DNS:gpu.flm.test,IP:93.184.216.34'), serve);
  await using self = await listenTls(ca.selfSigned('DNS:gpu.flm.test'), serve);
  await using old = await listenTls(ca.issue('DNS:gpu.flm.test', -1), serve);
  await using socks = await listenSocks();
  const at = (host: string, port: number, more: Partial<Job> = {}): Job => ({
    url: `https://${host}:${port}/`,
    socks: socks.endpoint,
    ...more,
  });
  const outcomes = await outcomesOf(ca.caFile, [
    at('gpu.flm.test', good.port),
    at('gpu.flm.test.', good.port),
    at('93.184.216.34', good.port),
    at('93.184.216.34', good.port, { tlsName: 'gpu.flm.test' }),
    at('93.184.216.35', good.port),
    at('other.flm.test', good.port),
    at('gpu.flm.test', self.port),
    at('gpu.flm.test', old.port),
  ]);
  expect(outcomes).toEqual(['ok', 'ok', 'ok', 'ok', 'tls', 'tls', 'tls', 'tls']);
  expect(new Set(socks.requests.map(({ host }) => host))).toEqual(
    new Set(['gpu.flm.test', 'gpu.flm.test.', '93.184.216.34', '93.184.216.35', 'other.flm.test']),
  );
});

test('ends as plain HTTP does, in every way of reading', async () => {
  using ca = createTestCa();
  await using server = await listenTls(ca.issue('DNS:gpu.flm.test'), (socket, text) => {
    if (text.includes('/close')) socket.end('HTTP/1.1 200 OK\r\n\r\nuntil close');
    else if (text.includes('/half')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf');
    else if (text.includes('/gone')) socket.destroy();
    else socket.write(OK);
  });
  await using socks = await listenSocks();
  const hows = ['whole', 'pieces', 'piped'] as const;
  const paths = ['/ok', '/close', '/half', '/gone'];
  const jobs = paths.flatMap((path) =>
    hows.map((how) => ({ url: `https://gpu.flm.test:${server.port}${path}`, socks: socks.endpoint, how })),
  );
  const outcomes = await outcomesOf(ca.caFile, jobs);
  expect(outcomes).toEqual([
    ...['ok', 'ok', 'ok'],
    ...['until close', 'until close', 'until close'],
    ...['closed', 'closed', 'closed'],
    ...['closed', 'closed', 'closed'],
  ]);
});

test('something that speaks no TLS is told so', async () => {
  using ca = createTestCa();
  await using plain = await listenTcp((socket) =>
    socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
  );
  await using socks = await listenSocks({ lead: () => ({ host: '127.0.0.1', port: plain.port }) });
  expect(await outcomesOf(ca.caFile, [{ url: 'https://gpu.flm.test/', socks: socks.endpoint }])).toEqual([
    'tls',
  ]);
});
