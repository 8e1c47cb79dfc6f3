/** What can be reached from where, found out by trying: with real engines on real addresses of this machine where it has any. */
import { describe, expect, test } from 'bun:test';
import { fakeEngine } from '../../test/support/fakes';
import { isImpossible } from '../../test/support/missing';
import { listenTcp } from '../../test/support/tcp';
import type { EngineKind, EngineState } from '../contract';
import { createEgress } from '../egress';
import { adapterOf, whoIsAt } from '../engines';
import { systemClock } from '../lib/clock';
import { ipReach } from '../lib/ip';
import { interfaceAddresses, type MachineAddress } from './endpoints';
import { type ExposureOptions, reportExposure } from './exposure-report';
import type { ProxyView } from './model';

const egress = createEgress({ clock: systemClock });

function state(kind: EngineKind, baseUrl: string): EngineState {
  const ref = { id: `${kind}-x`, kind, baseUrl, origin: 'detected' } as const;
  const unknown = { reason: null, version: null, latencyMs: null, slots: null, consecutiveFailures: 0 };
  return { ref, status: 'running-healthy', ...unknown, routes: [], models: [] };
}

function proxy(listenAddr: string, more: Partial<ProxyView> = {}): ProxyView {
  return {
    id: 'proxy-8080',
    pid: 1,
    port: 8080,
    https_port: null,
    mode: 'local-http',
    listen_addr: listenAddr,
    status: 'running',
    running: true,
    last_error: null,
    uncertified: [],
    endpoints: { localhost: null, local_network: null, local_networks: [], public: [] },
    acme_domain: null,
    egress: { mode: 'direct', fail_open: false, socks5_endpoint: null },
    trusted_proxies: [],
    proxy_protocol: false,
    client_certificates: 'off',
    client_ca_file: null,
    client_crl_file: null,
    allow_plaintext: false,
    onion: null,
    saved: true,
    started_at: null,
    requests: 0,
    ...more,
  };
}

const LAPTOP: readonly MachineAddress[] = [
  { ip: '127.0.0.1', interfaceName: 'lo' },
  { ip: '192.168.1.20', interfaceName: 'wlan0' },
  { ip: 'fe80::1', interfaceName: 'wlan0' },
];
const SERVER: readonly MachineAddress[] = [...LAPTOP, { ip: '203.0.114.5', interfaceName: 'eth0' }];

async function report(more: Partial<ExposureOptions>) {
  return reportExposure({
    proxies: () => [],
    adminUrl: () => null,
    hasKey: () => true,
    engines: async () => [],
    addresses: () => LAPTOP,
    addressOf: async () => null,
    knock: egress.knock,
    whoIsAt: (ip, port) => whoIsAt(egress, ip, port),
    usualPorts: [],
    stayHome: (kind) => adapterOf(kind).stayHome,
    ...more,
  });
}

describe('listeners', () => {
  test.each<[string, readonly MachineAddress[], boolean, boolean, string, string]>([
    ['127.0.0.1:8080', SERVER, false, true, 'this-machine', 'ok'],
    ['[::1]:8080', SERVER, false, true, 'this-machine', 'ok'],
    ['0.0.0.0:8080', LAPTOP, false, true, 'this-network', 'ok'],
    ['0.0.0.0:8080', LAPTOP, false, false, 'this-network', 'warning'],
    ['[::]:8080', LAPTOP, false, true, 'this-network', 'ok'],
    ['0.0.0.0:8080', SERVER, true, true, 'internet', 'warning'],
    // It was a private address when FLM was started.
    ['0.0.0.0:8080', SERVER, false, true, 'internet', 'open'],
  ])(
    '%s on %j, plaintext allowed: %p, with a key: %p',
    async (address, addresses, allowed, key, reach, verdict) => {
      const found = await report({
        proxies: () => [proxy(address, { allow_plaintext: allowed })],
        addresses: () => addresses,
        hasKey: () => key,
        adminUrl: () => 'http://127.0.0.1:7843',
      });
      const [first, admin] = found.listeners;
      expect([first?.reach, first?.verdict, found.status]).toEqual([reach, verdict, verdict] as never[]);
      expect(first?.advice === null).toBe(reach === 'this-machine');
      expect(admin).toMatchObject({
        id: 'admin',
        address: '127.0.0.1:7843',
        reach: 'this-machine',
        verdict: 'ok',
      });
    },
  );
});

