import { describe, expect, test } from 'bun:test';
import { listenRequests } from '../../test/support/tcp';
import { manualClock, systemClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { directTransport } from './direct';
import { createEgress, type DownloadOptions, type Egress, EgressError, type Resolve } from './index';
import type { EgressRequest, EgressResponse, Transport } from './transport';

const PUBLIC = '93.184.216.34';
const LIMITS: DownloadOptions = { maxBytes: 1_000, timeoutMs: 5_000 };

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly pieces?: readonly string[];
  /** The body never ends, however much is read. */
  readonly endless?: boolean;
  /** Nothing comes until the signal aborts. */
  readonly silent?: 'before-head' | 'before-body';
}

/** A transport that answers by URL path, and remembers what it was asked and what was cancelled. */
function fakeTransport(answers: Readonly<Record<string, Answer>>) {
  const requests: EgressRequest[] = [];
  const cancelled: string[] = [];
  let read = 0;
  const transport: Transport = {
    close() {},
    async send(request): Promise<EgressResponse> {
      requests.push(request);
      const { pathname } = new URL(request.url);
      const {
        status = 200,
        headers = {},
        pieces = [],
        endless = false,
        silent,
      } = answers[pathname] ?? { status: 404 };
      const untilAborted = (): Promise<never> =>
        new Promise((_, reject) => {
          request.signal?.addEventListener('abort', { handleEvent: () => reject(request.signal?.reason) });
        });
      if (silent === 'before-head') await untilAborted();
      let at = 0;
      return {
        status,
        headers: new Headers(headers),
        body: {
          bytes: () => Promise.reject(new Error('read with a bound')),
          pipe() {
            throw new Error('read with a bound');
          },
          reader: () => ({
            async read() {
              if (silent === 'before-body') await untilAborted();
              const piece = endless ? pieces[at++ % pieces.length] : pieces[at++];
              if (piece === undefined) return null;
              read += piece.length;
              return Buffer.from(piece);
            },
            cancel: () => void cancelled.push(pathname),
          }),
        },
      };
    },
  };
  return { transport, requests, cancelled, read: () => read };
}

const publicOnly: Resolve = async () => [PUBLIC];

function egressOver(transport: Transport, resolve: Resolve = publicOnly): Egress {
  return createEgress({ clock: manualClock(), transport, resolve });
}

/** Why a download is refused. */
async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => 'no failure',
    (reason: unknown) => reason,
  );
  if (error instanceof FlmError && error.code === 'EGRESS_REFUSED') return String(error.meta.reason);
  throw error;
}

