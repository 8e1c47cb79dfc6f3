/**
 * Through a real Tor, of a network of our own (issue #8): requests to engines that are elsewhere, and clients that reach
 * FLM by its onion service.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../src/lib/json';
import { endDaemon } from '../support/daemon';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, leftovers, REPOSITORY } from '../support/executable';
import { testHome } from '../support/home';
import { isImpossible, isMissing } from '../support/missing';
import { type Network, openNetwork, WORLD_IP, whyNoNetwork } from '../support/network';
import { startTor, type TorClient, type TorNetwork, whyNoTor } from '../support/tor';

setDefaultTimeout(240_000);

const PORT = 18_090;
const skip = isImpossible('Tor', whyNoNetwork()) || isMissing('Tor', whyNoTor());

let network: Network;
let home: TestDir;
let tor: TorNetwork;
let ours: TorClient;
let theirs: TorClient;
let key = '';
let onion = '';

/** On the machine where FLM and its tor run. */
const inside = () => ({ prefix: network.far });
const flmData = (...words: string[]) => dataOf(home.env, words, inside());

beforeAll(async () => {
  if (skip) return;
  network = await openNetwork(['unused.flm.test'], { user: 'nobody2', password: 'x' });
  const dns = [process.execPath, join(REPOSITORY, 'test/support/dns.ts'), '127.0.0.53', WORLD_IP];
  await network.start('far', dns, { says: /listening/ }).ready;
  const models = [{ name: 'far-model' }, { name: 'far-embed', capabilities: ['embedding'] }];
  const engine = [process.execPath, join(REPOSITORY, 'test/fake/main.ts'), 'ollama', '--hostname', WORLD_IP];
  engine.push(
    '--port',
    '8000',
    '--models',
    JSON.stringify(models),
    '--tokens',
    '20',
    '--token-delay-ms',
    '5',
  );
  await network.start('far', engine, { says: /http:/ }).ready;
  tor = await startTor(network);
  ours = await tor.client('ours');
  theirs = await tor.client('theirs');
  home = testHome({ FLM_EGRESS_TOR_CONTROL: ours.control, FLM_ENGINE_TIMEOUT_MS: '20000' });
  const created = await flmData('api-keys', 'create', '--label', 'tor');
  key = isRecord(created) ? String(created.plain_key) : '';
  await flmData('config', 'set', 'egress.socks5_endpoint', ours.socks);
  await flmData('config', 'set', 'egress.mode', 'tor');
  await flmData('engines', 'add', '--id', 'far', '--url', 'http://engine.flm.test:8000');
  const proxy = await flmData('proxy', 'start', '--port', `${PORT}`, '--onion');
  expect(proxy).toMatchObject({ onion: { published: true, clients: 0, reason: null } });
  onion = addressIn(proxy);
});

