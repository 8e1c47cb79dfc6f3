/** What the policy is told: the last version on record, and who used FLM lately. */
import { expect, test } from 'bun:test';
import { testChain } from '../../test/support/audit-chain';
import { factsOf } from '../../test/support/request-facts';
import { createBus } from '../lib/bus';
import { manualClock } from '../lib/clock';
import { createRecentClients, policyOnRecord, surroundingsOf } from './policy-seams';

test('the last version on record is the highest that was set or put back', async () => {
  await using chain = await testChain();
  const { audit } = chain;
  expect(await policyOnRecord(audit)).toBeNull();
  const put = (
    type: 'policy.set' | 'policy.rolled_back' | 'policy.unreadable',
    details: Record<string, unknown>,
  ) => audit.record({ type, severity: 'low', target: 'policy:default', details });
  await put('policy.set', { version: 2, seal: 'aa' });
  await put('policy.rolled_back', { version: 3, seal: 'bb' });
  await put('policy.unreadable', { version: 9, seal: 'cc' });
  expect(await policyOnRecord(audit)).toEqual({ version: 3, seal: 'bb' });
  await put('policy.set', { version: 4, seal: 'dd' });
  expect(await policyOnRecord(audit)).toEqual({ version: 4, seal: 'dd' });
});

test('who used FLM lately is who came with a key within the hour, from another machine', async () => {
  const bus = createBus();
  const clock = manualClock();
  const clients = createRecentClients(bus, clock);
  const came = (ip: string, principalId: string | null = 'key') =>
    bus.publish({ name: 'request.finished', request: factsOf(1, { ip, principalId }) });
  came('203.0.113.1');
  came('127.0.0.1');
  came('::1');
  came('203.0.113.9', null);
  await Promise.resolve();
  clock.advance(3_000_000);
  came('203.0.113.2');
  await Promise.resolve();
  const proxies = { all: () => [] };
  expect(surroundingsOf(proxies, clients)).toEqual({
    isPublic: false,
    clients: ['203.0.113.1', '203.0.113.2'],
  });
  clock.advance(1_000_000);
  expect(surroundingsOf(proxies, clients).clients).toEqual(['203.0.113.2']);
  for (let n = 0; n < 1_100; n++) came(`10.0.${n >> 8}.${n & 255}`);
  await Promise.resolve();
  expect(clients.list()).toHaveLength(1_000);
  clients.close();
  bus.close();
});
