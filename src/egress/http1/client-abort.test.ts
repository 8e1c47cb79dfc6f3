import { afterEach, describe, expect, test } from 'bun:test';
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
import { listenRequests, listenTcp } from '../../../test/support/tcp';
import type { Cancel, CancelListener } from '../../contract';
import { CancelSource } from '../../lib/cancel';

afterEach(closeClients);

/** A Cancel that knows who listens. */
class CountingCancel implements Cancel {
  aborted = false;
  reason: unknown;
  readonly listeners = new Set<CancelListener>();
  added = 0;

  addEventListener(_type: 'abort', listener: CancelListener): void {
    this.added++;
    this.listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: CancelListener): void {
    this.listeners.delete(listener);
  }

  abort(reason: unknown): void {
    this.aborted = true;
    this.reason = reason;
    for (const listener of [...this.listeners]) listener.handleEvent();
  }
}

describe('aborting', () => {
  const reason = new Error('the client left');

  /** The same test for FLM's own signals and for the runtime's. */
  const signals: [name: string, make: () => { signal: Cancel; abort: () => void }][] = [
    [
      'a Cancel',
      () => {
        const source = new CancelSource();
        return { signal: source, abort: () => source.abort(reason) };
      },
    ],
    [
      'an AbortSignal',
      () => {
        const controller = new AbortController();
        return { signal: controller.signal, abort: () => controller.abort(reason) };
      },
    ],
  ];

  for (const [name, make] of signals) {
    describe(`by ${name}`, () => {
      test('before: nothing is sent', async () => {
        await using server = await listenRequests(answerOk);
        const { signal, abort } = make();
        abort();
        const client = newClient();
        expect(await client.send(get(`${server.url}/`, { signal })).catch((error) => error)).toBe(reason);
        await textOf(client.send(get(`${server.url}/`)));
        expect(await client.send(get(`${server.url}/`, { signal })).catch((error) => error)).toBe(reason);
        expect(server.requests()).toBe(1);
      });

      test('while connecting', async () => {
        await using hole = await openBlackhole();
        const { signal, abort } = make();
        const sending = newClient().send(get(`http://127.0.0.1:${hole.port}/`, { signal }));
        setTimeout(abort, 20);
        const startedMs = performance.now();
        expect(await sending.catch((error) => error)).toBe(reason);
        expect(performance.now() - startedMs).toBeLessThan(200);
      });

      test('in the same tick: the request is never sent', async () => {
        await using server = await listenRequests(answerOk);
        const { signal, abort } = make();
        const sending = newClient().send(get(`${server.url}/`, { signal }));
        abort();
        expect(await sending.catch((error) => error)).toBe(reason);
        await Bun.sleep(10);
        expect(server.requests()).toBe(0);
        expect(server.open()).toBe(0);
      });

      test('while waiting for an answer', async () => {
        const arrived = Promise.withResolvers<void>();
        await using server = await listenRequests(() => arrived.resolve());
        const { signal, abort } = make();
        const sending = newClient().send(get(`${server.url}/`, { signal }));
        await arrived.promise;
        abort();
        expect(await sending.catch((error) => error)).toBe(reason);
        await goneSoon(server);
      });

      test('while waiting on a used connection: not sent again', async () => {
        const arrived = Promise.withResolvers<void>();
        await using server = await listenRequests((request, done) => {
          if (request.turn === 2) arrived.resolve();
          else answerOk(request, done);
        });
        const client = newClient();
        await textOf(client.send(get(`${server.url}/`)));
        const { signal, abort } = make();
        const sending = client.send(get(`${server.url}/`, { signal }));
        await arrived.promise;
        abort();
        expect(await sending.catch((error) => error)).toBe(reason);
        await goneSoon(server);
        expect(server.requests()).toBe(2);
      });

      test('while a large body is being sent', async () => {
        await using server = await listenTcp((socket) => void socket.pause());
        const { signal, abort } = make();
        const sending = newClient().send(post(`${server.url}/`, 'x'.repeat(30_000_000), { signal }));
        setTimeout(abort, 20);
        expect(await sending.catch((error) => error)).toBe(reason);
      });

      const half = 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf';

      test('in the middle of a body that is read whole', async () => {
        await using server = await listenRequests(({ socket }) => void socket.write(half));
        const { signal, abort } = make();
        const { body } = await newClient().send(get(`${server.url}/`, { signal }));
        const whole = body.bytes();
        setTimeout(abort, 5);
        expect(await whole.catch((error) => error)).toBe(reason);
        await goneSoon(server);
      });

      test('in the middle of a body that is read in pieces, or not yet', async () => {
        await using server = await listenRequests(({ socket }) => void socket.write(half));
        const { signal, abort } = make();
        const reader = (await newClient().send(get(`${server.url}/`, { signal }))).body.reader();
        expect(Buffer.from((await reader.read()) ?? '').toString()).toBe('half');
        const next = reader.read();
        abort();
        expect(await next.catch((error) => error)).toBe(reason);
        expect(await reader.read().catch((error) => error)).toBe(reason);
        reader.cancel();
        await goneSoon(server);
      });

      test('in the middle of a body that is piped', async () => {
        await using server = await listenRequests(({ socket }) => void socket.write(half));
        const { signal, abort } = make();
        const { body } = await newClient().send(get(`${server.url}/`, { signal }));
        const errors: unknown[] = [];
        const flow = body.pipe({
          onData() {},
          onEnd: () => void errors.push('end'),
          onError: (error) => void errors.push(error),
        });
        flow.pause();
        abort();
        flow.resume();
        flow.cancel();
        expect(errors).toEqual([reason]);
        await goneSoon(server);
      });

      test('after the end: the connection is used again', async () => {
        await using server = await listenRequests(answerOk);
        const client = newClient();
        const { signal, abort } = make();
        await textOf(client.send(get(`${server.url}/`, { signal })));
        abort();
        expect(await textOf(client.send(get(`${server.url}/`)))).toBe('ok');
        expect(server.accepted()).toBe(1);
      });
    });
  }

  test('leaves no listener behind, whatever becomes of the request', async () => {
    await using server = await listenRequests((request, done) => {
      done();
      const { socket, head } = request;
      if (head.includes('/ok')) socket.write(ok());
      else if (head.includes('/reset')) socket.resetAndDestroy();
      else if (head.includes('/garbage')) socket.end('garbage');
      else if (head.includes('/half')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf');
    });
    const client = newClient();
    const signal = new CountingCancel();
    for (const path of ['/ok', '/ok', '/reset', '/ok', '/garbage', '/ok']) {
      await client.send(get(server.url + path, { signal })).then(textOf, () => {});
      expect(signal.listeners.size).toBe(0);
    }
    const { body } = await client.send(get(`${server.url}/half`, { signal }));
    expect(signal.listeners.size).toBe(1);
    body.reader().cancel();
    expect(signal.listeners.size).toBe(0);
    await failureOf(client.send(get('http://127.0.0.1:1/', { signal })));
    expect(signal.listeners.size).toBe(0);
    // One for each connection that was tried: the one for connecting serves for the request as well.
    expect(signal.added).toBeLessThan(12);
  });

  test('closes the socket when it comes between connecting and sending', async () => {
    await using server = await listenRequests(answerOk);
    // Aborts at every number of microtasks after the connection was made, so also in the gaps between promises.
    for (let ticks = 0; ticks < 12; ticks++) {
      const signal = new CountingCancel();
      const added = signal.addEventListener.bind(signal);
      let sending: Promise<unknown> = Promise.resolve();
      signal.addEventListener = (type, listener) => {
        added(type, listener);
        void (async () => {
          await Bun.sleep(0);
          for (let i = 0; i < ticks; i++) await null;
          signal.abort(reason);
        })();
      };
      sending = newClient()
        .send(get(`${server.url}/`, { signal }))
        .then(textOf);
      const outcome: unknown = await sending.catch((error) => error);
      expect([reason, 'ok']).toContain(outcome as string);
      expect(signal.listeners.size).toBe(0);
    }
    closeClients();
    await server.deserted();
  });

  async function goneSoon(server: { deserted(): Promise<void> }): Promise<void> {
    const startedMs = performance.now();
    await server.deserted();
    expect(performance.now() - startedMs).toBeLessThan(100);
  }
});

describe('cancelling', () => {
  const half = 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf';

  test('a reader closes the connection at once, and its reads end', async () => {
    await using server = await listenRequests(({ socket }) => void socket.write(half));
    const reader = (await newClient().send(get(`${server.url}/`))).body.reader();
    await reader.read();
    const waiting = reader.read();
    reader.cancel();
    reader.cancel();
    expect(await failureOf(waiting)).toBe('closed');
    await server.deserted();
  });

  test('after the end does no harm to the connection', async () => {
    await using server = await listenRequests(answerOk);
    const client = newClient();
    for (let i = 0; i < 3; i++) {
      const { body } = await client.send(get(`${server.url}/`));
      await Bun.sleep(1);
      body.reader().cancel();
      const piped = (await client.send(get(`${server.url}/`))).body;
      const ended = Promise.withResolvers<void>();
      const flow = piped.pipe({ onData() {}, onEnd: ended.resolve, onError: ended.reject });
      await ended.promise;
      flow.pause();
      flow.cancel();
      flow.resume();
    }
    expect(server.accepted()).toBe(1);
  });

  test('within onData stops everything that follows in the same packet', async () => {
    const wire = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(10)}0\r\n\r\n`;
    let go: () => void = () => {};
    await using server = await listenRequests(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      go = () => void socket.write(wire.slice(wire.indexOf('\r\n\r\n') + 4));
    });
    const { body } = await newClient().send(get(`${server.url}/`));
    const told: string[] = [];
    const flow = body.pipe({
      onData() {
        told.push('data');
        if (told.length === 3) flow.cancel();
      },
      onEnd: () => void told.push('end'),
      onError: () => void told.push('error'),
    });
    go();
    await server.deserted();
    expect(told).toEqual(['data', 'data', 'data']);
  });

  test('a sink that throws ends its own request only', async () => {
    await using server = await listenRequests(answerOk);
    const client = newClient();
    const { body } = await client.send(get(`${server.url}/`));
    expect(() =>
      body.pipe({
        onData() {
          throw new Error('a bug');
        },
        onEnd() {},
        onError() {},
      }),
    ).toThrow('a bug');
    expect(await textOf(client.send(get(`${server.url}/`)))).toBe('ok');
  });
});
