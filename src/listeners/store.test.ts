/** Which proxies run, and how each was last started (FLM-067). */
import { expect, test } from 'bun:test';
import { configSchema, openDatabases } from '../../db';
import { testDir } from '../../test/support/data-dir';
import { manualClock } from '../lib/clock';
import type { ProxyHandle } from './model';
import { createProxyStore } from './store';

function handle(port: number, startedAtMs: number): ProxyHandle {
  const listenAddr = `127.0.0.1:${port}`;
  return { id: `proxy-${port}`, pid: 1, port, mode: 'local-http', listenAddr, httpsPort: null, startedAtMs };
}

test('a handle lives from start to stop, a profile stays with its latest start, and a crash leaves nothing', async () => {
  using data = testDir();
  const db = await openDatabases({ paths: data.paths, env: data.env, clock: manualClock(), lockWaitMs: 0 });
  const store = createProxyStore(db.config);
  const handles = () => db.config.select().from(configSchema.activeProxyHandles).all();
  const profiles = () => db.config.select().from(configSchema.proxyProfiles).all();

  await store.started(handle(8080, 100), { mode: 'local-http', bind: '127.0.0.1', port: 8080 });
  await store.started(handle(9090, 200), { mode: 'local-http', bind: '::1', port: 9090 });
  expect(handles().map((row) => JSON.parse(row.handleJson))).toEqual([handle(8080, 100), handle(9090, 200)]);

  await store.stopped('proxy-8080');
  await store.stopped('proxy-1');
  expect(handles().map(({ id }) => id)).toEqual(['proxy-9090']);
  expect(profiles().map(({ id }) => id)).toEqual(['proxy-8080', 'proxy-9090']);

  // Started again, in another way.
  await store.started(handle(8080, 300), { mode: 'local-http', bind: '0.0.0.0', port: 8080 });
  await store.started(handle(8080, 400), { mode: 'local-http', bind: '0.0.0.0', port: 8080 });
  expect(
    profiles().map(({ id, configJson, createdAtMs }) => [id, JSON.parse(configJson).bind, createdAtMs]),
  ).toEqual([
    ['proxy-8080', '0.0.0.0', 400],
    ['proxy-9090', '::1', 200],
  ]);

  await store.clear();
  expect([handles(), profiles().length]).toEqual([[], 2]);
  db.close();
});
