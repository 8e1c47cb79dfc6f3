/**
 * Everything through a SOCKS server, or nothing (issue #8): FLM on a machine whose only way out is microsocks or dante.
 * What goes over its cable is listened to.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../src/lib/json';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, flm, leftovers, REPOSITORY, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isImpossible, isMissing, lacksProgram } from '../support/missing';
import { FAR_IP, type Network, openNetwork, type Program, WORLD_IP, whyNoNetwork } from '../support/network';
import { createTestCa, type TestCa } from '../support/test-ca';

setDefaultTimeout(120_000);

const LOGIN = { user: 'walker', password: 'over-the-hills' };
const PORT = 1080;
const SERVERS = [
  { name: 'microsocks', program: 'microsocks', login: null },
  { name: 'microsocks with a login', program: 'microsocks', login: LOGIN },
  { name: 'dante', program: 'danted', login: null },
  { name: 'dante with a login', program: 'danted', login: LOGIN },
] as const;

const impossible = isImpossible('that nothing leaks past a tunnel', whyNoNetwork());
let network: Network;
let ca: TestCa;

beforeAll(async () => {
  if (impossible) return;
  network = await openNetwork(['engine.flm.test', 'secure.flm.test', 'collector.flm.test'], LOGIN);
  ca = createTestCa();
  const engine = (kind: string, port: string, models: string) => [
    ...[process.execPath, join(REPOSITORY, 'test/fake/main.ts'), kind, '--hostname', WORLD_IP],
    ...['--port', port, '--models', models, '--tokens', '20', '--token-delay-ms', '20'],
  ];
  const models = [{ name: 'far-model' }, { name: 'far-embed', capabilities: ['embedding'] }];
  await network.start('far', engine('ollama', '8000', JSON.stringify(models)), { says: /http:/ }).ready;
  await network.start('far', engine('vllm', '8001', 'secure-model'), { says: /http:/ }).ready;
  // Notes what it is sent, as an OpenTelemetry collector would.
  const collector = `Bun.serve({ hostname: '${WORLD_IP}', port: 4318, fetch: async (request) => {
    require('node:fs').appendFileSync('${collected()}', new URL(request.url).pathname + '\\n'); return new Response('{}'); } });
    console.log('up');`;
  await network.start('far', [process.execPath, '-e', collector], { says: /up/ }).ready;
  const certificate = ca.issue('DNS:secure.flm.test');
  const front = `Bun.serve({ hostname: '${WORLD_IP}', port: 443, tls: ${JSON.stringify(certificate)}, idleTimeout: 60,
    fetch: (request) => fetch('http://${WORLD_IP}:8001' + new URL(request.url).pathname, { method: request.method,
      headers: request.headers, body: request.body }) }); console.log('up');`;
  await network.start('far', [process.execPath, '-e', front], { says: /up/ }).ready;
});

afterAll(async () => {
  if (impossible) return;
  await network[Symbol.asyncDispose]();
  ca[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

async function startServer({ program, login }: (typeof SERVERS)[number]): Promise<Program> {
  if (program === 'microsocks') {
    const words = login === null ? [] : ['-u', login.user, '-P', login.password];
    const server = network.start('far', [program, '-i', FAR_IP, '-p', `${PORT}`, ...words]);
    await listens();
    return server;
  }
  const config = join(network.dir, 'danted.conf');
  writeFileSync(
    config,
    [
      `logoutput: ${join(network.dir, 'danted.log')}`,
      `internal: ${FAR_IP} port = ${PORT}`,
      `external: ${WORLD_IP}`,
      `socksmethod: ${login === null ? 'none' : 'username'}`,
      'user.privileged: root',
      'user.unprivileged: nobody',
      'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
      'socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect }',
      '',
    ].join('\n'),
  );
  const server = network.start('far', ['danted', '-f', config]);
  await listens();
  return server;
}

/** Where the collector writes down what it is asked. */
const collected = () => join(network.dir, 'collected');