test('an address that no certificate holds is said once, with what to do, and no URL leads there', async () => {
  const found = await report({
    proxies: () => [
      proxy('0.0.0.0:8080', { mode: 'packaged-ca', https_port: 8081, uncertified: ['203.0.114.5'] }),
    ],
    addresses: () => SERVER,
  });
  const [first] = found.listeners;
  expect(first).toMatchObject({ tls: true, verdict: 'warning', urls: [] });
  expect(first?.advice).toMatch(
    /^No certificate of FLM holds 203\.0\.114\.5,.*certificates import.*certs\.names.*ca rotate/,
  );
});

test.each([
  [true, 0, 'ok', 'still needs a key'],
  [true, 2, 'ok', null],
  [false, 2, 'warning', 'flm api-keys create'],
])(
  'an onion service is reached through Tor (with a key: %p, for %p clients)',
  async (key, clients, verdict, advice) => {
    const onion = { address: 'abc.onion', published: true, reason: null, clients };
    const found = await report({ proxies: () => [proxy('127.0.0.1:8080', { onion })], hasKey: () => key });
    expect(found.listeners).toMatchObject([
      { id: 'proxy-8080', reach: 'this-machine', verdict: 'ok' },
      {
        id: 'proxy-8080',
        address: 'abc.onion',
        running: true,
        reach: 'tor',
        urls: ['http://abc.onion/v1'],
        verdict,
        advice: advice === null ? null : expect.stringContaining(advice),
      },
    ]);
    expect(found.status).toBe(verdict as typeof found.status);
  },
);

test('an onion service that tor does not publish leads nowhere at the moment', async () => {
  const onion = { address: null, published: false, reason: 'tor is away', clients: 0 };
  const found = await report({ proxies: () => [proxy('127.0.0.1:8080', { onion })] });
  expect(found.listeners[1]).toMatchObject({ running: false, reach: 'tor', urls: [] });
});

const outside = interfaceAddresses().filter(({ ip }) => ipReach(ip) !== 'loopback');
const ipv4 = outside.find(({ ip }) => !ip.includes(':'));
const ipv6 = outside.find(({ ip }) => ip.includes(':') && ipReach(ip) !== 'link-local');
const link = outside.find(({ ip }) => ip.includes(':') && ipReach(ip) === 'link-local');
const lacks = (address: unknown, what: string) =>
  isImpossible(`an engine on ${what}`, address === undefined ? `this machine has none` : null);

