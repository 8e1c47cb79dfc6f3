/** Several proxies in one FLM: started once each, stopped when their requests are over, started again with FLM. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { openClientTrust } from '../../certs';
import { type Databases, openDatabases } from '../../db';
import { auditSpy } from '../../test/support/audit';
import { openTestCerts, type TestCerts } from '../../test/support/certs';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { eventually } from '../../test/support/eventually';
import { freePort } from '../../test/support/ports';
import { errorOf } from '../../test/support/thrown';
import { createConfig, createSettingsStore } from '../config';
import { createBus } from '../lib/bus';
import { systemClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { isLoopback } from '../lib/ip';
import { silentLog } from '../lib/log';
import { machineAddresses } from './endpoints';
import { createProxies, type Proxies } from './service';
import { createProxyStore } from './store';
import type { Entrance } from './ways-in';

const hasNetwork = machineAddresses().some((ip) => !isLoopback(ip));

let data: TestDir;
let db: Databases;
const opened: Proxies[] = [];
/** What each entrance was told, in order. */
let told: string[];
/** Requests under way at every entrance. */
let busy: number;
/** Whether anybody has a key. */
let hasKey: boolean;
let certs: TestCerts;
/** Whether onion services can be published. */
let hasTor: boolean;

beforeEach(async () => {
  data = testDir();
  db = await openDatabases({ ...data, clock: systemClock, lockWaitMs: 0 });
  told = [];
  busy = 0;
  hasKey = true;
  certs = await openTestCerts();
  hasTor = false;
});
afterEach(async () => {
  for (const proxies of opened.splice(0)) await proxies.close(async () => {}, 0);
  await certs[Symbol.asyncDispose]();
  db.close();
  data[Symbol.dispose]();
});

/** The proxies of a process that has just been started on the data directory. */
async function start(): Promise<Proxies> {
  const config = await createConfig({
    store: createSettingsStore(db.config, auditSpy()),
    env: {},
    tomlPath: data.paths.configToml,
    flags: {},
    clock: systemClock,
    bus: createBus(),
    log: silentLog,
    running: true,
  });
  const proxies = await createProxies({
    store: createProxyStore(db.config, { write() {} }),
    config,
    clock: systemClock,
    log: silentLog,
    onions: {
      publish: async () => {
        if (!hasTor) throw new FlmError('ONION_UNAVAILABLE', { meta: { reason: 'there is no tor' } });
        return {
          view: () => ({ address: 'abc.onion', published: true, reason: null }),
          rotate: async () => {},
          close() {},
        };
      },
      forget: async () => {},
    },
    egress: () => ({ mode: 'direct', fail_open: false, socks5_endpoint: null }),
    openEntrance: ({ loopback, trustedProxies }): Entrance => {
      told.push(`open ${loopback} ${trustedProxies.join()}`);
      return {
        fetch: async () => new Response('here'),
        become: (stance) => void told.push(stance),
        busy: () => busy,
        abort() {
          told.push('abort');
          busy = 0;
        },
      };
    },
    hasKey: () => hasKey,
    whoListens: async () => 'a neighbour',
    policyVersion: async () => 7,
    certificates: (mode) => certs.certs.source(mode),
    trustPage: (mode) => certs.certs.trustPage(mode),
    certifies: (mode, host) => certs.certs.certifies(mode, host),
    onTlsListening: (mode) => told.push(`TLS ${mode}`),
    clientTrust: ({ caFile, crlFile }) =>
      openClientTrust({
        authoritiesFile: caFile,
        revocationFile: crlFile,
        revoked: () => [],
        clock: systemClock,
        log: silentLog,
      }),
  });
  opened.push(proxies);
  return proxies;
}

