/** How a listener's edge receives requests while its process goes: to another one, or for good. */
import { expect, test } from 'bun:test';
import { type ConfigSnapshot, SETTING_KEYS, SETTINGS } from '../config';
import { createBus } from '../lib/bus';
import { manualClock } from '../lib/clock';
import { silentLog } from '../lib/log';
import { createCors } from './cors';
import { createEdge, type Door, type RequestContext } from './edge';
import { PeerPorts } from './peers';

const config = Object.fromEntries(SETTING_KEYS.map((key) => [key, SETTINGS[key].default])) as ConfigSnapshot;

function edgeWith(door: Door, trustedProxies: readonly string[] = []) {
  const seen: RequestContext[] = [];
  const edge = createEdge({
    routes(context) {
      seen.push(context);
      return new Response('served');
    },
    config: () => config,
    clock: manualClock(),
    bus: createBus(),
    log: silentLog,
    busy: () => 0,
    loopback: true,
    screen: { arrive() {}, stranger() {}, hold: () => null, known() {} },
    cors: createCors(() => null),
    tracing: null,
    trustedProxies,
    peerPorts: new PeerPorts(),
    door,
  });
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    edge.fetch(
      new Request(`http://localhost${path}`, { method, headers: { host: 'localhost', ...headers } }),
      {
        requestIP: () => ({ port: 50_000, address: '10.1.2.3' }),
        timeout() {},
      },
    );
  return { ask, seen };
}

test.each([
  ['open', '/v1/models', 200, null],
  ['leaving', '/v1/models', 200, 'close'],
  ['draining', '/v1/models', 503, 'close'],
  ['draining', '/health', 200, 'close'],
  ['draining', '/ready?x=1', 200, 'close'],
  ['draining', '/readyish', 503, 'close'],
] as const)('%s: %s is answered with %d, Connection: %s', async (stance, path, status, connection) => {
  const { ask, seen } = edgeWith({ stance });
  const response = await ask(path);
  expect([response.status, response.headers.get('connection')]).toEqual([status, connection]);
  expect(response.headers.get('retry-after')).toBe(status === 503 ? '1' : null);
  expect(seen.length).toBe(status === 503 ? 0 : 1);
});

test('a listener trusts reverse proxies of its own', async () => {
  const forwarded = { 'x-forwarded-for': '203.0.113.7' };
  const trusting = edgeWith({ stance: 'open' }, ['10.0.0.0/8']);
  await trusting.ask('/v1/models', forwarded);
  const other = edgeWith({ stance: 'open' });
  await other.ask('/v1/models', forwarded);
  expect([trusting.seen[0]?.record.ip, other.seen[0]?.record.ip]).toEqual(['203.0.113.7', '10.1.2.3']);
});

const CLAIMS = {
  'x-real-ip': '203.0.113.8',
  forwarded: 'for=203.0.113.9;by=10.1.2.3',
  'x-client-ip': '203.0.113.10',
  'x-cluster-client-ip': '203.0.113.11',
  'true-client-ip': '203.0.113.12',
  'cf-connecting-ip': '203.0.113.13',
  'x-originating-ip': '203.0.113.14',
  'x-forwarded': 'for=203.0.113.15',
};

test.each([
  ['nobody is trusted', [], { ...CLAIMS, 'x-forwarded-for': '203.0.113.7' }, '10.1.2.3'],
  ['somebody else is trusted', ['10.9.9.9'], { ...CLAIMS, 'x-forwarded-for': '203.0.113.7' }, '10.1.2.3'],
  ['a proxy says who asks', ['10.1.2.3'], { ...CLAIMS, 'x-forwarded-for': '203.0.113.7' }, '203.0.113.7'],
  [
    'behind what a client claims',
    ['10.1.2.3'],
    { 'x-forwarded-for': '127.0.0.1, 203.0.113.7' },
    '203.0.113.7',
  ],
  ['a proxy says it in X-Real-IP alone', ['10.1.2.3'], CLAIMS, '203.0.113.8'],
  ['a proxy says it in no header that counts', ['10.1.2.3'], { forwarded: CLAIMS.forwarded }, '10.1.2.3'],
  ['a proxy says nothing that is an address', ['10.1.2.3'], { 'x-forwarded-for': 'unknown' }, '10.1.2.3'],
] as const)('the client when %s (FLM-086)', async (_, proxies, headers, ip) => {
  const { ask, seen } = edgeWith({ stance: 'open' }, proxies);
  await ask('/v1/models', { ...headers });
  expect(seen[0]?.ip).toBe(ip);
});

test('after a CONNECT the connection is closed: the runtime answers nothing more on it', async () => {
  const { ask } = edgeWith({ stance: 'open' });
  const response = await ask('/v1/models', {}, 'CONNECT');
  expect([response.status, response.headers.get('connection')]).toEqual([405, 'close']);
});
