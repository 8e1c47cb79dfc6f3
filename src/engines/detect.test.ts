/** Finding engines: what answers decides what it is, never the port; and most of what answers is no engine. */
import { describe, expect, test } from 'bun:test';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { egressMap } from '../../test/support/egress-map';
import { fakeEngine } from '../../test/support/fakes';
import { httpStranger, type Stranger, tcpStranger } from '../../test/support/strangers';
import { manualClock } from '../lib/clock';
import type { Env } from '../lib/paths';
import { placeOf } from './address';
import { detectEngines, idOf, placesToLook, recognise, Strangers, whoListens } from './detect';

const TIMEOUT_MS = 2_000;

interface Look {
  readonly places: Record<string, string>;
  readonly env?: Env;
  readonly timeoutMs?: number;
  readonly ownPorts?: readonly number[];
  readonly known?: readonly string[];
}

async function detect({ places, env = {}, timeoutMs = TIMEOUT_MS, ownPorts = [], known = [] }: Look) {
  using map = egressMap(places);
  const found = await detectEngines({
    egress: map.egress,
    env,
    timeoutMs,
    isOwnPort: (port) => ownPorts.includes(port),
    known: new Set(known.map(placeOf)),
    programs: [],
    isForeign: () => false,
    strangers: new Strangers(manualClock()),
  });
  return { found: found.map(({ kind, baseUrl, probe }) => [kind, baseUrl, probe.status]), asked: map.asked };
}

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);
if (!hasIpv6) console.warn('SKIPPED: this machine has no ::1, so no engine can listen on it');

