import { afterEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { closeClients, failureOf, get, newClient, ok, post, textOf } from '../../../test/support/egress';
import { listenTcp, type TcpRequest } from '../../../test/support/tcp';

afterEach(closeClients);

describe('large bodies', () => {
  const large = Buffer.alloc(50_000_000, 'flm').fill('é', 1_000, 2_000);

  test.each([
    ['bytes', large],
    ['text', large.toString('latin1')],
  ])('50 MB of %s arrive whole at a slow reader', async (_name, body) => {
    const hash = createHash('sha256');
    let size = 0;
    await using server = await listenTcp((socket) => {
      let head = '';
      let wanted = Number.POSITIVE_INFINITY;
      socket.on('data', (data) => {
        let rest = Buffer.from(data);
        if (wanted === Number.POSITIVE_INFINITY) {
          head += data.toString('latin1');
          const end = head.indexOf('\r\n\r\n');
          if (end === -1) return;
          wanted = Number(/content-length: (\d+)/.exec(head)?.[1]);
          rest = rest.subarray(data.length - (head.length - end - 4));
        }
        hash.update(rest);
        size += rest.length;
        if (size === wanted) return void socket.write(ok());
        socket.pause();
        setTimeout(() => socket.resume(), 1);
      });
    });
    expect(await textOf(newClient().send(post(`${server.url}/`, body)))).toBe('ok');
    expect(size).toBe(Buffer.byteLength(body));
    expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'));
  });

  test.each([
    ['closes', (socket: TcpRequest['socket']) => void socket.end()],
    ['resets', (socket: TcpRequest['socket']) => void socket.resetAndDestroy()],
    ['reads no more', () => {}],
    [
      'reads on',
      (socket: TcpRequest['socket']) => {
        socket.resume();
      },
    ],
  ])('an answer before the end of the request is heard, when the server then %s', async (_name, then) => {
    const early = 'HTTP/1.1 413 Payload Too Large\r\ncontent-length: 3\r\n\r\nbig';
    await using server = await listenTcp((socket) => {
      socket.once('data', () => {
        socket.pause();
        socket.write(early, () => then(socket));
      });
    });
    const client = newClient();
    for (let i = 1; i <= 10; i++) {
      const response = await client.send(post(`${server.url}/`, large));
      expect(response.status).toBe(413);
      expect(await textOf(response)).toBe('big');
      // The rest of the body must not be taken for the next request, so the connection is not used again.
      expect(server.accepted()).toBe(i);
    }
    await server.deserted();
  });

  test('a server that resets in the middle of the request is not asked again', async () => {
    await using server = await listenTcp((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    expect(await failureOf(newClient().send(post(`${server.url}/`, large)))).toBe('closed');
    expect(server.accepted()).toBe(1);
  });

  /** Megabytes. Linux gives a receiver up to 32 where its owner allowed it (tcp_rmem). */
  const MOST_UNREAD = 120;

  test('500 MB wait for a reader that stops', async () => {
    const piece = Buffer.alloc(1_000_000, 'x');
    let sent = 0;
    await using server = await listenTcp((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 500000000\r\n\r\n');
        const more = (): void => {
          while (sent < 500) {
            sent++;
            if (!socket.write(piece)) {
              socket.once('drain', more);
              return;
            }
          }
        };
        more();
      });
    });
    const reader = (await newClient().send(get(`${server.url}/`))).body.reader();
    await reader.read();
    await settled(() => sent);
    await Bun.sleep(100);
    // What the two kernels' buffers and FLM's own take; a reader that stops must stop the engine.
    expect(sent).toBeLessThan(MOST_UNREAD);
    let readBytes = 0;
    let mostUnread = 0;
    for (let bytes = await reader.read(); bytes !== null; bytes = await reader.read()) {
      readBytes += bytes.length;
      mostUnread = Math.max(mostUnread, sent - readBytes / piece.length);
    }
    expect(sent).toBe(500);
    // Bytes and not this process's memory: how much garbage waits for its collector is the machine's business.
    expect(mostUnread).toBeLessThan(MOST_UNREAD);
  });

  test('single-byte chunks wait for a reader that stops, too', async () => {
    const piece = Buffer.from('1\r\nx\r\n'.repeat(10_000));
    let sent = 0;
    await using server = await listenTcp((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        const more = (): void => {
          while (sent < 20_000) {
            sent++;
            if (!socket.write(piece)) {
              socket.once('drain', more);
              return;
            }
          }
        };
        more();
      });
    });
    const reader = (await newClient().send(get(`${server.url}/`))).body.reader();
    await reader.read();
    await settled(() => sent);
    expect(sent * piece.length).toBeLessThan(40_000_000);
    reader.cancel();
    await server.deserted();
  });

  /** Waits until a number does not change any more. */
  async function settled(read: () => number): Promise<void> {
    for (let before = -1; before !== read(); ) {
      before = read();
      await Bun.sleep(30);
    }
  }
});