const states = (proxies: Proxies) => proxies.all().map(({ port, status }) => [port, status]);
const answer = async (port: number) =>
  (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text();

describe('start', () => {
  test('serves each port once, and tells of it', async () => {
    const proxies = await start();
    const [a, b] = [await freePort(), await freePort()];
    const first = await proxies.start({ port: a, trusted_proxies: ['10.0.0.0/8'] });
    await proxies.start({ port: b });
    expect(first).toMatchObject({
      id: `proxy-${a}`,
      running: true,
      saved: true,
      trusted_proxies: ['10.0.0.0/8'],
    });
    expect(told).toEqual(['open true 10.0.0.0/8', 'open true ']);
    expect([await answer(a), await answer(b)]).toEqual(['here', 'here']);
    const again = await errorOf(() => proxies.start({ port: a }));
    expect([again.code, again.meta.id]).toEqual(['PROXY_EXISTS', `proxy-${a}`]);
    expect(proxies.ports()).toEqual([a, b]);
    expect(proxies.first()?.port).toBe(a);
  });

  test('two at the same moment do not both get the port', async () => {
    const proxies = await start();
    const port = await freePort();
    const results = await Promise.allSettled([proxies.start({ port }), proxies.start({ port })]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  test('names who has the port, and writes nothing down', async () => {
    const proxies = await start();
    await using other = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('mine') });
    const error = await errorOf(() => proxies.start({ port: other.port ?? 0 }));
    expect([error.code, error.meta.by]).toEqual(['PROXY_PORT_IN_USE', 'a neighbour']);
    expect([states(proxies), proxies.isEmpty()]).toEqual([[], true]);
  });

  test.each([
    [{ mode: 'https-acme' }, 'local-http'],
    [{ bind: 'localhost.example' }, 'no IP address'],
    [{ trusted_proxies: ['10.0.0.0/33'] }, '10.0.0.0/33'],
    [{ trusted_proxies: ['10.1.1.1/8'] }, 'the network is 10.0.0.0/8'],
    [{ bind: '192.0.2.1', allow_plaintext: true }, '192.0.2.1'],
  ])('refuses %p', async (input, said) => {
    const proxies = await start();
    const error = await errorOf(async () => proxies.start({ port: await freePort(), ...input }));
    expect(error.code).toBe('PROXY_INVALID_CONFIG');
    expect(error.message).toContain(said);
    expect(proxies.isEmpty()).toBe(true);
  });
});

describe('stop', () => {
  test('refuses new requests, waits for those under way, and then gives the port back', async () => {
    const proxies = await start();
    const port = await freePort();
    await proxies.start({ port });
    busy = 1;
    const stopped = proxies.stop({ port });
    await eventually(() => told.includes('draining'));
    expect(states(proxies)).toEqual([[port, 'stopping']]);
    expect(await answer(port)).toBe('here');
    busy = 0;
    expect(await stopped).toEqual({ status: 'stopped', stopped: [`proxy-${port}`] });
    expect([states(proxies), proxies.isEmpty()]).toEqual([[], true]);
    expect(answer(port)).rejects.toThrow();
  });

  test('cuts off what takes too long', async () => {
    writeFileSync(data.paths.configToml, '[proxy]\ndrain_ms = 20\n');
    const proxies = await start();
    const port = await freePort();
    await proxies.start({ port });
    busy = 1;
    await proxies.stop({ id: `proxy-${port}` });
    expect(told.slice(1)).toEqual(['draining', 'abort']);
  });

  test('knows no other than those that are there', async () => {
    const proxies = await start();
    for (const selector of [{ port: 1 }, { id: 'proxy-1' }])
      expect((await errorOf(() => proxies.stop(selector))).code).toBe('PROXY_NOT_FOUND');
    expect((await proxies.stop({ all: true })).stopped).toEqual([]);
  });
});

describe('the next process', () => {
  test('starts what was not stopped, as it was, and nothing else', async () => {
    const before = await start();
    const [a, b, c] = [await freePort(), await freePort(), await freePort()];
    await before.start({ port: a, trusted_proxies: ['10.0.0.1'] });
    await before.start({ port: b });
    await before.open(
      { mode: 'local-http', bind: '127.0.0.1', port: c, trustedProxies: [], allowPlaintext: false },
      { isWanted: false, tenancy: 'alone' },
    );
    await before.stop({ port: b });
    await before.close(async () => {}, 0);

    const after = await start();
    expect(states(after)).toEqual([[a, 'stopped']]);
    told = [];
    expect(await after.restore()).toBeNull();
    expect(states(after)).toEqual([[a, 'running']]);
    expect(told).toEqual(['open true 10.0.0.1']);
  });

  test('tells what it could not start, does not forget it, and its owner can call it off', async () => {
    const before = await start();
    const port = await freePort();
    await before.start({ port });
    await before.close(async () => {}, 0);
    const other = Bun.serve({ hostname: '127.0.0.1', port, fetch: () => new Response('mine') });

    const after = await start();
    expect((await after.restore())?.code).toBe('PROXY_PORT_IN_USE');
    expect(after.all()).toMatchObject([{ port, status: 'failed', running: false, saved: true }]);
    expect(after.all()[0]?.last_error).toContain('a neighbour');
    expect([after.isEmpty(), after.first()]).toEqual([false, null]);
    await other.stop(true);
    expect(await after.restore()).toBeNull();
    expect(states(after)).toEqual([[port, 'running']]);
    await after.stop({ all: true });
    expect(after.isEmpty()).toBe(true);
  });
});

test('reload needs a proxy that runs, and tells what has changed', async () => {
  const proxies = await start();
  expect((await errorOf(() => proxies.reload({ all: true }))).code).toBe('PROXY_NOT_RUNNING');
  const port = await freePort();
  await proxies.start({ port });
  writeFileSync(data.paths.configToml, '[proxy]\nmax_connections = 5\nbind = "::1"\n');
  expect(await proxies.reload({ port })).toMatchObject({
    status: 'reloaded',
    handle_ids: [`proxy-${port}`],
    changed: ['proxy.bind', 'proxy.max_connections'],
    restart_required: ['proxy.bind'],
  });
  writeFileSync(data.paths.configToml, '[proxy]\nmax_connections = 0\n');
  expect((await errorOf(() => proxies.reload({ all: true }))).code).toBe('CONFIG_FILE_INVALID');
});

describe('FLM-006: an address that other machines reach, while nobody has a key', () => {
  // Whatever networks this machine has, a bind to all of them is refused where there is any.
  const everywhere = { bind: '0.0.0.0', allow_plaintext: true } as const;

  test.skipIf(!hasNetwork)('is refused, and what to do is said', async () => {
    hasKey = false;
    const proxies = await start();
    const port = await freePort();
    const error = await errorOf(() => proxies.start({ port, ...everywhere }));
    expect([error.code, error.exit, error.meta.bind]).toEqual(['EXPOSURE_WITHOUT_KEY', 3, '0.0.0.0']);
    for (const remedy of ['flm api-keys create', 'bind 127.0.0.1', '--allow-no-key'])
      expect(error.hint).toContain(remedy);
    expect([proxies.isEmpty(), told]).toEqual([true, []]);
  });

  test.skipIf(!hasNetwork)('is bound where the owner said so, also after a restart', async () => {
    hasKey = false;
    const proxies = await start();
    const port = await freePort();
    await proxies.start({ port, ...everywhere, allow_no_key: true });
    await proxies.close(async () => {}, 0);
    const next = await start();
    expect(await next.restore()).toBeNull();
    expect(states(next)).toEqual([[port, 'running']]);
  });

  test.skipIf(!hasNetwork)('is bound again as soon as there is one', async () => {
    const proxies = await start();
    const port = await freePort();
    await proxies.start({ port, ...everywhere });
    await proxies.close(async () => {}, 0);
    hasKey = false;
    const next = await start();
    expect((await next.restore())?.code).toBe('EXPOSURE_WITHOUT_KEY');
    expect(states(next)).toEqual([[port, 'failed']]);
    hasKey = true;
    expect(await next.restore()).toBeNull();
    expect(states(next)).toEqual([[port, 'running']]);
  });

  test('an onion address is one: refused, unless the owner said so, and bound again when there is a key', async () => {
    hasKey = false;
    hasTor = true;
    const proxies = await start();
    const port = await freePort();
    const error = await errorOf(() => proxies.start({ port, onion: true }));
    expect([error.code, error.exit]).toEqual(['EXPOSURE_WITHOUT_KEY', 3]);
    expect(error.message).toContain('through Tor');
    for (const remedy of ['flm api-keys create', 'without --onion', '--allow-no-key'])
      expect(error.hint).toContain(remedy);
    expect([proxies.isEmpty(), proxies.isExposed(), told]).toEqual([true, false, []]);
    hasKey = true;
    await proxies.start({ port, onion: true });
    await proxies.close(async () => {}, 0);
    hasKey = false;
    const next = await start();
    expect((await next.restore())?.code).toBe('EXPOSURE_WITHOUT_KEY');
    expect(states(next)).toEqual([[port, 'failed']]);
    await next.stop({ all: true });
    await next.start({ port, onion: true, allow_no_key: true });
    expect(states(next)).toEqual([[port, 'running']]);
    expect(next.legacy()).toMatchObject([{ port, allowNoKey: true, onion: { clients: [] } }]);
  });

  test('does not matter on loopback', async () => {
    hasKey = false;
    const proxies = await start();
    expect((await proxies.start({ port: await freePort() })).running).toBe(true);
  });
});

test('an onion service leads to plain HTTP: refused with a mode that has HTTPS', async () => {
  hasTor = true;
  const proxies = await start();
  const port = await freePort();
  const error = await errorOf(() => proxies.start({ port, mode: 'packaged-ca', onion: true }));
  expect(error).toMatchObject({ code: 'PROXY_INVALID_CONFIG' });
  expect(error.message).toContain('an onion service leads to a proxy of mode local-http');
  expect(proxies.all()).toEqual([]);
});

test('an onion service exposes FLM, as long as it is there', async () => {
  hasTor = true;
  const proxies = await start();
  const [plain, onion] = [await freePort(), await freePort()];
  await proxies.start({ port: plain });
  expect([proxies.isExposed(), proxies.onionPorts()]).toEqual([false, []]);
  await proxies.start({ port: onion, onion: true });
  expect(proxies.isExposed()).toBe(true);
  expect(proxies.onionPorts()).toEqual([expect.any(Number)]);
  // Its visitors come by a port of their own.
  expect(proxies.ports()).toEqual([plain, onion]);
  expect(proxies.onionPorts()).not.toContain(onion);
  await proxies.removeOnion({ id: `proxy-${onion}` });
  expect([proxies.isExposed(), proxies.onionPorts()]).toEqual([false, []]);
});
