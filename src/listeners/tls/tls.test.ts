/** The TLS front with real clients: what they are shown, who they are to the gateway, and what happens to those who do otherwise. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { type Openssl, openssl, openTestCerts, type TestCerts } from '../../../test/support/certs';
import { eventually } from '../../../test/support/eventually';
import { freePort } from '../../../test/support/ports';
import { createTestCa } from '../../../test/support/test-ca';
import { errorOf } from '../../../test/support/thrown';
import type { TlsContextSource } from '../../contract';
import { type Front, openFront } from '../front';
import { listen, type Visitor } from '../proxy';
import { listenTls, type TlsListener, type TlsOptions } from '.';
import { createTlsSpeech } from './speech';

setDefaultTimeout(30_000);

let box: TestCerts;
let tool: Openssl;
let source: TlsContextSource;
let root: string;
let rootFile: string;
let closers: (() => unknown)[];

beforeEach(async () => {
  box = await openTestCerts();
  tool = openssl();
  source = await box.certs.source('packaged-ca');
  root = (await box.certs.createCa({})).certificate_pem;
  rootFile = tool.file('root.pem', root);
  closers = [];
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  tool[Symbol.dispose]();
  await box[Symbol.asyncDispose]();
});

type Answer = (request: Request, connection: Visitor) => Response | Promise<Response>;

async function start(answer: Answer, options: Partial<TlsOptions> = {}): Promise<TlsListener> {
  const listener = await listenTls({
    bind: '127.0.0.1',
    port: 0,
    httpsPort: 0,
    handler: { fetch: async (request, connection) => answer(request, connection) },
    source,
    trustPage: box.certs.trustPage('packaged-ca'),
    allowedHosts: () => ['llm.lan'],
    ...options,
  });
  closers.push(() => listener.stop(async () => {}, 0));
  return listener;
}

interface Curled {
  readonly code: number;
  readonly text: string;
}

/** curl, which trusts FLM's root and nothing else; its exit code, and all that it printed. */
async function curl(...words: readonly string[]): Promise<Curled> {
  const command = ['curl', '-sS', '-m', '10', '--cacert', rootFile, '--noproxy', '*', ...words];
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe' });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, text: out + err };
}

/** One handshake; the client's end of the connection. */
function shake(port: number, options: { servername?: string; ca?: string } = {}): Promise<TLSSocket> {
  const { servername = 'localhost', ca = root } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername, ca }, () => resolve(socket));
    socket.on('error', reject);
  });
}

const idOf = (socket: TLSSocket) =>
  socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();