describe('download', () => {
  test('gives the bytes and the media type', async () => {
    const { transport } = fakeTransport({
      '/a.png': { headers: { 'content-type': 'Image/PNG; charset=x' }, pieces: ['ab', 'c'] },
      '/b': { pieces: [] },
    });
    const egress = egressOver(transport);
    const image = await egress.download('http://a.example/a.png', LIMITS);
    expect(Buffer.from(image.bytes).toString()).toBe('abc');
    expect(image.contentType).toBe('image/png');
    const empty = await egress.download('http://a.example/b', LIMITS);
    expect([empty.bytes.length, empty.contentType]).toEqual([0, '']);
  });

  test('connects to the address that was checked, under the name that was asked for', async () => {
    let asked = 0;
    const rebinding: Resolve = async () => {
      asked++;
      return [asked === 1 ? PUBLIC : '127.0.0.1'];
    };
    const { transport, requests } = fakeTransport({ '/x': { pieces: ['x'] } });
    await egressOver(transport, rebinding).download('http://rebind.example:8080/x?y=z', LIMITS);
    expect(asked).toBe(1);
    expect(requests).toHaveLength(1);
    expect(requests[0]?.url).toBe(`http://${PUBLIC}:8080/x?y=z`);
    expect(requests[0]?.headers.host).toBe('rebind.example:8080');
    expect(requests[0]?.tlsName).toBeUndefined();
  });

  test.each([
    ['https://a.example/x', [PUBLIC], `https://${PUBLIC}/x`, 'a.example'],
    ['https://a.example./x', [PUBLIC], `https://${PUBLIC}/x`, 'a.example'],
    ['https://a.example:444/x', ['2606:2800::1'], 'https://[2606:2800::1]:444/x', 'a.example'],
    [`https://${PUBLIC}/x`, [], `https://${PUBLIC}/x`, undefined],
    ['https://[2606:2800::1]/x', [], 'https://[2606:2800::1]/x', undefined],
  ])('%s verifies the name that was asked for', async (url, addresses, target, tlsName) => {
    const { transport, requests } = fakeTransport({ '/x': { pieces: ['x'] } });
    await egressOver(transport, async () => addresses).download(url, LIMITS);
    expect(requests.map((request) => [request.url, request.tlsName])).toEqual([[target, tlsName]]);
  });

  test('sends nothing that belongs to somebody', async () => {
    const { transport, requests } = fakeTransport({ '/x': { pieces: ['x'] } });
    await egressOver(transport).download('http://a.example/x', LIMITS);
    expect(Object.keys(requests[0]?.headers ?? {}).sort()).toEqual(['accept', 'accept-encoding', 'host']);
    expect(requests[0]).toMatchObject({ method: 'GET', body: null });
  });

  test.each([
    ['a private address', 'http://10.0.0.1/'],
    ['a metadata service', 'http://169.254.169.254/latest/meta-data/'],
    ['another scheme', 'file:///etc/passwd'],
    ['credentials', 'http://u:p@a.example/'],
  ])('refuses %s before anything is sent', async (_name, url) => {
    const { transport, requests } = fakeTransport({});
    await refusalOf(egressOver(transport).download(url, LIMITS));
    expect(requests).toEqual([]);
  });

  test('refuses a name that has a private address besides a public one', async () => {
    const { transport, requests } = fakeTransport({});
    const reason = await refusalOf(
      egressOver(transport, async () => [PUBLIC, '192.168.0.1']).download('http://a.example/', LIMITS),
    );
    expect(reason).toContain('192.168.0.1 is private');
    expect(requests).toEqual([]);
  });

  test.each([400, 404, 500, 201, 206, 304])(
    'refuses the status %d, and reads nothing of it',
    async (status) => {
      const { transport, cancelled, read } = fakeTransport({ '/x': { status, pieces: ['x'] } });
      const reason = await refusalOf(egressOver(transport).download('http://a.example/x', LIMITS));
      expect(reason).toBe(`it answered ${status}`);
      expect(cancelled).toEqual(['/x']);
      expect(read()).toBe(0);
    },
  );
});

describe('redirects', () => {
  const to = (location: string, status = 302): Answer => ({
    status,
    headers: { location },
    pieces: ['page'],
  });

  test('are followed, three of them, each with a check of its own', async () => {
    const { transport, requests, cancelled } = fakeTransport({
      '/1': to('/2', 301),
      '/2': to('http://b.example/3', 307),
      '/3': to('https://c.example/4', 308),
      '/4': { pieces: ['x'] },
    });
    const asked: string[] = [];
    const resolve: Resolve = async (host) => {
      asked.push(host);
      return [PUBLIC];
    };
    await egressOver(transport, resolve).download('http://a.example/1', LIMITS);
    expect(asked).toEqual(['a.example', 'a.example', 'b.example', 'c.example']);
    expect(requests.map((request) => request.headers.host)).toEqual([
      'a.example',
      'a.example',
      'b.example',
      'c.example',
    ]);
    expect(cancelled).toEqual(['/1', '/2', '/3']);
  });

  test.each([
    ['a private address', 'http://127.0.0.1/', '127.0.0.1 is loopback'],
    ['a private address in disguise', 'http://0x7f.1/', '127.0.0.1 is loopback'],
    ['a private address over the same scheme', '//10.0.0.1/', '10.0.0.1 is private'],
    ['a metadata service', 'http://169.254.169.254/', '169.254.169.254 is link-local'],
    ['another scheme', 'file:///etc/passwd', 'it is file:, not http'],
    ['data', 'data:image/png;base64,AAAA', 'it is data:, not http'],
    ['credentials', 'http://u:p@b.example/', 'credentials do not belong into a URL'],
    ['no URL', 'http://[', 'it redirects to something that is not a URL'],
    ['itself', '/1', 'it redirects more than 3 times'],
  ])('to %s are refused', async (_name, location, expected) => {
    const { transport, requests } = fakeTransport({ '/1': to(location) });
    expect(await refusalOf(egressOver(transport).download('http://a.example/1', LIMITS))).toBe(expected);
    expect(requests.every((request) => request.url === `http://${PUBLIC}/1`)).toBe(true);
    expect(requests.length).toBeLessThanOrEqual(4);
  });

  test('out of HTTPS are refused', async () => {
    const { transport, requests } = fakeTransport({
      '/1': to('http://a.example/2'),
      '/2': { pieces: ['x'] },
    });
    expect(await refusalOf(egressOver(transport).download('https://a.example/1', LIMITS))).toContain('HTTPS');
    expect(requests).toHaveLength(1);
  });

  test('to a name that has become private meanwhile are refused', async () => {
    let asked = 0;
    const rebinding: Resolve = async () => [++asked === 1 ? PUBLIC : '127.0.0.1'];
    const { transport, requests } = fakeTransport({ '/1': to('/2'), '/2': { pieces: ['x'] } });
    expect(
      await refusalOf(egressOver(transport, rebinding).download('http://a.example/1', LIMITS)),
    ).toContain('loopback');
    expect(requests).toHaveLength(1);
  });

  test('without a place to go are an answer like others', async () => {
    const { transport } = fakeTransport({ '/1': { status: 302 } });
    expect(await refusalOf(egressOver(transport).download('http://a.example/1', LIMITS))).toBe(
      'it answered 302',
    );
  });
});