describe('detectEngines', () => {
  test('recognises each engine on the other one’s port', async () => {
    await using llama = await fakeEngine('llamacpp');
    await using other = await fakeEngine('openai');
    const places = { 'http://127.0.0.1:8000': llama.url, 'http://127.0.0.1:8080': other.url };
    expect((await detect({ places })).found).toEqual([
      ['openai', 'http://127.0.0.1:8080', 'running-healthy'],
      ['llamacpp', 'http://127.0.0.1:8000', 'running-healthy'],
    ]);
  });

  test('finds nothing where nothing listens', async () => {
    expect((await detect({ places: {} })).found).toEqual([]);
  });

  test('finds an engine that wants a key, and says so', async () => {
    await using llama = await fakeEngine('llamacpp', { apiKey: 'k' });
    await using other = await fakeEngine('openai', { apiKey: 'k' });
    const places = { 'http://127.0.0.1:8080': llama.url, 'http://127.0.0.1:1234': other.url };
    expect((await detect({ places })).found.map(([kind, , status]) => [kind, status])).toEqual([
      ['llamacpp', 'needs-key'],
      ['openai', 'needs-key'],
    ]);
  });

  test.skipIf(!hasIpv6)('finds an engine that listens on IPv6 alone, really there', async () => {
    await using llama = await fakeEngine('llamacpp', { hostname: '::1' });
    expect(llama.url).toStartWith('http://[::1]:');
    expect((await detect({ places: { 'http://[::1]:8080': llama.url } })).found).toEqual([
      ['llamacpp', 'http://[::1]:8080', 'running-healthy'],
    ]);
  });

  test('counts one that answers on both as one, by its IPv4 address', async () => {
    await using llama = await fakeEngine('llamacpp');
    const places = { 'http://127.0.0.1:8080': llama.url, 'http://[::1]:8080': llama.url };
    expect((await detect({ places })).found).toEqual([
      ['llamacpp', 'http://127.0.0.1:8080', 'running-healthy'],
    ]);
  });

  test('never looks at a port of FLM itself', async () => {
    await using llama = await fakeEngine('llamacpp');
    const places = { 'http://127.0.0.1:8080': llama.url, 'http://[::1]:8080': llama.url };
    const { found, asked } = await detect({ places, ownPorts: [8080], env: { LLAMA_CPP_PORT: '8080' } });
    expect([found, asked.filter((origin) => origin.endsWith(':8080'))]).toEqual([[], []]);
  });

  test('leaves out places that are known already, under whichever name', async () => {
    await using llama = await fakeEngine('llamacpp');
    const places = { 'http://127.0.0.1:8080': llama.url };
    expect((await detect({ places, known: ['http://localhost:8080'] })).found).toEqual([]);
  });

  test('gives up on one that is slow, without making the others wait for longer', async () => {
    await using slow = await fakeEngine('llamacpp', {
      fault: { kind: 'stall-before-headers', on: 'everything' },
    });
    await using quick = await fakeEngine('openai');
    const places = { 'http://127.0.0.1:8080': slow.url, 'http://127.0.0.1:8000': quick.url };
    const startedMs = performance.now();
    const { found } = await detect({ places, timeoutMs: 250 });
    expect(found).toEqual([['openai', 'http://127.0.0.1:8000', 'running-healthy']]);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  test('looks where the environment says (FLM-041), as well as where engines usually are', async () => {
    await using llama = await fakeEngine('llamacpp');
    await using other = await fakeEngine('openai');
    const places = { 'http://127.0.0.1:7001': llama.url, 'http://gpu-box:9000': other.url };
    const env = { LLAMA_CPP_PORT: '7001', VLLM_HOST: 'gpu-box', VLLM_PORT: '9000' };
    expect((await detect({ places, env })).found).toEqual([
      ['openai', 'http://gpu-box:9000', 'running-healthy'],
      ['llamacpp', 'http://127.0.0.1:7001', 'running-healthy'],
    ]);
  });
});

describe('what is no engine', () => {
  const pages: [string, () => Stranger][] = [
    [
      'a web page',
      () => httpStranger(() => new Response('<html>', { headers: { 'content-type': 'text/html' } })),
    ],
    ['a web page that wants a password', () => httpStranger(() => new Response('<html>', { status: 401 }))],
    ['an API of another kind', () => httpStranger(() => Response.json({ ok: true }))],
    [
      'an API that knows nothing of this',
      () => httpStranger(() => Response.json({ error: 'x' }, { status: 404 })),
    ],
    ['FLM', () => httpStranger(() => Response.json({ status: 'ok' }, { headers: { server: 'flm' } }))],
    [
      'FLM with engines behind it',
      () => httpStranger(() => Response.json({ data: [{ id: 'm' }] }, { headers: { server: 'FLM' } })),
    ],
    [
      'FLM whose health page is behind something else',
      () =>
        httpStranger((path) =>
          path === '/health'
            ? new Response('ok')
            : Response.json({ error: {} }, { status: 401, headers: { server: 'flm' } }),
        ),
    ],
    ['a redirect', () => httpStranger(() => Response.redirect('http://127.0.0.1:9/v1/models'))],
    ['a server that says nothing', () => tcpStranger(null, null)],
    [
      'PostgreSQL',
      () => tcpStranger(null, Buffer.from('E\0\0\0\x85SFATAL\0VFATAL\0C0A000\0Munsupported\0\0', 'latin1')),
    ],
    ['SSH', () => tcpStranger(Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'), null)],
    [
      'noise',
      () =>
        tcpStranger(
          crypto.getRandomValues(new Uint8Array(5_000)),
          crypto.getRandomValues(new Uint8Array(5_000)),
        ),
    ],
    [
      'half an answer',
      () => tcpStranger(null, Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"data":[')),
    ],
  ];

  test.each(pages)('%s', async (_, start) => {
    await using stranger = start();
    using map = egressMap({ 'http://127.0.0.1:1': stranger.url });
    const target = { baseUrl: 'http://127.0.0.1:1', credential: null };
    expect(await recognise(target, { egress: map.egress, timeoutMs: 300 })).toBeNull();
  });

  test('a connection that is closed at once', async () => {
    const server = createServer((socket) => socket.destroy());
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    using map = egressMap({ 'http://127.0.0.1:1': `http://127.0.0.1:${port}` });
    const target = { baseUrl: 'http://127.0.0.1:1', credential: null };
    expect(await recognise(target, { egress: map.egress, timeoutMs: 300 })).toBeNull();
    server.close();
  });
});

describe('whoListens', () => {
  async function who(places: Record<string, string>, bind: string): Promise<string> {
    using map = egressMap(places);
    return whoListens(map.egress, bind, 8080);
  }

  test('names an engine, another FLM, or a program that is neither', async () => {
    await using llama = await fakeEngine('llamacpp');
    await using flm = httpStranger(() => Response.json({}, { headers: { server: 'flm' } }));
    await using page = httpStranger(() => new Response('<html>'));
    const at = (url: string) => ({ 'http://127.0.0.1:8080': url });
    expect(await who(at(llama.url), '127.0.0.1')).toBe('an engine (llama.cpp)');
    expect(await who(at(flm.url), '0.0.0.0')).toBe('another FLM');
    expect(await who(at(page.url), '127.0.0.1')).toBe('another program');
    expect(await who({}, '127.0.0.1')).toBe('another program');
  });

  test('asks IPv6 listeners at their address', async () => {
    await using llama = await fakeEngine('openai');
    expect(await who({ 'http://[::1]:8080': llama.url }, '::')).toBe('an engine (OpenAI-compatible)');
    expect(await who({ 'http://[fd00::5]:8080': llama.url }, 'fd00::5')).toBe(
      'an engine (OpenAI-compatible)',
    );
  });
});

describe('placesToLook', () => {
  test('are the usual ports of this machine, IPv4 before IPv6, each once', () => {
    const places = placesToLook({});
    expect(places).toContain('http://127.0.0.1:8080');
    expect(places).toContain('http://[::1]:11434');
    expect(new Set(places).size).toBe(places.length);
    expect(places.findIndex((place) => place.includes('[::1]'))).toBe(places.length / 2);
  });

  test.each<[Env, string[]]>([
    [{ OLLAMA_BASE_URL: 'http://gpu:11434/' }, ['http://gpu:11434']],
    [{ OLLAMA_BASE_URL: 'gpu:11434' }, ['http://gpu:11434']],
    [{ VLLM_HOST: 'gpu' }, ['http://gpu:8000']],
    [{ VLLM_PORT: '9000' }, ['http://localhost:9000']],
    [{ VLLM_HOST: 'gpu', VLLM_PORT: '9000' }, ['http://gpu:9000']],
    [{ VLLM_HOST: '', VLLM_PORT: '9000' }, ['http://localhost:9000']],
    [{ LMSTUDIO_API_HOST: 'gpu' }, ['http://gpu:1234']],
    [{ LMSTUDIO_API_HOST: 'gpu:4321' }, ['http://gpu:4321']],
    [{ LMSTUDIO_API_HOST: 'http://gpu:4321' }, ['http://gpu:4321']],
    [{ LLAMA_CPP_PORT: '7001' }, ['http://127.0.0.1:7001', 'http://[::1]:7001']],
    // Variables of other programs: nonsense in them is not FLM's business.
    [{ LLAMA_CPP_PORT: 'x', VLLM_PORT: 'x', OLLAMA_BASE_URL: 'ftp://gpu', LMSTUDIO_API_HOST: '' }, []],
    [{ LLAMA_CPP_PORT: '0', OLLAMA_BASE_URL: '' }, []],
    [{ LLAMA_CPP_PORT: '70000' }, []],
  ])('and what the environment names: %p', (env, more) => {
    const usual = new Set(placesToLook({}));
    expect(placesToLook(env).filter((place) => !usual.has(place))).toEqual(more);
  });
});

describe('idOf', () => {
  test.each([
    ['llamacpp', 'http://127.0.0.1:8080', 'llamacpp-default'],
    ['llamacpp', 'http://127.0.0.1:8081', 'llamacpp-8081'],
    ['openai', 'http://127.0.0.1:8000', 'openai-8000'],
    ['openai', 'https://example.com', 'openai-443'],
  ] as const)('%s at %s is %s (FLM-043)', (kind, url, id) => {
    expect(idOf(kind, url)).toBe(id);
  });
});
