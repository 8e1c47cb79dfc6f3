import { afterEach, describe, expect, test } from 'bun:test';
import fc from 'fast-check';
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
import { eventually } from '../../../test/support/eventually';
import { listenRequests, listenTcp, type RequestServer, type TcpRequest } from '../../../test/support/tcp';
import { CancelSource } from '../../lib/cancel';
import { manualClock } from '../../lib/clock';
import { EgressError, type EgressFailure } from '../errors';

afterEach(closeClients);

describe('sending again', () => {
  /** Serves the first request of every connection well, and the second as told. */
  function listenFickle(second: (request: TcpRequest) => void): Promise<RequestServer> {
    return listenRequests((request, done) => {
      done();
      if (request.turn === 1) request.socket.write(ok());
      else second(request);
    });
  }

  test.each([
    ['a reset', ({ socket }: TcpRequest) => void socket.resetAndDestroy()],
    ['a close', ({ socket }: TcpRequest) => void socket.end()],
  ])('after %s without a word, once, on a new connection', async (_name, second) => {
    await using server = await listenFickle(second);
    const client = newClient();
    await textOf(client.send(post(`${server.url}/`, 'a')));
    expect(await textOf(client.send(post(`${server.url}/`, 'b')))).toBe('ok');
    expect(server.requests()).toBe(3);
    expect(server.accepted()).toBe(2);
  });

  test('not on another used connection', async () => {
    await using server = await listenFickle(({ socket }) => void socket.resetAndDestroy());
    const client = newClient();
    await Promise.all(Array.from({ length: 10 }, () => textOf(client.send(post(`${server.url}/`, 'a')))));
    const before = server.accepted();
    expect(await textOf(client.send(post(`${server.url}/`, 'b')))).toBe('ok');
    expect(server.accepted()).toBe(before + 1);
  });

  const partial: [name: string, text: string, kind: EgressFailure][] = [
    ['a byte', 'H', 'closed'],
    ['half a head', 'HTTP/1.1 200 OK\r\ncontent-le', 'closed'],
    ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n', 'closed'],
    ['half a body', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe', 'closed'],
    ['garbage', '\x15\x03\x01', 'malformed'],
  ];

  test.each(partial)('never after %s', async (_name, text, kind) => {
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      await using server = await listenFickle(({ socket }) => {
        socket.write(text, () => setTimeout(() => socket[leave](), 2));
      });
      const client = newClient();
      await textOf(client.send(post(`${server.url}/`, 'a')));
      expect(await failureOf(textOf(client.send(post(`${server.url}/`, 'b'))))).toBe(kind);
      expect(server.requests()).toBe(2);
    }
  });

  test('never when the engine worked for more than a second before it fell', async () => {
    const clock = manualClock();
    await using server = await listenFickle(({ socket }) => {
      clock.advance(1_000);
      socket.resetAndDestroy();
    });
    const client = newClient(clock.monotonicMs);
    await textOf(client.send(post(`${server.url}/`, 'a')));
    expect(await failureOf(client.send(post(`${server.url}/`, 'b')))).toBe('closed');
    expect(server.requests()).toBe(2);
  });

  test('never from a new connection', async () => {
    await using server = await listenRequests(({ socket }) => void socket.resetAndDestroy());
    const client = newClient();
    for (let i = 0; i < 10; i++)
      expect(await failureOf(client.send(post(`${server.url}/`, 'a')))).toBe('closed');
    expect(server.requests()).toBe(10);
  });

  test('never twice', async () => {
    let broken = false;
    await using server = await listenRequests((request, done) => {
      if (broken) return void request.socket.resetAndDestroy();
      answerOk(request, done);
    });
    const client = newClient();
    await textOf(client.send(post(`${server.url}/`, 'a')));
    broken = true;
    expect(await failureOf(client.send(post(`${server.url}/`, 'b')))).toBe('closed');
    expect(server.requests()).toBe(3);
  });

  test('never after its signal aborted', async () => {
    const cancel = new CancelSource();
    await using server = await listenFickle(() => cancel.abort('left'));
    const client = newClient();
    await textOf(client.send(post(`${server.url}/`, 'a')));
    expect(await client.send(post(`${server.url}/`, 'b', { signal: cancel })).catch((e) => e)).toBe('left');
    await server.deserted();
    expect(server.requests()).toBe(2);
  });
});