describe('what clients are shown', () => {
  test('each name its certificate; none, or one that nobody has, the one that fits best', async () => {
    using ca = createTestCa();
    const { cert, key } = ca.issue('DNS:llm.example.com');
    const listener = await start(() => new Response('here'));
    const brought = await box.certs.import({ certificate_pem: cert, private_key_pem: key });
    const to = (name: string) => ['--resolve', `${name}:${listener.httpsPort}:127.0.0.1`];
    const url = (name: string) => `https://${name}:${listener.httpsPort}/`;

    expect(await curl(url('localhost'))).toEqual({ code: 0, text: 'here' });
    // curl names no server for an address.
    expect(await curl(url('127.0.0.1'))).toEqual({ code: 0, text: 'here' });
    expect(await curl(...to('box7.local'), url('box7.local'))).toEqual({ code: 0, text: 'here' });
    expect((await curl(...to('other.example.com'), url('other.example.com'))).text).toContain('SSL');
    expect(await curl('--cacert', ca.caFile, ...to('llm.example.com'), url('llm.example.com'))).toEqual({
      code: 0,
      text: 'here',
    });
    const socket = await shake(listener.httpsPort, {
      servername: 'llm.example.com',
      ca: await Bun.file(ca.caFile).text(),
    });
    expect(idOf(socket)).toBe(brought.id);
    socket.destroy();
  });

  test('over IPv6, where this machine has it', async () => {
    const listener = await start(() => new Response('here'), { bind: '::1' }).catch(() => null);
    if (listener === null) return console.warn('this machine has no IPv6');
    expect(await curl('-g', `https://[::1]:${listener.httpsPort}/`)).toEqual({ code: 0, text: 'here' });
  });

  test.each([
    // what is said before the handshake, what the certificate has to hold; whether it does
    ['the right name', ['-servername', 'localhost', '-verify_hostname', 'localhost'], true],
    ['another name of this machine', ['-servername', 'box7.local', '-verify_hostname', 'box7.local'], true],
    ['a name that nobody has', ['-servername', 'no.example', '-verify_hostname', 'no.example'], false],
    // Whoever asks for a wrong name is shown what there is, and may go on if that will do.
    ['a wrong name', ['-servername', 'no.example', '-verify_hostname', 'localhost'], true],
    ['no name', ['-noservername', '-verify_hostname', 'localhost'], true],
    ['no name, the address', ['-noservername', '-verify_ip', '127.0.0.1'], true],
    ['the address as a name', ['-servername', '127.0.0.1', '-verify_ip', '127.0.0.1'], true],
    ['another address', ['-noservername', '-verify_ip', '203.0.113.9'], false],
    ['an IPv6 address', ['-noservername', '-verify_ip', '::1'], true],
  ])('openssl s_client asks for %s', async (_, words, holds) => {
    const listener = await start(() => new Response('here'));
    for (const version of ['-tls1_2', '-tls1_3']) {
      const place = [
        '-connect',
        `127.0.0.1:${listener.httpsPort}`,
        '-CAfile',
        rootFile,
        '-no-CApath',
        '-no-CAstore',
      ];
      const child = Bun.spawn(['openssl', 's_client', version, '-verify_return_error', ...place, ...words], {
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const output = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
      expect([await child.exited, /(?:hostname|IP address) mismatch/i.test(output)]).toEqual(
        holds ? [0, false] : [1, true],
      );
    }
  });

  test.each([
    ['TLS 1.0', ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'], null],
    ['TLS 1.1', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], null],
    ['TLS 1.2', ['-tls1_2'], 'TLSv1.2'],
    ['TLS 1.2 with an old cipher', ['-tls1_2', '-cipher', 'AES128-SHA:@SECLEVEL=0'], null],
    ['TLS 1.2 with an old mode', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0'], null],
    ['TLS 1.3', ['-tls1_3'], 'TLSv1.3'],
    ['HTTP/2 or HTTP/1.1', ['-alpn', 'h2,http/1.1'], 'TLSv1.3'],
    ['HTTP/2 alone', ['-alpn', 'h2'], null],
  ])('FLM-090: %s', async (_, words, protocol) => {
    const listener = await start(() => new Response('here'));
    const command = ['openssl', 's_client', '-connect', `127.0.0.1:${listener.httpsPort}`, ...words];
    const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
    const output = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
    await child.exited;
    if (protocol === null) expect(output).toContain('Cipher is (NONE)');
    else expect(output).toMatch(new RegExp(`New, ${protocol}, Cipher is \\S+(GCM|POLY1305)`));
    if (words.includes('h2,http/1.1')) expect(output).toContain('ALPN protocol: http/1.1');
  });

  test('2,000 handshakes while the certificate is exchanged 20 times: none fails, and no stream is cut', async () => {
    const encoder = new TextEncoder();
    const stream = new TransformStream<Uint8Array, Uint8Array>();
    const writer = stream.writable.getWriter();
    closers.push(() => writer.abort().catch(() => {}));
    const send = (text: string) => void writer.write(encoder.encode(text)).catch(() => {});
    const listener = await start(() => new Response(stream.readable));
    const reader = await shake(listener.httpsPort);
    let received = '';
    reader.on('data', (data) => {
      received += data.toString('latin1');
    });
    reader.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    send('first');
    await eventually(() => received.includes('first'));

    const seen = new Set<string>();
    let failed = 0;
    for (let swap = 0; swap < 20; swap++) {
      let done = false;
      const handshakes = async () => {
        for (let left = 20; left > 0; left--) {
          const socket = await shake(listener.httpsPort).catch(() => null);
          if (socket === null) failed++;
          else seen.add(idOf(socket));
          socket?.destroy();
        }
      };
      const crowd = Promise.all(Array.from({ length: 5 }, handshakes)).then(() => {
        done = true;
      });
      box.configure([`swap${swap}.lan`]);
      await box.certs.check();
      expect(done).toBe(false);
      send(`swap ${swap} `);
      await crowd;
      const next = await shake(listener.httpsPort);
      expect(idOf(next)).toBe(source.contextFor('localhost', null).id);
      next.destroy();
    }
    expect(failed).toBe(0);
    expect(seen.size).toBeGreaterThan(15);
    await eventually(() => received.includes('swap 19'));
    expect(reader.destroyed).toBe(false);
    reader.destroy();
  }, 60_000);

  test('a new root is shown to the next client, without a restart', async () => {
    const listener = await start(() => new Response('here'));
    const next = await box.certs.rotateCa({ overlap_s: 0 });
    const url = `https://localhost:${listener.httpsPort}/`;
    expect((await curl(url)).code).toBe(60);
    expect(await curl('--cacert', tool.file('next.pem', next.certificate_pem), url)).toEqual({
      code: 0,
      text: 'here',
    });
  });
});

describe('who a client is', () => {
  test('the gateway sees the other end of the outer connection, for each request', async () => {
    const seen: unknown[] = [];
    const listener = await start((request, connection) => {
      seen.push(connection.requestIP(request));
      return new Response('here');
    });
    const url = `https://localhost:${listener.httpsPort}/`;
    const { text } = await curl('--interface', '127.0.0.2', url, url, '-w', '%{local_port};');
    const [port] = /\d+(?=;)/.exec(text) ?? [];
    expect(seen).toEqual([
      { address: '127.0.0.2', port: Number(port) },
      { address: '127.0.0.2', port: Number(port) },
    ]);
  });

  test('nobody gets behind the front by another way', async () => {
    let asked = 0;
    const before = new Set(ownPorts());
    const listener = await start(() => {
      asked++;
      return new Response('here');
    });
    const ports = ownPorts().filter((port) => !before.has(port));
    const inner = ports.filter((port) => port !== listener.port && port !== listener.httpsPort);
    expect(inner).toHaveLength(1);
    expect((await fetch(`http://127.0.0.1:${inner[0]}/v1/models`)).status).toBe(403);
    expect(asked).toBe(0);
  });

  test('one that hangs up ends its request', async () => {
    const gone = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const listener = await start((request) => {
      request.signal.addEventListener('abort', () => gone.resolve());
      began.resolve();
      return gone.promise.then(() => new Response('too late'));
    });
    const socket = await shake(listener.httpsPort);
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await began.promise;
    socket.destroy();
    await gone.promise;
  });

  test('what is large passes whole, both ways, also to one that reads slowly', async () => {
    const listener = await start(async (request) => new Response(await request.bytes()));
    const file = tool.file(
      'large',
      new Uint8Array(20_000_000).map((_, i) => (i * 7) % 251),
    );
    const out = `${file}.out`;
    const url = `https://localhost:${listener.httpsPort}/`;
    const sent = await curl('--limit-rate', '15M', '--data-binary', `@${file}`, '-o', out, url);
    expect(sent).toEqual({ code: 0, text: '' });
    expect(Bun.hash(await Bun.file(out).bytes())).toBe(Bun.hash(await Bun.file(file).bytes()));
  });
});

/** The ports on which this process listens on IPv4 (proc(5): net/tcp, state 0A). */
function ownPorts(): number[] {
  const own = new Set(readdirSync('/proc/self/fd').map(linkOf));
  return readFileSync('/proc/self/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && own.has(`socket:[${inode}]`))
    .map(([, address = '']) => Number.parseInt(address.split(':')[1] ?? '', 16));
}

function linkOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return ''; // The folder itself was open while it was read.
  }
}

describe('the wrong protocol', () => {
  test('plain HTTP at the TLS port is told so', async () => {
    const listener = await start(() => new Response('here'));
    const { text } = await curl('-i', `http://127.0.0.1:${listener.httpsPort}/v1/models`);
    expect(text).toContain('400 Bad Request');
    expect(text).toContain('write https:// in front');
    expect(text).not.toContain('here');
  });

  test('TLS at the HTTP port is closed', async () => {
    const listener = await start(() => new Response('here'));
    expect((await curl('-k', `https://127.0.0.1:${listener.port}/`)).code).toBe(35);
  });
});

describe('the HTTP port', () => {
  test.each([
    // host header, path, status, location
    ['localhost', '/v1/models?limit=2', 308, 'https://localhost:PORT/v1/models?limit=2'],
    ['LOCALHOST:1', '/', 308, 'https://localhost:PORT/'],
    ['192.168.1.20:8080', '/x', 308, 'https://192.168.1.20:PORT/x'],
    ['[::1]:8080', '/x', 308, 'https://[::1]:PORT/x'],
    ['box7.local', '/health', 308, 'https://box7.local:PORT/health'],
    ['llm.lan', '/', 308, 'https://llm.lan:PORT/'],
    // Addresses that the root may not vouch for, or that are not this machine's: a client would refuse what it is shown.
    ['203.0.114.5:8080', '/v1/models', 403, null],
    ['[2001:db8::5]', '/', 403, null],
    ['10.9.8.7', '/', 403, null],
    ['other.localhost', '/', 403, null],
    ['203.0.114.5:8080', '/ca', 200, null],
    ['evil.example', '/v1/models', 403, null],
    ['localhost.evil.example', '/', 403, null],
    ['localhost, evil.example', '/', 400, null],
    ['evil.example/x', '/ca', 400, null],
    ['evil.example', '/ca', 403, null],
    ['localhost', '/ca', 200, null],
    ['localhost', '/ca/nothing', 404, null],
  ])('FLM-089: %p %p: %p', async (host, path, status, location) => {
    const listener = await start(() => new Response('THE GATEWAY'));
    const url = `http://127.0.0.1:${listener.port}${path}`;
    const response = await fetch(url, { headers: { host }, redirect: 'manual' });
    expect(response.status).toBe(status);
    expect(response.headers.get('location')).toBe(location?.replace('PORT', `${listener.httpsPort}`) ?? null);
    expect(response.headers.get('strict-transport-security')).toBeNull();
    if (status === 308) expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).not.toContain('THE GATEWAY');
  });

  test('a POST is sent on as one, its body unread', async () => {
    const listener = await start(
      async (request) => new Response(`${request.method} ${await request.text()}`),
    );
    const url = `http://localhost:${listener.port}/v1/chat/completions`;
    expect((await curl('-L', '-d', '{"model":"m"}', url)).text).toBe('POST {"model":"m"}');
  });
});

describe('handshakes that do not end', () => {
  async function front(handshakeMs?: number): Promise<Front> {
    const inner = listen({
      bind: '127.0.0.1',
      port: 0,
      handler: { fetch: async () => new Response('here') },
    });
    const made = await openFront({
      bind: '127.0.0.1',
      port: 0,
      reusePort: false,
      speech: createTlsSpeech(source, null),
      innerPort: () => inner.port,
      ...(handshakeMs === undefined ? {} : { handshakeMs }),
    });
    closers.push(async () => {
      made.leave();
      await inner.stop(async () => {}, 0);
      await made.end(0);
    });
    return made;
  }

  /** Connections that say nothing, or the beginning of a handshake; each resolves when it is there. */
  async function silent(count: number, port: number, localAddress: string): Promise<Socket[]> {
    return Promise.all(
      Array.from(
        { length: count },
        (_, index) =>
          new Promise<Socket>((resolve) => {
            const socket = connectTcp({ port, host: '127.0.0.1', localAddress }, () => {
              if (index % 2 === 0) socket.write(new Uint8Array([22, 3, 1, 2, 0, 1]));
              resolve(socket);
            });
            // Those beyond the limit are cut.
            socket.on('error', () => resolve(socket));
          }),
      ),
    );
  }

  test('1,000 of one address block nobody, not even that address, and leave nothing behind', async () => {
    const { port, halfOpen, open } = await front();
    const sockets = await silent(1_000, port, '127.0.0.2');
    await eventually(() => halfOpen() <= 64 && open() <= 64);
    expect(halfOpen()).toBeGreaterThan(0);
    for (const address of ['127.0.0.1', '127.0.0.2']) {
      const url = `https://localhost:${port}/`;
      expect(await curl('--interface', address, url)).toEqual({ code: 0, text: 'here' });
    }
    for (const socket of sockets) socket.destroy();
    await eventually(() => halfOpen() === 0 && open() === 0);
  });

  test('are cut after a while', async () => {
    const { port, open, halfOpen } = await front(50);
    const closed = (await silent(4, port, '127.0.0.1')).map(
      (socket) => new Promise((resolve) => socket.once('close', resolve)),
    );
    await Promise.all(closed);
    expect([open(), halfOpen()]).toEqual([0, 0]);
  });

  test('one that is done has all the time that it wants', async () => {
    const { port, halfOpen, open } = await front(50);
    const socket = await shake(port);
    await eventually(() => halfOpen() === 0);
    // One that comes later and is not done has been cut by then.
    const [late] = await silent(1, port, '127.0.0.2');
    await new Promise((resolve) => late?.once('close', resolve));
    await eventually(() => open() === 1);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
    await eventually(() => open() === 0);
  });
});

describe('its ports', () => {
  test('FLM-066: each that somebody has is named, and nothing stays behind', async () => {
    const taken = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      reusePort: false,
      fetch: () => new Response(),
    });
    closers.push(() => taken.stop(true));
    const free = await freePort();
    for (const place of [
      { port: free, httpsPort: taken.port ?? 0 },
      { port: taken.port ?? 0, httpsPort: free },
    ]) {
      const error = await errorOf(() => start(() => new Response(), { ...place, tenancy: 'shareable' }));
      expect([error.code, error.meta.port]).toEqual(['PROXY_PORT_IN_USE', taken.port ?? 0]);
      const again = Bun.serve({
        hostname: '127.0.0.1',
        port: free,
        reusePort: false,
        fetch: () => new Response(),
      });
      await again.stop(true);
    }
  });

  test('are free once it has stopped, and what was under way has been answered', async () => {
    const hold = Promise.withResolvers<Response>();
    const began = Promise.withResolvers<void>();
    const listener = await start(() => {
      began.resolve();
      return hold.promise;
    });
    const asked = curl(`https://localhost:${listener.httpsPort}/`);
    await began.promise;
    const stopped = listener.stop(async () => hold.resolve(new Response('to the end')), 1_000);
    expect(await asked).toEqual({ code: 0, text: 'to the end' });
    await stopped;
    for (const port of [listener.port, listener.httpsPort])
      await Bun.serve({ hostname: '127.0.0.1', port, reusePort: false, fetch: () => new Response() }).stop(
        true,
      );
  });
});
