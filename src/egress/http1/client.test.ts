import { afterEach, describe, expect, test } from 'bun:test';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBlackhole } from '../../../test/support/blackhole';
import {
  answerOk,
  closeClients,
  failureOf,
  get,
  newClient,
  ok,
  post,
  textOf,
} from '../../../test/support/egress';
import { listenRequests, listenTcp, type RequestServer, type TcpRequest } from '../../../test/support/tcp';
import { manualClock } from '../../lib/clock';
import { EgressError } from '../errors';
import type { EgressRequest } from '../transport';

afterEach(closeClients);

describe('a request on the wire', () => {
  async function sent(
    request: Omit<Partial<EgressRequest>, 'url'>,
    path = '/v1/models',
  ): Promise<TcpRequest> {
    const arrived = Promise.withResolvers<TcpRequest>();
    await using server = await listenRequests((each, done) => {
      arrived.resolve(each);
      answerOk(each, done);
    });
    await textOf(newClient().send({ ...get(server.url), ...request, url: server.url + path }));
    return arrived.promise;
  }

  test('has a request line, Host and the headers given', async () => {
    const { head } = await sent(
      { headers: { accept: 'application/json', 'x-y': 'a\tb' } },
      '/v1/a?b=c&d=%20',
    );
    const lines = head.split('\r\n');
    expect(lines[0]).toBe('GET /v1/a?b=c&d=%20 HTTP/1.1');
    expect(lines[1]).toMatch(/^host: 127\.0\.0\.1:\d+$/);
    expect(lines.slice(2)).toEqual(['accept: application/json', 'x-y: a\tb']);
  });

  test('takes a Host of its own, once', async () => {
    const { head } = await sent({ headers: { host: 'example.test' } });
    expect(head.match(/^host:.*$/gim)).toEqual(['host: example.test']);
  });

  test.each([
    ['ASCII', 'hello'],
    ['two-byte characters', 'é'.repeat(1_000)],
    ['characters beyond 16 bits', '😀{"a":"\u{1F9D1}\u200d\u{1F680}"}'],
    ['an empty text', ''],
  ])('counts the bytes of a body of %s', async (_name, text) => {
    const { head, body } = await sent({ method: 'POST', body: text });
    expect(body.toString()).toBe(text);
    expect(head).toContain(`content-length: ${Buffer.byteLength(text)}`);
  });

  test('counts half a surrogate pair as it is sent', async () => {
    const { body } = await sent({ method: 'POST', body: 'a\ud800b' });
    expect(body.toString()).toBe('a\ufffdb');
  });

  test('sends bytes as they are', async () => {
    const bytes = new Uint8Array(512).map((_, index) => index);
    const { body } = await sent({ method: 'PUT', body: bytes });
    expect(body.equals(bytes)).toBe(true);
  });

  test('sends a view of bytes, not what lies around it', async () => {
    const { body } = await sent({ method: 'POST', body: new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3) });
    expect([...body]).toEqual([2, 3]);
  });

  test.each([
    ['GET', false],
    ['DELETE', false],
    ['POST', true],
    ['PUT', true],
  ] as const)('%s without a body says so where one is expected', async (method, says) => {
    const { head } = await sent({ method });
    expect(/content-length: 0/.test(head)).toBe(says);
  });

  test.each(['GET', 'POST'] as const)('%s keeps Latin-1 in headers as single bytes', async (method) => {
    const body = method === 'GET' ? null : 'é';
    const { head, body: arrived } = await sent({
      method,
      body,
      headers: { 'x-name': 'caf\xe9 \xc3\xa9\x7f' },
    });
    // The head is read as Latin-1: UTF-8 would have made two characters of each.
    expect(head).toContain('x-name: caf\xe9 \xc3\xa9\x7f');
    expect(arrived.toString()).toBe(body ?? '');
  });

  test.each([
    ['CR and LF', 'a\r\nx-evil: 1'],
    ['CR', 'a\rb'],
    ['LF', 'a\nb'],
    ['a null', 'a\0b'],
    ['an escape', 'a\x1bb'],
    ['a character that is no byte', 'a\u010db'],
    ['a character whose low byte is LF', 'a\u010ab'],
    ['an empty line and a request', '1\r\n\r\nGET /evil HTTP/1.1\r\n\r\n'],
  ])('is refused before anything is sent when a header holds %s', async (_name, value) => {
    await using server = await listenRequests(answerOk);
    const client = newClient();
    for (const name of ['x-request-id', 'host', 'authorization']) {
      const error: unknown = await client
        .send(get(`${server.url}/`, { headers: { [name]: value } }))
        .catch((e) => e);
      expect(error).toBeInstanceOf(EgressError);
      expect(String(error)).not.toContain('evil');
    }
    expect(server.accepted()).toBe(0);
  });

  test.each([
    ['a space', '/a b', '/a%20b'],
    ['a line break', '/a\r\nx-evil: 1', '/ax-evil:%201'],
    ['a request', '/ HTTP/1.1\r\nhost: x\r\n\r\nGET /evil', '/%20HTTP/1.1host:%20xGET%20/evil'],
    ['umlauts', '/ü?ö', '/%C3%BC?%C3%B6'],
    ['a fragment', '/a#b', '/a'],
    ['a quote', '/"', '/%22'],
    ['nothing', '', '/'],
    ['only a query', '?a=/b', '/?a=/b'],
    ['only a fragment', '#/a', '/'],
  ])('has a path with %s escaped', async (_name, path, expected) => {
    const { head } = await sent({}, path);
    expect(head.split('\r\n')[0]).toBe(`GET ${expected} HTTP/1.1`);
    expect(head.split('\r\n')).toHaveLength(2);
  });

  test.each([
    'https://127.0.0.1/',
    'HTTPS://127.0.0.1/',
    'ftp://127.0.0.1/',
    'ws://127.0.0.1/',
    '/v1/models',
    '',
  ])('is refused when %p is not plain HTTP', async (url) => {
    expect(await failureOf(newClient().send(get(url)))).toBe('other');
  });

  test('shows no credentials of the URL', async () => {
    await using server = await listenRequests(answerOk);
    const url = server.url.replace('http://', 'http://user:secret@');
    await using spy = await listenRequests(answerOk);
    await textOf(newClient().send(get(`${url}/`)));
    expect(server.requests()).toBe(1);
    expect(spy.requests()).toBe(0);
  });
});