describe('bytes that nobody asked for', () => {
  const evil = ok('evil');
  const extras: [name: string, extra: string][] = [
    ['an answer', evil],
    ['two answers', evil + evil],
    ['half an answer', 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n'],
    ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['an empty line', '\r\n'],
    ['a byte', 'H'],
  ];

  test.each(extras)('%s together with the answer reaches no request', async (_name, extra) => {
    await using server = await listenRequests(({ socket, turn, connection }, done) => {
      done();
      socket.write(ok(`${connection}.${turn}`) + extra);
    });
    const client = newClient();
    for (let i = 1; i <= 5; i++) expect(await textOf(client.send(get(`${server.url}/`)))).toBe(`${i}.1`);
  });

  test.each(extras)('%s while the connection is idle reaches no request', async (_name, extra) => {
    await using server = await listenRequests(({ socket, turn, connection }, done) => {
      done();
      socket.write(ok(`${connection}.${turn}`));
      setTimeout(() => socket.write(extra), 2);
    });
    const client = newClient();
    for (let i = 1; i <= 3; i++) {
      expect(await textOf(client.send(get(`${server.url}/`)))).toBe(`${i}.1`);
      await eventually(() => server.open() === 0);
    }
  });

  test('an answer that is longer than it says is cut, and its connection not used again', async () => {
    await using server = await listenRequests(({ socket }, done) => {
      done();
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok${evil}`);
    });
    const client = newClient();
    for (let i = 1; i <= 5; i++) expect(await textOf(client.send(get(`${server.url}/`)))).toBe('ok');
    expect(server.accepted()).toBe(5);
  });

  test('an answer before anything was asked reaches no request', async () => {
    await using server = await listenTcp((socket) => void socket.write(evil));
    const client = newClient();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () =>
        client.send(get(`${server.url}/`)).then(textOf, (error) => error.kind),
      ),
    );
    // One that arrives after the question cannot be told from an answer to it; the connection is new, so nobody else's.
    expect(new Set(outcomes).difference(new Set(['evil', 'malformed'])).size).toBe(0);
  });
});

describe('a hostile server', () => {
  test('gets every request to an end, and reaches no other', async () => {
    const valid = [
      ok('hello'),
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil close',
      'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello',
      'HTTP/1.1 204 No Content\r\n\r\n',
    ];
    const hostile = fc.record({
      wire: fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc.constantFrom(...valid).map((text) => Buffer.from(text)),
        fc
          .tuple(fc.constantFrom(...valid), fc.nat(), fc.constantFrom('', '\r\n', '\n', ':', '\0', '5', evil))
          .map(([text, at, put]) => {
            const from = at % text.length;
            return Buffer.from(text.slice(0, from) + put + text.slice(put === '' ? from + 1 : from));
          }),
      ),
      leave: fc.constantFrom('end', 'resetAndDestroy'),
      used: fc.boolean(),
    });
    let next: { wire: Buffer; leave: 'end' | 'resetAndDestroy' } = { wire: Buffer.alloc(0), leave: 'end' };
    await using server = await listenRequests(({ head, socket }, done) => {
      done();
      if (head.startsWith('GET /sane')) return void socket.write(ok('sane'));
      const { wire, leave } = next;
      socket.write(wire, () => setTimeout(() => socket[leave](), 1));
    });
    let client = newClient();
    const sane = (): Promise<string> => textOf(client.send(get(`${server.url}/sane`)));
    await fc.assert(
      fc.asyncProperty(hostile, async ({ wire, leave, used }) => {
        if (!used) {
          client.close();
          client = newClient();
        }
        next = { wire, leave };
        await textOf(client.send(get(`${server.url}/hostile`))).catch((error: unknown) => {
          if (!(error instanceof EgressError)) throw error;
        });
        await server.deserted();
        expect(await sane()).toBe('sane');
      }),
      { numRuns: 300 },
    );
  });

  const evil = ok('evil');
});