afterAll(async () => {
  if (skip) return;
  // An FLM that was replaced keeps idle connections for a minute.
  await endDaemon(home);
  await network[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

function addressIn(proxy: unknown): string {
  const address = isRecord(proxy) && isRecord(proxy.onion) ? proxy.onion.address : null;
  expect(address).toMatch(/^[a-z2-7]{56}\.onion$/);
  return String(address);
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function curl(url: string, ...words: string[]): Promise<Answer> {
  const child = Bun.spawn(
    [...network.far, 'curl', '-sSN', '-m', '60', url, '-w', '\n%{http_code}', ...words],
    {
      stdout: 'pipe',
      stderr: 'pipe',
    },
  );
  const out = await new Response(child.stdout).text();
  await child.exited;
  const end = out.lastIndexOf('\n');
  return { status: Number(out.slice(end + 1)), body: out.slice(0, end) };
}

const authorized = () => ['-H', `Authorization: Bearer ${key}`, '-H', 'Content-Type: application/json'];
const chat = (stream: boolean) =>
  JSON.stringify({ model: 'far-model', stream, messages: [{ role: 'user', content: 'Hello' }] });
/** As somebody elsewhere, with a tor of their own. */
const visitBy = (client: TorClient, address: string, path: string, ...words: string[]) =>
  curl(`http://${address}${path}`, '--socks5-hostname', client.socks, ...words);
const visit = (address: string, path: string, ...words: string[]) => visitBy(theirs, address, path, ...words);

/** RFC 4648 §6 without padding. */
function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => letters[Number.parseInt(five.padEnd(5, '0'), 2)] ?? '')
    .join('');
}

/** The two halves of a client's key: the last 32 bytes of what the formats wrap. */
function clientKey(): { readonly open: string; readonly secret: string } {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const open = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const secret = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
  return { open: base32(open), secret: base32(secret) };
}

test.skipIf(skip)('chat, streams and embeddings of an engine elsewhere, through Tor', async () => {
  const at = `http://127.0.0.1:${PORT}/v1`;
  const whole = await curl(`${at}/chat/completions`, ...authorized(), '-d', chat(false));
  expect([whole.status, whole.body]).toEqual([200, expect.stringContaining('"choices"')]);
  const streamed = await curl(`${at}/chat/completions`, ...authorized(), '-d', chat(true));
  expect(streamed.body.trimEnd()).toEndWith('[DONE]');
  const input = JSON.stringify({ model: 'far-embed', input: 'Hello' });
  const embedded = await curl(`${at}/embeddings`, ...authorized(), '-d', input);
  expect([embedded.status, embedded.body]).toEqual([200, expect.stringContaining('"embedding"')]);
  expect(await flmData('egress', 'test')).toMatchObject({
    ok: true,
    tunnel: { endpoint: `tor://${ours.socks}`, reached: true },
    targets: [{ name: 'far', route: 'tunnel', dns: 'tunnel', reached: true }],
  });
});

test.skipIf(skip)('a client reaches /v1/chat/completions by the onion service', async () => {
  await eventually(async () => (await visit(onion, '/health')).status === 200, 120_000, 1_000);
  const whole = await visit(onion, '/v1/chat/completions', ...authorized(), '-d', chat(false));
  expect([whole.status, whole.body]).toEqual([200, expect.stringContaining('"choices"')]);
  const streamed = await visit(onion, '/v1/chat/completions', ...authorized(), '-d', chat(true));
  expect(streamed.body.trimEnd()).toEndWith('[DONE]');
  expect((await visit(onion, '/v1/models')).status).toBe(401);
});

test.skipIf(skip)('nothing that is open to this machine is open to those who come through it', async () => {
  expect((await visit(onion, '/metrics')).status).toBe(401);
  // As a program of this machine would ask.
  expect((await visit(onion, '/metrics', '-H', 'Host: localhost')).status).toBe(421);
  expect((await visit(onion, '/metrics', '-H', 'Host: 127.0.0.1')).status).toBe(421);
  expect((await visit(onion, '/metrics', '-H', 'X-Forwarded-For: 127.0.0.1')).status).toBe(401);
  expect((await curl(`http://127.0.0.1:${PORT}/metrics`)).status).toBe(200);
  // The door of the proxy itself stays what it was.
  expect((await curl(`http://127.0.0.1:${PORT}/health`, '-H', `Host: ${onion}`)).status).toBe(403);
});

test.skipIf(skip)('with keys of clients, only those find it', async () => {
  const { open, secret } = clientKey();
  const port = `${PORT + 10}`;
  const proxy = await flmData('proxy', 'start', '--port', port, '--onion', '--onion-client', open);
  expect(proxy).toMatchObject({ onion: { clients: 1, published: true } });
  const hidden = addressIn(proxy);
  const keys = join(network.dir, 'client-keys');
  mkdirSync(keys, { mode: 0o700 });
  writeFileSync(
    join(keys, 'flm.auth_private'),
    `${hidden.replace('.onion', '')}:descriptor:x25519:${secret}\n`,
  );
  const invited = await tor.client('invited', [`ClientOnionAuthDir ${keys}`]);
  await eventually(async () => (await visitBy(invited, hidden, '/health')).status === 200, 120_000, 1_000);
  expect((await visit(hidden, '/health', '-m', '15')).status).toBe(0);
  await flmData('proxy', 'stop', '--port', port);
});

test.skipIf(skip)(
  'its address survives a restart; another one takes its place when the owner wants that',
  async () => {
    await flmData('proxy', 'restart');
    const status = () => flmData('proxy', 'onion', 'status');
    await eventually(async () => JSON.stringify(await status()).includes('"published":true'), 30_000, 200);
    expect(await status()).toMatchObject({ items: [{ id: `proxy-${PORT}`, address: onion }] });
    await eventually(async () => (await visit(onion, '/health')).status === 200, 120_000, 1_000);

    // The next process takes the address over from the one that finishes its streams.
    await flmData('proxy', 'restart', '--graceful');
    await eventually(async () => JSON.stringify(await status()).includes('"published":true'), 30_000, 200);
    expect(await status()).toMatchObject({ items: [{ id: `proxy-${PORT}`, address: onion }] });
    await eventually(async () => (await visit(onion, '/health')).status === 200, 120_000, 1_000);

    const before = onion;
    onion = addressIn(await flmData('proxy', 'onion', 'rotate'));
    expect(onion).not.toBe(before);
    await eventually(async () => (await visit(onion, '/health')).status === 200, 120_000, 1_000);

    expect(await flmData('proxy', 'onion', 'remove')).toMatchObject({ onion: null, running: true });
    expect(await status()).toEqual({ items: [], next: null });
    expect((await curl(`http://127.0.0.1:${PORT}/health`)).status).toBe(200);
    const trail = JSON.stringify(await flmData('security', 'audit-logs', 'list', '--event-type', 'onion'));
    expect(trail).toContain('onion.removed');
    expect(trail).not.toContain('ED25519');
  },
);
