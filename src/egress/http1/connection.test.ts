import { describe, expect, test } from 'bun:test';
import { openBlackhole } from '../../../test/support/blackhole';
import { listenTcp } from '../../../test/support/tcp';
import { CancelSource } from '../../lib/cancel';
import { EgressError } from '../errors';
import { Connection, StaleConnection } from './connection';

const REQUEST = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** A connection that counts how often it said that it is free. */
function newConnection(): { connection: Connection; idle: () => number } {
  let count = 0;
  const connection = new Connection((free) => {
    expect(free).toBe(connection);
    count++;
  });
  return { connection, idle: () => count };
}

const placeOf = (server: { port: number }) => ({ hostname: '127.0.0.1', port: server.port });

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  );

describe('opening', () => {
  test('fails with the reason it was closed for', async () => {
    await using hole = await openBlackhole();
    const { connection } = newConnection();
    const opening = connection.open(placeOf(hole), null);
    const reason = new EgressError('timeout', 'too slow');
    connection.close(reason);
    expect(await reasonOf(opening)).toBe(reason);
    expect(connection.closed).toBe(true);
  });

  test('closes what opens after it was given up', async () => {
    await using server = await listenTcp(() => {});
    const { connection } = newConnection();
    const opening = connection.open(placeOf(server), null);
    connection.close(new EgressError('timeout', 'too slow'));
    await reasonOf(opening);
    await Bun.sleep(20);
    expect(server.open()).toBe(0);
  });

  test('is not begun for a request that was aborted', async () => {
    await using server = await listenTcp(() => {});
    const cancel = new CancelSource();
    cancel.abort('left');
    expect(await reasonOf(newConnection().connection.open(placeOf(server), cancel))).toBe('left');
    await Bun.sleep(5);
    expect(server.accepted()).toBe(0);
  });
});

describe('between opening and sending', () => {
  test('an abort closes it, and the request fails with its reason', async () => {
    await using server = await listenTcp(() => {});
    const cancel = new CancelSource();
    const { connection } = newConnection();
    await connection.open(placeOf(server), cancel);
    cancel.abort('left');
    expect(await reasonOf(connection.send(REQUEST, cancel))).toBe('left');
    await Bun.sleep(20);
    expect(server.open()).toBe(0);
  });

  test.each(['end', 'resetAndDestroy'] as const)(
    'a server that leaves (%s) fails the request',
    async (leave) => {
      await using server = await listenTcp((socket) => void socket[leave]());
      const { connection } = newConnection();
      await connection.open(placeOf(server), null);
      await Bun.sleep(20);
      const error = await reasonOf(connection.send(REQUEST, null));
      expect(error).toMatchObject({ kind: 'closed' });
      // It was a new one: nothing says that another would fare better.
      expect(error).not.toBeInstanceOf(StaleConnection);
    },
  );
});

describe('idle', () => {
  test('is said once per answer', async () => {
    await using server = await listenTcp((socket) => void socket.on('data', () => socket.write(OK)));
    const { connection, idle } = newConnection();
    await connection.open(placeOf(server), null);
    for (let i = 1; i <= 3; i++) {
      const { body } = await connection.send(REQUEST, null);
      await body.bytes();
      expect(idle()).toBe(i);
    }
    connection.close(null);
    await server.deserted();
  });

  test('an abort of a request that was answered does not touch it', async () => {
    await using server = await listenTcp((socket) => void socket.on('data', () => socket.write(OK)));
    const { connection } = newConnection();
    await connection.open(placeOf(server), null);
    const cancel = new CancelSource();
    await (await connection.send(REQUEST, cancel)).body.bytes();
    cancel.abort('left');
    expect(connection.closed).toBe(false);
    expect(await reasonOf(connection.send(REQUEST, null))).toBe('no failure');
    connection.close(null);
  });

  test.each([
    ['speaks', 'HTTP/1.1 200 OK\r\n'],
    ['says as little as a line break', '\r\n'],
  ])('it is closed when the other side %s', async (_name, text) => {
    await using server = await listenTcp((socket) => {
      socket.on('data', () => {
        socket.write(OK);
        setTimeout(() => socket.write(text), 5);
      });
    });
    const { connection } = newConnection();
    await connection.open(placeOf(server), null);
    await (await connection.send(REQUEST, null)).body.bytes();
    await server.deserted();
    expect(connection.closed).toBe(true);
  });
});