/** Without a packet on the cable. */
async function listens(): Promise<void> {
  await eventually(() => {
    const { stdout } = Bun.spawnSync([...network.far, 'ss', '-ltn'], { stdout: 'pipe' });
    return stdout.toString().includes(`${FAR_IP}:${PORT}`);
  });
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A client on the near machine. */
async function ask(running: RunningFlm, path: string, body?: unknown): Promise<Answer> {
  const words = [
    ...network.near,
    'curl',
    '-sSN',
    '-m',
    '30',
    `${running.url}${path}`,
    '-w',
    '\n%{http_code}',
  ];
  if (path !== '/metrics') words.push('-H', `Authorization: Bearer ${running.key}`);
  if (body !== undefined) words.push('-H', 'Content-Type: application/json', '-d', JSON.stringify(body));
  const child = Bun.spawn(words, { stdout: 'pipe', stderr: 'pipe' });
  const out = await new Response(child.stdout).text();
  await child.exited;
  const end = out.lastIndexOf('\n');
  return { status: Number(out.slice(end + 1)), body: out.slice(0, end) };
}

const chatBody = (model: string, stream = false) => ({
  model,
  stream,
  messages: [{ role: 'user', content: 'Hello' }],
});

function errorCodeIn({ body }: Answer): unknown {
  const json: unknown = JSON.parse(body);
  return isRecord(json) && isRecord(json.error) ? json.error.code : null;
}

/** Lines of the ear that tell of anything but a conversation with the SOCKS server. */
const strayIn = (lines: readonly string[]) => lines.filter((line) => !line.includes(`${FAR_IP}.${PORT}`));

for (const server of SERVERS) {
  const missing = impossible || isMissing(server.name, lacksProgram(server.program));
  describe.skipIf(missing)(server.name, () => {
    let home: TestDir;
    let running: RunningFlm;
    let socks: Program;
    let local: Program;
    const inside = () => ({ prefix: network.near });

    beforeAll(async () => {
      socks = await startServer(server);
      const fake = [process.execPath, join(REPOSITORY, 'test/fake/main.ts'), 'vllm', '--port', '8002'];
      local = network.start('near', [...fake, '--models', 'near-model'], { says: /http:/ });
      await local.ready;
      await network.heard();
      home = testHome({
        NODE_EXTRA_CA_CERTS: ca.caFile,
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.flm.test:4318',
        OTEL_METRIC_EXPORT_INTERVAL: '500',
      });
      const { env } = home;
      await dataOf(env, ['config', 'set', 'egress.socks5_endpoint', `${FAR_IP}:${PORT}`]);
      await dataOf(env, ['config', 'set', 'egress.mode', 'socks5']);
      if (server.login !== null)
        await dataOf(env, ['egress', 'login', 'set', '--user', server.login.user], {
          ...inside(),
          stdin: `${server.login.password}\n`,
        });
      const add = (id: string, url: string) =>
        dataOf(env, ['engines', 'add', '--id', id, '--url', url], inside());
      await add('far', 'http://engine.flm.test:8000');
      await add('secure', 'https://secure.flm.test');
      await add('near', 'http://127.0.0.1:8002');
      running = await startFlm(env, ['--port', '18080'], inside());
    });
    afterAll(async () => {
      expect(await running.stop()).toBe(0);
      await socks.stop();
      await local.stop();
      home[Symbol.dispose]();
    });

    test('chat, streams, embeddings, HTTPS and a collector go through it, and nothing goes past it', async () => {
      const answered = await ask(running, '/v1/chat/completions', chatBody('far-model'));
      expect([answered.status, answered.body]).toEqual([200, expect.stringContaining('"choices"')]);
      const streamed = await ask(running, '/v1/chat/completions', chatBody('far-model', true));
      expect(streamed.body.match(/^data: /gm)?.length).toBeGreaterThan(10);
      expect(streamed.body.trimEnd()).toEndWith('[DONE]');
      const embedded = await ask(running, '/v1/embeddings', { model: 'far-embed', input: 'Hello' });
      expect([embedded.status, embedded.body]).toEqual([200, expect.stringContaining('"embedding"')]);
      const secure = await ask(running, '/v1/chat/completions', chatBody('secure-model', true));
      expect(secure.body.trimEnd()).toEndWith('[DONE]');
      const near = await ask(running, '/v1/chat/completions', chatBody('near-model'));
      expect(near.status).toBe(200);

      const isCollected = () =>
        existsSync(collected()) && readFileSync(collected(), 'utf8').includes('/v1/metrics');
      await eventually(isCollected);
      rmSync(collected());
      const hook = ['--url', 'http://collector.flm.test:4318/alerts', '--allow-private'];
      await dataOf(home.env, ['security', 'alerts', 'targets', 'add', 'ops', ...hook], inside());
      await dataOf(home.env, ['security', 'alerts', 'test', '--target', 'ops'], inside());
      expect(readFileSync(collected(), 'utf8')).toContain('/alerts');
      const report = await dataOf(home.env, ['egress', 'test'], inside());
      expect(report).toMatchObject({ ok: true, tunnel: { reached: true } });
      expect(report).toMatchObject({
        targets: [
          { name: 'far', route: 'tunnel', dns: 'tunnel', reached: true },
          { name: 'secure', route: 'tunnel', dns: 'tunnel', reached: true },
        ],
      });
      const heard = await network.heard();
      expect(heard.length).toBeGreaterThan(50);
      expect(strayIn(heard)).toEqual([]);
    });

    test('killed, nothing remote is answered, at once; what is on this machine goes on; it comes back by itself', async () => {
      const cut = ask(running, '/v1/chat/completions', chatBody('far-model', true));
      await Bun.sleep(100);
      await socks.stop();
      expect((await cut).body).not.toContain('[DONE]');
      const startedMs = performance.now();
      const refused = await ask(running, '/v1/chat/completions', chatBody('far-model'));
      expect([refused.status, errorCodeIn(refused)]).toEqual([503, 'egress_tunnel_down']);
      expect(performance.now() - startedMs).toBeLessThan(3_000);
      expect((await ask(running, '/v1/chat/completions', chatBody('near-model'))).status).toBe(200);
      const isDown = async () => {
        const status = await dataOf(home.env, ['egress', 'status'], inside());
        return isRecord(status) && status.state === 'down';
      };
      await eventually(isDown);
      // Long enough for its engine to count as gone: the reason stays what it is.
      await dataOf(home.env, ['engines', 'detect'], inside());
      for (let n = 0; n < 3; n++) await dataOf(home.env, ['engines', 'detect'], inside());
      const later = await ask(running, '/v1/chat/completions', chatBody('far-model'));
      expect([later.status, errorCodeIn(later)]).toEqual([503, 'egress_tunnel_down']);
      const metrics = await ask(running, '/metrics');
      expect(metrics.body).toContain('flm_egress_tunnel_up{mode="socks5"} 0');
      expect(strayIn(await network.heard())).toEqual([]);
      expect(metrics.body === '' || !metrics.body.includes('flm_egress_tunnel_up{mode="socks5"} 1')).toBe(
        true,
      );

      socks = await startServer(server);
      await eventually(
        async () => (await ask(running, '/v1/chat/completions', chatBody('far-model'))).status === 200,
        15_000,
        200,
      );
      const trail = await dataOf(
        home.env,
        ['security', 'audit-logs', 'list', '--event-type', 'egress'],
        inside(),
      );
      const types = isRecord(trail) && Array.isArray(trail.items) ? trail.items.map(({ type }) => type) : [];
      expect(types.slice(0, 2)).toEqual(['egress.tunnel_back', 'egress.tunnel_lost']);
      expect(JSON.stringify(trail)).not.toContain(LOGIN.password);
    });

    test('while it is down, FLM does not start in the foreground, and says what to do', async () => {
      await running.stop();
      await socks.stop();
      const ran = await flm(home.env, ['up', '--json', '--port', '18080'], inside());
      expect([ran.code, ran.stdout]).toEqual([3, '']);
      expect(ran.stderr).toContain('PROXY_INVALID_CONFIG');
      expect(strayIn(await network.heard())).toEqual([]);
      socks = await startServer(server);
      running = await startFlm(home.env, ['--port', '18080'], inside());
    });
  });
}