describe('places', () => {
  test('localhost, where only IPv6 listens', async () => {
    await using server = await listenRequests(answerOk, { host: '::1' });
    expect(await textOf(newClient().send(get(`http://localhost:${server.port}/`)))).toBe('ok');
  });

  test('localhost, where only IPv4 listens', async () => {
    await using server = await listenRequests(answerOk);
    expect(await textOf(newClient().send(get(`http://LOCALHOST:${server.port}/`)))).toBe('ok');
  });

  test('an IPv6 address', async () => {
    await using server = await listenRequests(answerOk, { host: '::1' });
    const client = newClient();
    expect(await textOf(client.send(get(`${server.url}/`)))).toBe('ok');
    expect(await textOf(client.send(get(`http://[0:0::1]:${server.port}/`)))).toBe('ok');
    // Two spellings of one place share its connections.
    expect(server.accepted()).toBe(1);
  });

  test('a unix socket, with the Host of the URL', async () => {
    const path = join(tmpdir(), `flm-${process.pid}-${Math.random()}.sock`);
    const heads: string[] = [];
    try {
      await using server = await listenRequests(
        (request, done) => {
          heads.push(request.head);
          answerOk(request, done);
        },
        { path },
      );
      const client = newClient();
      expect(await textOf(client.send(get('http://one/a', { unixSocket: path })))).toBe('ok');
      expect(await textOf(client.send(get('http://two:81/b', { unixSocket: path })))).toBe('ok');
      expect(await textOf(client.send(get('http://one/c', { unixSocket: path })))).toBe('ok');
      expect(heads).toEqual([
        'GET /a HTTP/1.1\r\nhost: one',
        'GET /b HTTP/1.1\r\nhost: two:81',
        'GET /c HTTP/1.1\r\nhost: one',
      ]);
      expect(server.accepted()).toBe(2);
    } finally {
      rmSync(path, { force: true });
    }
  });

  test('nobody listens: refused', async () => {
    const server = await listenRequests(answerOk);
    const { url } = server;
    await server[Symbol.asyncDispose]();
    expect(await failureOf(newClient().send(get(`${url}/`)))).toBe('refused');
  });

  test('a unix socket that is not there: refused', async () => {
    const unixSocket = join(tmpdir(), 'flm-no-such.sock');
    expect(await failureOf(newClient().send(get('http://x/', { unixSocket })))).toBe('refused');
  });

  test('a name that cannot be: unreachable', async () => {
    // A label of 64 characters is refused by the resolver itself; no name server is asked.
    expect(await failureOf(newClient().send(get(`http://${'a'.repeat(64)}.invalid/`)))).toBe('unreachable');
  });

  test('a place that does not accept: timeout', async () => {
    await using hole = await openBlackhole();
    const client = newClient(undefined, { idleMs: 4_000, connectTimeoutMs: 80 });
    const startedMs = performance.now();
    expect(await failureOf(client.send(get(`http://127.0.0.1:${hole.port}/`)))).toBe('timeout');
    expect(performance.now() - startedMs).toBeWithin(70, 1_000);
  });

  test('a server that accepts and leaves, politely or not: closed', async () => {
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      await using server = await listenTcp((socket) => void socket[leave]());
      const client = newClient();
      for (let i = 0; i < 20; i++) expect(await failureOf(client.send(get(`${server.url}/`)))).toBe('closed');
      expect(server.accepted()).toBe(20);
    }
  });

  test('a server of HTTP/1.0', async () => {
    await using server = await listenRequests(({ socket }) => {
      socket.end('HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nold');
    });
    const client = newClient();
    for (let i = 0; i < 3; i++) expect(await textOf(client.send(get(`${server.url}/`)))).toBe('old');
    expect(server.accepted()).toBe(3);
  });

  test('a server of HTTP/1.0 that resets instead of closing has not answered whole', async () => {
    await using server = await listenRequests(({ socket }) => {
      socket.write('HTTP/1.0 200 OK\r\n\r\nhalf', () => setTimeout(() => socket.resetAndDestroy(), 5));
    });
    expect(await failureOf(textOf(newClient().send(get(`${server.url}/`))))).toBe('closed');
  });
});