describe('a used one', () => {
  test('that breaks before a word is stale; one that has spoken is not', async () => {
    for (const [text, stale] of [
      ['', true],
      ['HTTP/1.1 ', false],
      ['HTTP/1.1 100 Continue\r\n\r\n', false],
    ] as const) {
      let turn = 0;
      await using server = await listenTcp((socket) => {
        socket.on('data', () => {
          turn++;
          if (turn === 1) socket.write(OK);
          else if (text === '') socket.resetAndDestroy();
          else socket.write(text, () => setTimeout(() => socket.resetAndDestroy(), 2));
        });
      });
      const { connection } = newConnection();
      await connection.open(placeOf(server), null);
      await (await connection.send(REQUEST, null)).body.bytes();
      const error = await reasonOf(connection.send(REQUEST, null));
      expect(error instanceof StaleConnection).toBe(stale);
      expect(error).toMatchObject({ kind: 'closed' });
    }
  });
});

describe('before a request has left', () => {
  test('nothing that comes is its answer, and it may leave on another connection', async () => {
    let asked = 0;
    await using server = await listenTcp((socket) => {
      socket.on('data', () => {
        asked++;
        socket.write(OK);
      });
    });
    const { connection } = newConnection();
    await connection.open(placeOf(server), null);
    await (await connection.send(REQUEST, null)).body.bytes();
    const answer = connection.send(REQUEST, null);
    connection.onData(Buffer.from(OK));
    expect((await reasonOf(answer)) instanceof StaleConnection).toBe(true);
    await server.deserted();
    expect([connection.closed, asked]).toEqual([true, 1]);
  });

  test('one that cannot be written fails, and those that leave with it do not', async () => {
    await using server = await listenTcp((socket) => void socket.on('data', () => socket.write(OK)));
    const [broken, sound] = [newConnection().connection, newConnection().connection];
    await Promise.all([broken.open(placeOf(server), null), sound.open(placeOf(server), null)]);
    const reasons = [reasonOf(broken.send(Symbol() as never, null)), reasonOf(sound.send(REQUEST, null))];
    expect(await reasons[0]).toBeInstanceOf(TypeError);
    expect(await reasons[1]).toBe('no failure');
    expect([broken.closed, sound.closed]).toEqual([true, false]);
    sound.close(null);
  });
});

describe('a sink that throws', () => {
  const half = 'HTTP/1.1 200 OK\r\n\r\nhalf';

  test('while bytes come: the connection is closed and the sink told why', async () => {
    let go: () => void = () => {};
    await using server = await listenTcp((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      go = () => void socket.write('more');
    });
    const { connection } = newConnection();
    await connection.open(placeOf(server), null);
    const { body } = await connection.send(REQUEST, null);
    const told = Promise.withResolvers<unknown>();
    body.pipe({
      onData() {
        throw new Error('a bug');
      },
      onEnd() {},
      onError: told.resolve,
    });
    go();
    expect(String(await told.promise)).toContain('a bug');
    await server.deserted();
  });

  test('at the end: the connection is closed', async () => {
    await using server = await listenTcp((socket) => {
      socket.once('data', () => socket.end(half));
    });
    const { connection } = newConnection();
    await connection.open(placeOf(server), null);
    const { body } = await connection.send(REQUEST, null);
    body.pipe({
      onData() {},
      onEnd() {
        throw new Error('a bug');
      },
      onError() {},
    });
    await server.deserted();
    expect(connection.closed).toBe(true);
  });
});
