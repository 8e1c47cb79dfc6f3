/** Which proxies run, which are wanted, and what is put on record of it (FLM-067). */
import { expect, test } from 'bun:test';
import { configSchema, openDatabases } from '../../db';
import { testDir } from '../../test/support/data-dir';
import type { AuditEvent } from '../contract';
import { manualClock } from '../lib/clock';
import type { ProxyHandle, ProxyProfile } from './model';
import { createProxyStore } from './store';

function handle(port: number, startedAtMs: number): ProxyHandle {
  const listenAddr = `127.0.0.1:${port}`;
  return { id: `proxy-${port}`, pid: 1, port, mode: 'local-http', listenAddr, httpsPort: null, startedAtMs };
}

function profile(port: number, bind = '127.0.0.1'): ProxyProfile {
  return { mode: 'local-http', bind, port, trustedProxies: ['10.0.0.0/8'], allowPlaintext: false };
}

test('a handle lives from start to stop, a profile stays with its latest start, and a crash leaves nothing', async () => {
  using data = testDir();
  const db = await openDatabases({ paths: data.paths, env: data.env, clock: manualClock(), lockWaitMs: 0 });
  const store = createProxyStore(db.config, { write() {} });
  const handles = () => db.config.select().from(configSchema.activeProxyHandles).all();
  const profiles = () => db.config.select().from(configSchema.proxyProfiles).all();

  await store.started(handle(8080, 100), profile(8080, '127.0.0.1'), true);
  await store.started(handle(9090, 200), profile(9090, '::1'), true);
  expect(handles().map((row) => JSON.parse(row.handleJson))).toEqual([handle(8080, 100), handle(9090, 200)]);

  await store.stopped('proxy-8080');
  await store.stopped('proxy-1');
  expect(handles().map(({ id }) => id)).toEqual(['proxy-9090']);
  expect(profiles().map(({ id }) => id)).toEqual(['proxy-8080', 'proxy-9090']);

  // Started again, in another way.
  await store.started(handle(8080, 300), profile(8080, '0.0.0.0'), true);
  await store.started(handle(8080, 400), profile(8080, '0.0.0.0'), true);
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

test('what is wanted is what its owner started and did not stop; each change is put on record with it', async () => {
  using data = testDir();
  const db = await openDatabases({ paths: data.paths, env: data.env, clock: manualClock(), lockWaitMs: 0 });
  const events: AuditEvent[] = [];
  let isFull = false;
  const store = createProxyStore(db.config, {
    write(event) {
      if (isFull) throw new Error('no room');
      events.push(event);
    },
  });
  await store.started(handle(3, 30), profile(3), true);
  await store.started(handle(1, 10), profile(1), true);
  await store.started(handle(2, 20), profile(2), false);
  expect(await store.wanted()).toEqual([profile(1), profile(3)]);

  await store.ended('proxy-1');
  await store.stopped('proxy-3');
  expect(await store.wanted()).toEqual([profile(1)]);
  expect(events.map(({ type, target }) => `${type} ${target}`)).toEqual([
    'proxy.started proxy:proxy-3',
    'proxy.started proxy:proxy-1',
    'proxy.started proxy:proxy-2',
    'proxy.stopped proxy:proxy-3',
  ]);

  // What cannot be put on record does not happen.
  isFull = true;
  expect(store.stopped('proxy-1')).rejects.toThrow('no room');
  expect(await store.wanted()).toEqual([profile(1)]);

  // A way to run that only another version knows.
  db.config.update(configSchema.proxyProfiles).set({ configJson: '{"mode":"https-acme"}' }).run();
  expect(await store.wanted()).toEqual([]);
  db.close();
});

test('who may connect is kept with a proxy; one of which that cannot be read is not started', async () => {
  using data = testDir();
  const db = await openDatabases({ paths: data.paths, env: data.env, clock: manualClock(), lockWaitMs: 0 });
  const store = createProxyStore(db.config, { write() {} });
  const guarded: ProxyProfile = {
    ...profile(8080),
    mode: 'packaged-ca',
    clientCertificates: { demand: 'required', caFile: '/etc/clients.pem', crlFile: null },
    proxyProtocol: true,
  };
  await store.started(handle(8080, 1), guarded, true);
  expect(await store.wanted()).toEqual([guarded]);
  for (const clientCertificates of [
    'required',
    [],
    { demand: 'sometimes', caFile: '/etc/clients.pem', crlFile: null },
    { demand: 'required', crlFile: null },
    { demand: 'required', caFile: '/etc/clients.pem', crlFile: 7 },
  ]) {
    const configJson = JSON.stringify({ ...guarded, clientCertificates });
    db.config.update(configSchema.proxyProfiles).set({ configJson }).run();
    expect(await store.wanted()).toEqual([]);
  }
  db.close();
});