describe('an engine on this machine', () => {
  const real = { addresses: interfaceAddresses };

  test.skipIf(lacks(ipv4, 'an IPv4 address of a network'))(
    'that answers on every network is found, and how to keep it at home is said',
    async () => {
      await using fake = await fakeEngine('ollama', { hostname: '0.0.0.0' });
      const port = Number(new URL(fake.url).port);
      const found = await report({
        ...real,
        engines: async () => [state('ollama', `http://127.0.0.1:${port}`)],
      });
      expect(found.status).toBe('open');
      expect(found.engines).toEqual([
        {
          engine: 'ollama-x',
          kind: 'ollama',
          port,
          open_at: outside
            .filter(({ ip }) => !ip.includes(':'))
            .map(({ ip }) => ({
              address: ip,
              reach: expect.stringMatching(/^(this-network|internet)$/),
              answers: 'without-key',
            })),
          verdict: 'open',
          advice: `Set OLLAMA_HOST=127.0.0.1 for it and start it again. Or block port ${port} in the firewall.`,
        },
      ]);
    },
  );

  test.skipIf(lacks(ipv6, 'an IPv6 address of a network'))('is found on IPv6, too', async () => {
    const address = ipv6?.ip ?? '';
    await using fake = await fakeEngine('llamacpp', { hostname: address });
    const found = await report({ ...real, engines: async () => [state('llamacpp', fake.url)] });
    expect(found.engines[0]?.open_at).toEqual([
      { address, reach: expect.any(String), answers: 'without-key' },
    ]);
    expect(found.engines[0]?.advice).toContain('llama-server --host 127.0.0.1');
  });

  test.skipIf(lacks(ipv4, 'an IPv4 address of a network'))(
    'that FLM does not know is found at a usual port, on an address of a network alone',
    async () => {
      const address = ipv4?.ip ?? '';
      await using fake = await fakeEngine('vllm', { hostname: address });
      await using other = await listenTcp((socket) => socket.end(), { host: address });
      const port = Number(new URL(fake.url).port);
      const found = await report({ ...real, usualPorts: [port, other.port] });
      expect(found.status).toBe('open');
      expect(found.engines).toMatchObject([
        { engine: `vllm-${port}`, kind: 'vllm', port, open_at: [{ address, answers: 'without-key' }] },
      ]);
    },
  );

  test.skipIf(lacks(link, 'an address of one link'))('is found on an address of one link, too', async () => {
    await using server = await listenTcp(() => {}, { host: '::' });
    const engines = async () => [state('vllm', `http://127.0.0.1:${server.port}`)];
    const found = await report({ addresses: () => (link === undefined ? [] : [link]), engines });
    expect(found.engines[0]).toMatchObject({
      verdict: 'warning',
      open_at: [{ address: link?.ip, answers: 'unknown' }],
    });
  });

  test.skipIf(lacks(ipv4, 'an IPv4 address of a network'))(
    'that asks for a key of its own, or is not known, is a warning',
    async () => {
      await using locked = await fakeEngine('vllm', { hostname: ipv4?.ip ?? '', apiKey: 'sk-engine' });
      await using server = await listenTcp(
        (socket) => socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'),
        { host: ipv4?.ip ?? '' },
      );
      const engines = async () => [state('vllm', locked.url), state('openai', server.url)];
      const found = await report({ ...real, engines });
      expect(found.status).toBe('warning');
      expect(found.engines.map(({ open_at: [at] }) => at?.answers)).toEqual(['with-key', 'unknown']);
    },
  );

  test('is found by a name of this machine, too', async () => {
    const named = { 'http://box:8000': '127.0.1.1', 'http://box.lan:8001': '192.168.1.20' } as const;
    const found = await report({
      engines: async () =>
        [...Object.keys(named), 'http://gpu.lan:8002', 'http://gone:8003'].map((url) => state('vllm', url)),
      addressOf: async (url) =>
        url === 'http://gpu.lan:8002' ? '192.168.1.99' : (named[url as keyof typeof named] ?? null),
      knock: async () => true,
      whoIsAt: async () => ({ who: 'engine', kind: 'vllm', wantsKey: false }),
    });
    expect(found.engines.map(({ port, verdict }) => [port, verdict])).toEqual([
      [8000, 'open'],
      [8001, 'open'],
    ]);
  });

  test('that listens on loopback alone is in order', async () => {
    await using fake = await fakeEngine('lmstudio');
    const found = await report({ ...real, engines: async () => [state('lmstudio', fake.url)] });
    expect(found.engines).toMatchObject([{ open_at: [], verdict: 'ok', advice: null }]);
    expect(found.addresses).toEqual(outside.map(({ ip }) => ip));
  });

  test('is not confused with FLM on another address of the same port', async () => {
    const found = await report({
      engines: async () => [state('llamacpp', 'http://localhost:8080')],
      knock: async () => true,
      whoIsAt: async () => ({ who: 'flm', kind: null, wantsKey: true }),
      addresses: () => LAPTOP.slice(0, 2),
    });
    expect(found.status).toBe('ok');
  });
});

test('no address of another machine is ever tried', async () => {
  const tried: string[] = [];
  const found = await report({
    engines: async () => [
      state('vllm', 'http://192.168.1.99:8000'),
      state('ollama', 'http://gpu.example:11434'),
      state('openai', 'https://api.example/v1'),
      state('llamacpp', 'http://192.168.1.20:8080'),
    ],
    async knock(ip, port) {
      tried.push(`${ip} ${port}`);
      return false;
    },
  });
  expect(found.engines.map(({ kind }) => kind)).toEqual(['llamacpp']);
  expect(tried).toEqual(['192.168.1.20 8080', 'fe80::1%wlan0 8080']);
});
