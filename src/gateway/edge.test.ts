/** How a listener's edge receives requests while its process goes: to another one, or for good. */
import { expect, test } from 'bun:test';
import { type ConfigSnapshot, SETTING_KEYS, SETTINGS } from '../config';
import { createBus } from '../lib/bus';
import { manualClock } from '../lib/clock';
import { silentLog } from '../lib/log';
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
    tracing: null,
    trustedProxies,
    peerPorts: new PeerPorts(),
    door,
  });
  const ask = (path: string, headers: Record<string, string> = {}) =>
    edge.fetch(new Request(`http://localhost${path}`, { headers: { host: 'localhost', ...headers } }), {
      requestIP: () => ({ port: 50_000, address: '10.1.2.3' }),
      timeout() {},
    });
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