describe('the pool', () => {
  test('uses one connection for requests one after the other', async () => {
    await using server = await listenRequests(answerOk);
    const client = newClient();
    for (let i = 0; i < 100; i++) expect(await textOf(client.send(get(`${server.url}/${i}`)))).toBe('ok');
    expect(server.accepted()).toBe(1);
    expect(server.requests()).toBe(100);
  });

  test('has one connection per request under way, and uses them again', async () => {
    await using server = await listenRequests(({ socket }, done) => {
      setTimeout(() => {
        done();
        socket.write(ok());
      }, 2);
    });
    const client = newClient();
    for (let round = 0; round < 5; round++) {
      await Promise.all(Array.from({ length: 20 }, () => textOf(client.send(get(`${server.url}/`)))));
    }
    expect(server.accepted()).toBe(20);
    expect(server.requests()).toBe(100);
    expect(server.pipelined()).toBe(0);
  });

  test('keeps places apart', async () => {
    await using one = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok('one'));
    });
    await using two = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok('two'));
    });
    const client = newClient();
    for (let i = 0; i < 5; i++) {
      expect(await textOf(client.send(get(`${one.url}/`)))).toBe('one');
      expect(await textOf(client.send(get(`${two.url}/`)))).toBe('two');
    }
    expect([one.accepted(), two.accepted()]).toEqual([1, 1]);
  });

  test('does not use a connection again that was idle for four seconds', async () => {
    await using server = await listenRequests(answerOk);
    const clock = manualClock();
    const client = newClient(clock.monotonicMs);
    await textOf(client.send(get(`${server.url}/`)));
    clock.advance(3_999);
    await textOf(client.send(get(`${server.url}/`)));
    expect(server.accepted()).toBe(1);
    clock.advance(4_000);
    await textOf(client.send(get(`${server.url}/`)));
    expect(server.accepted()).toBe(2);
    await Bun.sleep(5);
    expect(server.open()).toBe(1);
  });

  test('closes idle connections by itself', async () => {
    await using server = await listenRequests(answerOk);
    const client = newClient(undefined, { idleMs: 40, connectTimeoutMs: 1_000 });
    await Promise.all([1, 2, 3].map(() => textOf(client.send(get(`${server.url}/`)))));
    expect(server.open()).toBe(3);
    const startedMs = performance.now();
    await server.deserted();
    expect(performance.now() - startedMs).toBeWithin(20, 500);
    // And again: the sweeper is still there.
    await textOf(client.send(get(`${server.url}/`)));
    await server.deserted();
  });

  test('uses no connection again whose answer promised its end', async () => {
    await using server = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok('ok', 'connection: close\r\n'));
    });
    const client = newClient();
    for (let i = 0; i < 3; i++) await textOf(client.send(get(`${server.url}/`)));
    expect(server.accepted()).toBe(3);
    await server.deserted();
  });

  test('reads on a connection whose last answer was read slowly', async () => {
    // Large enough to pause the connection, small enough to come in one piece together with its end.
    const large = 'x'.repeat(400_000);
    await using server = await listenRequests(({ socket }, done) => {
      done();
      socket.write(ok(large));
    });
    const client = newClient();
    for (let i = 0; i < 5; i++) {
      const response = await client.send(get(`${server.url}/`));
      await Bun.sleep(5);
      const reader = response.body.reader();
      let size = 0;
      for (let piece = await reader.read(); piece !== null; piece = await reader.read()) size += piece.length;
      expect(size).toBe(large.length);
    }
    expect(server.accepted()).toBe(1);
  });

  test('closes at once what is idle, and the rest when it is done', async () => {
    const held: (() => void)[] = [];
    await using server = await listenRequests((request, done) => {
      if (request.head.includes('/slow')) held.push(() => answerOk(request, done));
      else answerOk(request, done);
    });
    const client = newClient();
    const slow = client.send(get(`${server.url}/slow`));
    await textOf(client.send(get(`${server.url}/`)));
    client.close();
    await Bun.sleep(5);
    expect(server.open()).toBe(1);
    for (const answer of held) answer();
    expect(await textOf(slow)).toBe('ok');
    await server.deserted();
  });

  test('survives 5,000 requests in a row while the server closes as it pleases', async () => {
    await using server = await listenMoody();
    const client = newClient();
    for (let i = 0; i < 5_000; i++) {
      expect(await textOf(client.send(post(`${server.url}/`, `${i}`)))).toBe(`${i}`);
    }
    expect(server.accepted()).toBeGreaterThan(500);
    expect(server.accepted()).toBeLessThan(4_500);
    expect(server.pipelined()).toBe(0);
  });

  test('survives 1,000 requests at once, three times, while the server closes as it pleases', async () => {
    await using server = await listenMoody();
    const client = newClient();
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        Array.from({ length: 1_000 }, (_, i) => textOf(client.send(post(`${server.url}/`, `${i}`)))),
      );
      expect(answers).toEqual(Array.from({ length: 1_000 }, (_, i) => `${i}`));
    }
    expect(server.pipelined()).toBe(0);
  });

  test('survives 2,000 requests at once', async () => {
    await using server = await listenRequests(answerOk);
    const client = newClient();
    const answers = await Promise.all(
      Array.from({ length: 2_000 }, () => textOf(client.send(get(`${server.url}/`)))),
    );
    expect(answers.every((answer) => answer === 'ok')).toBe(true);
    expect(server.requests()).toBe(2_000);
    client.close();
    await server.deserted();
  });

  /** Echoes bodies, and after every other answer closes: FIN or RST, at once, in the same tick, or a little later. */
  function listenMoody(): Promise<RequestServer> {
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    return listenRequests(({ socket, body }, done) => {
      done();
      const leave = random(2) === 0 ? () => socket.end() : () => socket.resetAndDestroy();
      const text = ok(body.toString());
      switch (random(8)) {
        case 0:
          socket.write(text, leave);
          break;
        case 1:
          socket.end(text);
          break;
        case 2:
          socket.write(text, () => setImmediate(leave));
          break;
        case 3:
          socket.write(text, () => setTimeout(leave, random(3)));
          break;
        default:
          socket.write(text);
      }
    });
  }
});