describe('size', () => {
  const piece = 'x'.repeat(300);

  test('what says that it is too large is not read', async () => {
    const { transport, cancelled, read } = fakeTransport({
      '/x': { headers: { 'content-length': '1001' }, pieces: [piece] },
    });
    expect(await refusalOf(egressOver(transport).download('http://a.example/x', LIMITS))).toContain(
      '1000 bytes',
    );
    expect([cancelled, read()]).toEqual([['/x'], 0]);
  });

  test.each([
    ['says nothing', {}],
    ['says less', { 'content-length': '10' }],
    ['says nonsense', { 'content-length': 'huge' }],
    ['says less than nothing', { 'content-length': '-1' }],
  ])('what %s is read up to the limit', async (_name, headers) => {
    const { transport, cancelled, read } = fakeTransport({
      '/x': { headers, pieces: [piece], endless: true },
    });
    expect(await refusalOf(egressOver(transport).download('http://a.example/x', LIMITS))).toContain(
      '1000 bytes',
    );
    expect(cancelled).toContain('/x');
    expect(read()).toBe(1_200);
  });

  test('exactly the limit is allowed', async () => {
    const { transport } = fakeTransport({ '/x': { pieces: ['x'.repeat(600), 'x'.repeat(400)] } });
    const { bytes } = await egressOver(transport).download('http://a.example/x', LIMITS);
    expect(bytes.length).toBe(1_000);
  });
});

describe('time', () => {
  const hurry: DownloadOptions = { maxBytes: 1_000, timeoutMs: 40 };

  async function kindOf(promise: Promise<unknown>): Promise<string> {
    const startedMs = performance.now();
    const error: unknown = await promise.catch((reason: unknown) => reason);
    expect(performance.now() - startedMs).toBeWithin(25, 1_000);
    if (error instanceof EgressError) return error.kind;
    throw error;
  }

  test.each(['before-head', 'before-body'] as const)(
    'a server that is silent %s is given up',
    async (silent) => {
      const { transport } = fakeTransport({ '/x': { silent } });
      expect(await kindOf(egressOver(transport).download('http://a.example/x', hurry))).toBe('timeout');
    },
  );

  test('a name server that is silent is given up', async () => {
    const { transport, requests } = fakeTransport({});
    const silent: Resolve = () => new Promise(() => {});
    expect(await kindOf(egressOver(transport, silent).download('http://a.example/x', hurry))).toBe('timeout');
    expect(requests).toEqual([]);
  });

  test('a server that drips is cut, for real', async () => {
    let drops = 0;
    await using server = await listenRequests(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const timer = setInterval(() => socket.write(`${drops++}`), 5);
      socket.on('close', () => clearInterval(timer));
    });
    // The address is public as far as the guard can tell; the bytes go to loopback.
    const direct = directTransport(systemClock);
    const transport: Transport = {
      close: direct.close,
      send: (request) => direct.send({ ...request, url: `${server.url}/x` }),
    };
    expect(await kindOf(egressOver(transport).download('http://a.example/x', hurry))).toBe('timeout');
    await server.deserted();
    expect(drops).toBeGreaterThan(0);
    direct.close();
  });
});

describe('an engine’s address', () => {
  test('may be private, and may not be link-local', async () => {
    const egress = egressOver(fakeTransport({}).transport, async () => ['192.168.0.7']);
    expect((await egress.checkEngineUrl('http://engine.lan:8000')).address).toBe('192.168.0.7');
    await refusalOf(egress.checkEngineUrl('http://169.254.169.254'));
  });
});
