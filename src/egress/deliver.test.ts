/** Messages that leave: where they may go, and how long anybody waits for what comes back. The rest: telemetry/alerts. */
import { describe, expect, test } from 'bun:test';
import { openBlackhole } from '../../test/support/blackhole';
import { listenRequests, listenTcp } from '../../test/support/tcp';
import { codeOf } from '../../test/support/thrown';
import { systemClock } from '../lib/clock';
import { createEgress, type Delivery } from './index';

const never = new Promise<readonly string[]>(() => {});
const egress = createEgress({
  clock: systemClock,
  resolve: (host) => (host === 'slow.example' ? never : Promise.resolve(['169.254.169.254'])),
});

function delivery(url: string, more: Partial<Delivery> = {}): Delivery {
  const { signal } = new AbortController();
  const rest = { headers: { 'x-a': 'b' }, body: '{}', timeoutMs: 200, maxAnswerBytes: 8, signal };
  return { url, allowPrivate: true, ...rest, ...more };
}

const timeOut = (error: unknown) => error instanceof DOMException && error.name === 'TimeoutError';
const failing = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe('deliver', () => {
  test('sends its headers and body, and reads the beginning of the answer', async () => {
    const heads: string[] = [];
    await using server = await listenRequests(({ head, body, socket }, done) => {
      heads.push(`${head}|${body}`);
      done();
      socket.write('HTTP/1.1 429 No\r\nretry-after: 7\r\ncontent-length: 20\r\n\r\nabcdefghijklmnopqrst');
    });
    const answer = await egress.deliver(delivery(`${server.url}/x?y=1`));
    expect(answer).toEqual({ status: 429, retryAfter: '7', text: 'abcdefgh' });
    expect(heads[0]).toStartWith('POST /x?y=1 HTTP/1.1');
    expect(heads[0]).toMatch(/x-a: b/i);
    expect(heads[0]).toEndWith('|{}');
  });

  test('follows no redirect', async () => {
    await using server = await listenRequests(({ socket }, done) => {
      done();
      socket.write(
        'HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n',
      );
    });
    expect((await egress.deliver(delivery(server.url))).status).toBe(302);
    expect(server.requests()).toBe(1);
  });

  test.each([
    ['a name server', 'http://slow.example/'],
    ['an answer', null],
  ])('waits no longer than it may for %s', async (_, url) => {
    await using server = await listenTcp(() => {});
    expect(timeOut(await failing(egress.deliver(delivery(url ?? server.url))))).toBe(true);
  });

  test('waits no longer than it may for a connection', async () => {
    await using hole = await openBlackhole();
    const error = await failing(egress.deliver(delivery(`http://127.0.0.1:${hole.port}/`)));
    expect(timeOut(error)).toBe(true);
  });

  test('a body that drips does not change what was answered', async () => {
    await using server = await listenRequests(({ socket }, done) => {
      done();
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nab');
    });
    expect(await egress.deliver(delivery(server.url))).toEqual({ status: 200, retryAfter: null, text: 'ab' });
    await server.deserted();
  });

  test.each([true, false])('goes to no metadata service (private allowed: %p)', async (allowPrivate) => {
    for (const url of ['http://name.example/', 'http://169.254.169.254/'])
      expect(await codeOf(() => egress.deliver(delivery(url, { allowPrivate })))).toBe('EGRESS_REFUSED');
  });

  test('goes to this machine only where that was allowed', async () => {
    await using server = await listenTcp(() => {});
    const refused = delivery(server.url, { allowPrivate: false });
    expect(await codeOf(() => egress.deliver(refused))).toBe('EGRESS_REFUSED');
    expect(server.accepted()).toBe(0);
  });
});

describe('knock', () => {
  test('tells whether somebody opens, and stays for nothing', async () => {
    await using server = await listenTcp(() => {});
    expect(await egress.knock('127.0.0.1', server.port, 1_000)).toBe(true);
    await server.deserted();
    expect(await egress.knock('127.0.0.1', 1, 1_000)).toBe(false);
    expect(await egress.knock('no address', 1, 1_000)).toBe(false);
  });

  test('waits no longer than it may', async () => {
    await using hole = await openBlackhole();
    expect(await egress.knock('127.0.0.1', hole.port, 100)).toBe(false);
  });
});
