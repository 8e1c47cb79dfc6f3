/** Requests over TLS, from the client to a fake engine: they pass as they do without, and FLM knows from where they come. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { testDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { type Gateway, type GatewayOptions, startGateway } from './support/gateway';

setDefaultTimeout(30_000);

const MODEL = 'smollm2-135m-instruct';

interface Encrypted extends AsyncDisposable {
  readonly gateway: Gateway;
  /** The root, PEM. */
  readonly ca: string;
  /** curl with the key, and the root alone to trust: status and body. */
  curl(path: string, ...words: readonly string[]): Promise<string>;
}

async function encrypted(options: GatewayOptions = {}): Promise<Encrypted> {
  const gateway = await startGateway({ ...options, mode: 'packaged-ca' });
  const dir = testDir();
  const { roots } = await gateway.app.certs.status();
  const ca = roots[0]?.certificate_pem ?? '';
  const file = join(dir.paths.dir, 'root.pem');
  writeFileSync(file, ca);
  return {
    gateway,
    ca,
    async curl(path, ...words) {
      const key = ['-H', `Authorization: Bearer ${gateway.key}`];
      const target = ['--cacert', file, '-m', '20', '-w', ' %{http_code}', `${gateway.url}${path}`];
      const child = Bun.spawn(['curl', '-sS', '--noproxy', '*', ...key, ...words, ...target], {
        stdout: 'pipe',
        stderr: 'inherit',
      });
      const text = await new Response(child.stdout).text();
      await child.exited;
      return text;
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

const chatOf = (stream: boolean) =>
  JSON.stringify({ model: MODEL, stream, messages: [{ role: 'user', content: 'Hello' }] });

test('answers and streams are those that come without TLS', async () => {
  await using plain = await startGateway();
  const engine = await plain.addFake('llamacpp');
  await using secret = await encrypted();
  await secret.gateway.addEngine('llamacpp', engine.url);
  for (const stream of [false, true]) {
    const body = chatOf(stream);
    const open = await plain.post('/v1/chat/completions', body);
    const shown = await secret.curl(
      '/v1/chat/completions',
      '-N',
      '-H',
      'Content-Type: application/json',
      '-d',
      body,
    );
    // Ids and times are of each answer.
    const same = (text: string) =>
      text.replace(/"(id|created|created_at)":("[^"]*"|\d+)/g, '').replace(/"timings":\{[^}]*\}/g, '');
    expect(same(shown)).toBe(`${same(open.body.toString())} 200`);
  }
});

test('the request log, and whoever limits and bans, has the address of the client, port by port', async () => {
  await using secret = await encrypted();
  const { gateway } = secret;
  for (const ip of ['127.0.0.1', '127.0.0.2', '127.0.0.3'])
    expect(await secret.curl('/v1/models', '--interface', ip)).toEndWith(' 200');
  expect(gateway.account().finished.map(({ ip }) => ip)).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.3']);
});

test('only the reverse proxy that is trusted may say for whom it asks, and whoever is banned stays out', async () => {
  await using secret = await encrypted({
    isExposed: true,
    settings: { 'proxy.trusted_proxies': ['127.0.0.2'] },
  });
  const { gateway } = secret;
  const forwarded = ['-H', 'X-Forwarded-For: 203.0.113.9'];
  await secret.curl('/v1/models', '--interface', '127.0.0.2', ...forwarded);
  await secret.curl('/v1/models', '--interface', '127.0.0.3', ...forwarded);
  expect(gateway.account().finished.map(({ ip }) => ip)).toEqual(['203.0.113.9', '127.0.0.3']);

  await gateway.app.security.ban({ ip: '203.0.113.9', reason: 'test' });
  expect(await secret.curl('/v1/models', '--interface', '127.0.0.2', ...forwarded)).toEndWith(' 403');
  expect(await secret.curl('/v1/models', '--interface', '127.0.0.3', ...forwarded)).toEndWith(' 200');
});

test('a client that hangs up stops the engine', async () => {
  await using secret = await encrypted();
  const engine = await secret.gateway.addFake('llamacpp', { tokens: 10_000, tokenDelayMs: 20 });
  const leaving = new AbortController();
  const response = await fetch(`${secret.gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: [['Content-Type', 'application/json'], [...secret.gateway.auth]],
    body: chatOf(true),
    tls: { ca: secret.ca },
    signal: leaving.signal,
  });
  const reader = response.body?.getReader();
  await reader?.read();
  expect(engine.busy()).toBe(1);
  leaving.abort();
  await reader?.read().catch(() => {});
  await eventually(() => engine.busy() === 0);
});

test('a base URL that is wrong is told with https', async () => {
  await using secret = await encrypted();
  const { port } = new URL(secret.gateway.url);
  expect(await secret.curl('/v1/')).toContain(`The base URL ends in /v1: https://localhost:${port}/v1`);
});

test('those who do not finish a request are cut by the limits of connections, and silent streams are not', async () => {
  await using secret = await encrypted();
  const { gateway, ca } = secret;
  await gateway.addFake('llamacpp', { tokens: 3, tokenDelayMs: 1_500 });
  await gateway.app.policy.set({ document: { connections: { enabled: true, header_timeout_s: 1 } } });
  const asked = secret.curl(
    '/v1/chat/completions',
    '-N',
    '-H',
    'Content-Type: application/json',
    '-d',
    chatOf(true),
  );
  const { port } = new URL(gateway.url);
  const slow = connect({ host: '127.0.0.1', port: Number(port), servername: 'localhost', ca });
  const closed = new Promise<void>((resolve) => slow.once('close', () => resolve()));
  slow.on('error', () => {});
  slow.write('POST /v1/chat/completions HTTP/1.1\r\nHost: loc');
  await closed;
  const text = await asked;
  expect(text).toContain('[DONE]');
  expect(text).toEndWith(' 200');
});
