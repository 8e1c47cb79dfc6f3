/** The admin socket is patient: with an answer that takes long, and with a peer that is slow. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { testDir } from '../../test/support/data-dir';
import { eventually } from '../../test/support/eventually';
import { openSocket } from './doors';

/** Longer than the runtime waits by itself (10 s), which is what the door switches off. */
const LONG_MS = 12_000;

test('waits for slow work and for bodies that come slowly, and serves others meanwhile', async () => {
  using data = testDir();
  const socket = join(data.paths.runDir, 'admin.sock');
  const worked = Promise.withResolvers<Response>();
  const door = openSocket(socket, {
    fetch: async (request) =>
      request.url.endsWith('/long') ? worked.promise : new Response(`${await request.text()}, served`),
    endExpired: async () => {},
  });
  const ask = (path: string, body?: string) =>
    fetch(`http://localhost${path}`, {
      unix: socket,
      keepalive: false,
      ...(body === undefined ? {} : { method: 'POST', body }),
    }).then((response) => response.text());

  const heard = { head: '', body: '' };
  const closed: string[] = [];
  const peer = (name: keyof typeof heard, first: string) =>
    Bun.connect({
      unix: socket,
      socket: {
        open: (connection) => void connection.write(first),
        data(_, bytes) {
          heard[name] += bytes.toString();
        },
        close: () => void closed.push(name),
      },
    });
  const slowHead = await peer('head', 'GET /slow HTTP/1.1\r\nHost: local');
  const slowBody = await peer(
    'body',
    'POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nha',
  );
  try {
    const long = ask('/long');
    await Bun.sleep(LONG_MS);
    expect(await ask('/other', 'another')).toBe('another, served');
    worked.resolve(new Response('worked'));
    expect(await long).toBe('worked');
    slowBody.write('lf');
    await eventually(() => heard.body.endsWith('half, served'));
    // Whoever has not even said what it wants is cut by the runtime.
    await eventually(() => closed.includes('head'));
    expect(heard.head).toBe('');
  } finally {
    slowHead.end();
    slowBody.end();
    await door.close();
  }
}, 30_000);
