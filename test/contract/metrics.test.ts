/** /metrics: who may read it, what it counts, and that no client can make it grow. */
import { describe, expect, test } from 'bun:test';
import type { HeaderPair } from '../fake/message';
import { metricsIn, numberOf } from '../support/metrics';
import { chat, type Gateway, MODEL, startGateway } from './support/gateway';
import { ask, headerOf } from './support/raw';
import { CHAT } from './support/routes';
import { until } from './support/until';

const model = MODEL.llamacpp;
const LABELS = { engine: 'llamacpp', model };

async function scrape(gateway: Gateway, headers: readonly HeaderPair[] = []) {
  const answer = await ask(gateway.url, { method: 'GET', target: '/metrics', headers: [...headers] });
  return { ...answer, metrics: answer.status === 200 ? metricsIn(answer.body.toString()) : [] };
}

describe('the door of /metrics', () => {
  test('is open to a program of this machine', async () => {
    await using gateway = await startGateway();
    const answer = await scrape(gateway);
    expect(answer.status).toBe(200);
    expect(headerOf(answer, 'content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  test.each([
    ['x-forwarded-for', '192.0.2.1'],
    ['x-forwarded-proto', 'https'],
    ['forwarded', 'for=192.0.2.1'],
    ['x-real-ip', '192.0.2.1'],
    ['via', '1.1 front'],
    ['origin', 'tauri://localhost'],
    ['sec-fetch-site', 'same-origin'],
    ['connection', 'close'],
    ['authorization', 'Bearer flm_nobody'],
  ] satisfies HeaderPair[])(
    'is shut without a key when %s says that somebody else may be asking',
    async (name, value) => {
      await using gateway = await startGateway();
      expect((await scrape(gateway, [[name, value]])).status).toBe(401);
    },
  );

  test('is shut without a key to pages of other origins', async () => {
    await using gateway = await startGateway();
    const answer = await scrape(gateway, [['origin', 'http://localhost:3000']]);
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toContain('"code":"origin_not_allowed"');
  });

  test('is shut without a key behind a proxy that the owner named', async () => {
    await using gateway = await startGateway({ settings: { 'proxy.trusted_proxies': ['127.0.0.0/8'] } });
    expect((await scrape(gateway)).status).toBe(401);
  });

  test('is shut without a key when the name is not of this machine', async () => {
    await using gateway = await startGateway({ settings: { 'proxy.allowed_hosts': ['flm.example'] } });
    const request = { target: '/metrics', host: 'flm.example' };
    expect((await ask(gateway.url, request)).status).toBe(401);
  });

  test('is shut without a key when the owner wants that', async () => {
    await using gateway = await startGateway({ settings: { 'metrics.open_to_loopback': false } });
    expect((await scrape(gateway)).status).toBe(401);
    expect((await scrape(gateway, [gateway.auth])).status).toBe(403);
    const { plain_key: key } = await gateway.app.keys.create({ label: 'prometheus', scopes: ['metrics'] });
    const auth: HeaderPair = ['Authorization', `Bearer ${key}`];
    expect((await scrape(gateway, [auth])).status).toBe(200);
    // And that key is good for nothing else.
    expect((await gateway.post(CHAT, chat(model), { headers: [auth] })).status).toBe(403);
  });
});

describe('what is counted (FLM-121)', () => {
  test('is what happened', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model));
    await gateway.post(CHAT, chat(model, { stream: true }));
    await gateway.post(CHAT, chat('nobody-has-this'));
    await gateway.post(CHAT, chat(model), { headers: [['Authorization', 'Bearer wrong']] });
    const { metrics } = await scrape(gateway);
    const count = (name: string, labels = {}) => numberOf(metrics, name, labels);
    expect({
      total: count('flm_proxy_requests_total'),
      success: count('flm_proxy_requests_success'),
      failed: count('flm_proxy_requests_failed'),
      limited: count('flm_proxy_requests_rate_limited'),
      known: count('flm_proxy_auth_success'),
      refused: count('flm_proxy_auth_failure'),
      blocked: count('flm_proxy_requests_blocked'),
      intrusions: count('flm_proxy_intrusions_detected'),
      anomalies: count('flm_proxy_anomalies_detected'),
      active: count('flm_proxy_connections_active'),
    }).toEqual({
      ...{ total: 4, success: 2, failed: 2, limited: 0, known: 3, refused: 1 },
      ...{ blocked: 0, intrusions: 0, anomalies: 0, active: 0 },
    });
    expect(count('flm_request_duration_seconds_count', LABELS)).toBe(2);
    expect(count('flm_first_token_seconds_count', LABELS)).toBe(1);
    expect(count('flm_queue_wait_seconds_count', LABELS)).toBe(2);
    expect(count('flm_engine_attempts_total', { ...LABELS, outcome: 'done' })).toBe(2);
    expect(count('flm_tokens_output_total', LABELS)).toBeGreaterThan(0);
    expect(count('flm_engine_up', { engine: 'llamacpp', kind: 'llamacpp' })).toBe(1);
    expect(count('flm_requests_total', { route: CHAT, status: '200' })).toBe(2);
    expect(count('flm_requests_total', { route: CHAT, status: '401' })).toBe(1);
  });

  test('shows what is under way while it is', async () => {
    await using gateway = await startGateway();
    const fake = await gateway.addFake('llamacpp', { tokenDelayMs: 20, tokens: 500 });
    const client = await gateway.start(CHAT, chat(model, { stream: true }));
    await until(() => fake.busy() === 1);
    const { metrics } = await scrape(gateway);
    for (const name of ['flm_proxy_connections_active', 'flm_open_tickets', 'flm_open_leases'])
      expect([name, numberOf(metrics, name)]).toEqual([name, 1]);
    client.close();
  });

  test('grows by nothing that a client makes up', async () => {
    await using gateway = await startGateway();
    await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model));
    await gateway.post('/v1/x', chat(model));
    const before = (await scrape(gateway)).metrics.length;
    for (let each = 0; each < 20; each++) {
      await gateway.post(CHAT, chat(`made-up-${each}`));
      await gateway.post(`/v1/made-up-${each}`, chat(model));
    }
    const { metrics, body } = await scrape(gateway);
    expect(body.toString()).not.toContain('made-up');
    // The status 404 of a route that is known.
    expect(metrics.length - before).toBeLessThanOrEqual(2);
  });
});
