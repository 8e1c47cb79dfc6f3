/**
 * Honest traffic (issue 6): 10,000 requests within a minute from one address, of curl, openai-python and a browser with
 * preflights, slips and expired keys among them. Whoever has a valid key is served, every time.
 */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { makeKey } from '../../src/admission/key-format';
import { startGateway } from './support/gateway';

setDefaultTimeout(120_000);

const TOTAL = 10_000;
const AT_ONCE = 32;
const IP = '203.0.113.50';
const BROWSER =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15';
const OPENAI = {
  'user-agent': 'OpenAI/Python 2.8.0',
  'x-stainless-lang': 'python',
  'x-stainless-runtime': 'CPython',
  'x-stainless-retry-count': '0',
};

test('of 10,000 mixed requests behind one address not one valid one is refused', async () => {
  await using gateway = await startGateway({ isExposed: true });
  const { plain_key: ended, id } = await gateway.app.keys.create({ label: 'ended' });
  await gateway.app.keys.revoke(id);
  const { key } = gateway;
  const auth = (plain: string) => ({ authorization: `Bearer ${plain}` });
  const valid = (headers: Record<string, string>) => ({
    method: 'GET',
    path: '/v1/models',
    headers,
    isValid: true,
  });
  const other = (path: string, headers: Record<string, string>, method = 'GET') => ({
    method,
    path,
    headers,
    isValid: false,
  });
  const CLIENTS = [
    () => valid({ 'user-agent': 'curl/8.5.0', ...auth(key) }),
    () => valid({ ...OPENAI, ...auth(key) }),
    () => valid({ 'user-agent': BROWSER, origin: 'http://127.0.0.1', ...auth(key) }),
    () => valid({ ...OPENAI, ...auth(key) }),
    () => valid({ 'user-agent': 'curl/8.5.0', ...auth(key) }),
    () => other('/v1/models', { 'user-agent': 'curl/8.5.0', ...auth(`${key.slice(0, -3)}xyz`) }),
    () => other('/v1/models', { ...OPENAI, ...auth(ended) }),
    () => other('/v1/models', { ...OPENAI, ...auth(makeKey().plain) }),
    () => other('/chat/completions', { ...OPENAI, ...auth(key) }, 'POST'),
    () =>
      other(
        '/v1/models',
        { 'user-agent': BROWSER, origin: 'http://127.0.0.1', 'access-control-request-method': 'GET' },
        'OPTIONS',
      ),
    () => other('/favicon.ico', { 'user-agent': BROWSER }),
    () => other('/health', { 'user-agent': 'kube-probe/1.31' }),
  ] as const;

  const statuses = new Map<string, number>();
  let sent = 0;
  const startedMs = performance.now();
  async function client(): Promise<void> {
    while (sent < TOTAL) {
      const { method, path, headers, isValid } = (CLIENTS[sent++ % CLIENTS.length] ?? CLIENTS[0])();
      const response = await fetch(`${gateway.url}${path}`, {
        method,
        headers: { ...headers, 'x-forwarded-for': IP },
      });
      await response.arrayBuffer();
      const name = `${isValid ? 'valid' : `${method} ${path}`} ${response.status}`;
      statuses.set(name, (statuses.get(name) ?? 0) + 1);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  console.log(
    `      ${TOTAL} requests in ${Math.round(performance.now() - startedMs)} ms`,
    Object.fromEntries(statuses),
  );
  const ofValid = [...statuses].filter(([name]) => name.startsWith('valid '));
  expect(ofValid.map(([name]) => name)).toEqual(['valid 200']);
  // Preflights and probes are answered all along, too.
  for (const name of ['OPTIONS /v1/models 403', 'GET /health 403']) expect(statuses.has(name)).toBe(false);
  const { intrusion_score: intrusions, anomaly_score: anomalies } = await gateway.app.security.standing(IP);
  expect(intrusions).toBe(0);
  expect(anomalies).toBeLessThan(50);
});
