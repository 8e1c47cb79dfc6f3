/** What the kernel is told of clients that are elsewhere reaches the connections themselves (Linux). */
import { FFIType, ptr } from 'bun:ffi';
import { afterAll, expect, test } from 'bun:test';
import { connectRaw, type RawClient } from '../../test/contract/support/raw';
import { openLibc } from '../lib/libc';
import { openSockets } from './connections/sockets';
import { type Listener, listen } from './proxy';

const opened: { listener: Listener; client: RawClient }[] = [];
afterAll(async () => {
  for (const { listener, client } of opened) {
    client.close();
    await listener.stop(async () => {}, 0);
  }
});

const TCP = 6;
const SOL_SOCKET = 1;

/** SO_KEEPALIVE, TCP_KEEPIDLE, TCP_USER_TIMEOUT and TCP_NOTSENT_LOWAT of a connection to a new listener. */
async function optionsOf(isExposed: boolean): Promise<number[]> {
  const handler = { fetch: async () => new Response('ok') };
  const listener = listen({ bind: '127.0.0.1', port: 0, handler, isExposed });
  const client = await connectRaw(`http://127.0.0.1:${listener.port}`);
  opened.push({ listener, client });
  client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.read();
  const sockets = openSockets();
  const libc = openLibc({
    getsockopt: {
      args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
      returns: FFIType.i32,
    },
  });
  if (sockets === null || libc === null) throw new Error('this is not Linux');
  try {
    const all = Array.from({ length: sockets.bound() }, (_, descriptor) => descriptor);
    const accepted = all.find((descriptor) => sockets.endsOf(descriptor)?.localPort === listener.port) ?? -1;
    return [
      [SOL_SOCKET, 9],
      [TCP, 4],
      [TCP, 18],
      [TCP, 25],
    ].map(([level = 0, name = 0]) => {
      const block = new Int32Array(new ArrayBuffer(4_096));
      block[1] = 4;
      const start = ptr(block);
      libc.symbols.getsockopt(accepted, level, name, start, (start + 4) as typeof start);
      return block[0] ?? -1;
    });
  } finally {
    sockets.close();
  }
}

test.skipIf(process.platform !== 'linux')(
  'connections from elsewhere are given up, local ones never',
  async () => {
    expect(await optionsOf(true)).toEqual([1, 60, 300_000, 131_072]);
    expect((await optionsOf(false))[2]).toBe(0);
  },
);
