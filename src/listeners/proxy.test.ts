/** The plain listener: a port of its own or a clear refusal, and an end that waits for what is going on. */
import { describe, expect, test } from 'bun:test';
import { createConnection } from 'node:net';
import { errorOf } from '../../test/support/thrown';
import { type Handler, listen } from './proxy';

const HELLO: Handler = { fetch: async (request) => new Response(`hello ${new URL(request.url).pathname}`) };

/** Sends one request on a connection of its own and gives what came back until the end. */
function talk(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = createConnection(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (data) => {
      heard += data.toString();
    });
    socket.on('close', () => resolve(heard));
    socket.on('error', reject);
  });
}

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
const atOnce = async () => {};

describe('listen', () => {
  test('takes a free port and answers there', async () => {
    const listener = listen({ bind: '127.0.0.1', port: 0, handler: HELLO });
    expect(listener.port).toBeGreaterThan(0);
    expect(listener.bind).toBe('127.0.0.1');
    expect(await talk(listener.port, GET('/x'))).toEndWith('hello /x');
    await listener.stop(atOnce, 0);
  });

  test('refuses a port that somebody has, instead of sharing it', async () => {
    const first = listen({ bind: '127.0.0.1', port: 0, handler: HELLO });
    const error = await errorOf(() => listen({ bind: '127.0.0.1', port: first.port, handler: HELLO }));
    expect([error.code, error.exit, error.meta]).toEqual([
      'PROXY_PORT_IN_USE',
      1,
      { port: first.port, bind: '127.0.0.1', by: 'another program' },
    ]);
    expect(await talk(first.port, GET('/x'))).toEndWith('hello /x');
    await first.stop(atOnce, 0);
  });

  test('refuses an address of another machine', async () => {
    const error = await errorOf(() => listen({ bind: '192.0.2.1', port: 0, handler: HELLO }));
    expect([error.code, error.exit]).toEqual(['PROXY_INVALID_CONFIG', 3]);
    expect(error.message).toContain('192.0.2.1');
  });
});

describe('stop', () => {
  test('takes nobody new, and lets requests under way finish', async () => {
    const arrived = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const listener = listen({
      bind: '127.0.0.1',
      port: 0,
      handler: {
        async fetch() {
          arrived.resolve();
          await goOn.promise;
          return new Response('finished');
        },
      },
    });
    const answer = talk(listener.port, GET('/slow'));
    await arrived.promise;
    const drained = Promise.withResolvers<void>();
    const stopped = listener.stop(() => drained.promise, 0);
    expect(talk(listener.port, GET('/new'))).rejects.toThrow('ECONNREFUSED');
    goOn.resolve();
    expect(await answer).toEndWith('finished');
    drained.resolve();
    await stopped;
    // The port is free for whoever comes next.
    const next = listen({ bind: '127.0.0.1', port: listener.port, handler: HELLO });
    await next.stop(atOnce, 0);
  });

  test('cuts whatever is still connected when the waiting is over', async () => {
    const arrived = Promise.withResolvers<void>();
    const listener = listen({
      bind: '127.0.0.1',
      port: 0,
      handler: {
        fetch() {
          arrived.resolve();
          return new Promise(() => {});
        },
      },
    });
    const answer = talk(listener.port, GET('/for-ever'));
    await arrived.promise;
    await listener.stop(atOnce, 0);
    expect(await answer).toBe('');
  });
});
