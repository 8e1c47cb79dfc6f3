import { describe, expect, test } from 'bun:test';
import type { Status } from '../../src/admin';
import type { CreatedKey } from '../../src/admission';
import type { EngineView } from '../../src/engines';
import { terminalText } from '../table';
import { curlFor, upText } from './banner';

const status: Status = {
  running: true,
  id: 'proxy-8080',
  pid: 1,
  version: '1.2.3',
  data_dir: '/data',
  mode: 'local-http',
  listen_addr: '127.0.0.1:8080',
  endpoints: {
    localhost: 'http://localhost:8080',
    local_network: null,
    local_networks: [],
    public: [],
  },
  admin: { url: 'http://127.0.0.1:7843', reason: null },
  run_by: 'foreground',
  egress: {
    mode: 'direct',
    endpoint: null,
    state: 'direct',
    reason: null,
    since: null,
    fail_open: false,
    private_addresses: 'direct',
    has_login: false,
  },
  proxies: [],
  started_at: '2026-11-23T12:00:00.000Z',
  requests: 0,
  engines: { running: 1, known: 1 },
  models: 1,
  security_db_key: 'file',
};

const key: CreatedKey = {
  id: 'abcdefgh',
  label: 'first key',
  plain_key: 'flm_abcdefghSECRET',
  scopes: ['inference'],
  models: null,
  created_at: '2026-11-23T12:00:00.000Z',
  expires_at: null,
  cidrs: null,
  origins: null,
  client_certificates: null,
  requests_per_minute: null,
  burst: null,
  tokens_per_minute: null,
  parallel_requests: null,
  rotate_every_s: null,
  rotate_grace_s: null,
};

function engine(models: string[], state: EngineView['status']['status'] = 'running-healthy'): EngineView {
  return {
    id: 'llamacpp-default',
    kind: 'llamacpp',
    name: 'llama.cpp',
    url: 'http://127.0.0.1:8081',
    origin: 'detected',
    version: null,
    status: { status: state, latency_ms: 1, reason: null, consecutive_failures: 0 },
    breaker: 'closed',
    capabilities: {
      chat: true,
      chat_stream: true,
      embeddings: false,
      rerank: false,
      tools: false,
      reasoning: false,
      vision_inputs: false,
      audio_inputs: false,
      routes: [],
    },
    slots: 4,
    models,
  };
}

function banner(
  engines: EngineView[],
  firstKey: CreatedKey | null = key,
  over: Partial<Status> = {},
): string {
  return upText({ status: { ...status, ...over }, engines: { items: engines, next: null }, key: firstKey });
}

describe('what flm up shows', () => {
  test('with an engine and a first key: where, what, the key once, and a request to paste', () => {
    const text = banner([engine(['small'])]);
    expect(text).toContain('FLM 1.2.3 is up.');
    expect(text).toContain('http://localhost:8080/v1');
    expect(text).toContain('llama.cpp at http://127.0.0.1:8081: small');
    expect(text).toContain('flm_abcdefghSECRET  (shown this once: keep it)');
    expect(text).toContain('curl -N http://localhost:8080/v1/chat/completions');
    expect(text).toEndWith('Stop it with Ctrl-C.');
  });

  test('with an old key: no key, and where the caller puts it', () => {
    const text = banner([engine(['small'])], null);
    expect(text).not.toMatch(/flm_\w/);
    expect(text).toContain('Try it, with your own key:\n\nexport FLM_API_KEY=flm_...\ncurl ');
    expect(text).toContain('Bearer $FLM_API_KEY"');
    expect(text).toContain('flm api-keys create');
  });

  test('without an engine that runs: how to get one, and nothing to paste', () => {
    const text = banner([engine([], 'error-network')]);
    expect(text).toContain('flm engines try');
    expect(text).not.toContain('curl');
    expect(text).not.toContain('8081');
  });

  test('with an engine that has no model: nothing to paste', () => {
    expect(banner([engine([])])).not.toContain('curl');
  });

  test('on every network: every address, the likeliest first', () => {
    const local_networks = ['http://192.168.1.5:8080', 'http://172.17.0.1:8080'];
    const endpoints = {
      localhost: 'http://localhost:8080',
      local_network: 'http://192.168.1.5:8080',
      local_networks,
      public: [],
    };
    expect(banner([], key, { endpoints })).toContain(
      [
        '  API      http://localhost:8080/v1',
        '  Network  http://192.168.1.5:8080/v1',
        '           http://172.17.0.1:8080/v1',
      ].join('\n'),
    );
  });

  test('on one address of the network: that one', () => {
    const url = 'http://192.168.1.5:8080';
    const endpoints = { localhost: null, local_network: url, local_networks: [url], public: [] };
    const text = banner([engine(['small'])], key, { endpoints });
    expect(text).toContain('curl -N http://192.168.1.5:8080/v1/');
    expect(text).not.toContain('localhost');
  });

  test('on a public address: that one, and what it lacks', () => {
    const endpoints = {
      localhost: null,
      local_network: null,
      local_networks: [],
      public: ['http://203.0.114.5:8080'],
    };
    const text = banner([engine(['small'])], key, { endpoints });
    expect(text).toContain('  Public  http://203.0.114.5:8080/v1  (not encrypted)\n');
    expect(text).toContain('curl -N http://203.0.114.5:8080/v1/');
  });
});

test('where no certificate holds the address, there is no request to paste, but what to do', () => {
  const endpoints = { localhost: null, local_network: null, local_networks: [], public: [] };
  const [proxy] = [
    {
      id: 'proxy-8080',
      pid: 1,
      port: 8080,
      https_port: 8081,
      mode: 'packaged-ca' as const,
      listen_addr: '203.0.114.5:8080',
      status: 'running' as const,
      running: true,
      last_error: null,
      endpoints,
      uncertified: ['203.0.114.5'],
      proxy_protocol: false,
      client_certificates: 'off' as const,
      client_ca_file: null,
      client_crl_file: null,
      acme_domain: null,
      egress: { mode: 'direct' as const, fail_open: false, socks5_endpoint: null },
      onion: null,
      trusted_proxies: [],
      allow_plaintext: false,
      saved: false,
      started_at: null,
      requests: 0,
    },
  ];
  const text = banner([engine(['small'])], key, { endpoints, proxies: [proxy] });
  expect(text).toMatch(/^ {2}API +nowhere yet: no certificate holds 203\.0\.114\.5$/m);
  expect(text).not.toContain('curl');
  expect(text).not.toMatch(/https?:\/\/203/);
  expect(text.match(/No certificate of FLM holds 203\.0\.114\.5/g)?.length).toBe(1);
});

describe('the request to paste', () => {
  /** The arguments that curl gets when a shell runs the line. */
  async function pasted(command: string, env: Record<string, string> = {}): Promise<string[]> {
    const syntax = Bun.spawn(['sh', '-n'], { stdin: new Blob([command]), stderr: 'inherit' });
    expect(await syntax.exited).toBe(0);
    const script = `curl() { printf '%s\\0' "$@"; }\n${command}`;
    const shell = Bun.spawn(['sh', '-euc', script], { env, stdout: 'pipe', stderr: 'inherit' });
    const out = await new Response(shell.stdout).text();
    expect(await shell.exited).toBe(0);
    return out.split('\0').slice(0, -1);
  }

  test.each([
    'smollm2-135m-instruct',
    'llama3.2:1b',
    "it's a model",
    'quotes "double" and `back`',
    '$(touch /tmp/nope) $HOME !! \\n \\',
    'two\nlines',
    'Grüße/日本-👋',
    "'; rm -rf / #",
    'bells\u0007 escapes\u001B]0;x\u007F \u009B2J',
  ])('survives a shell with the model %j', async (model) => {
    const line = curlFor('http://localhost:8080', model, 'flm_abcSECRET');
    // A terminal is shown it as it is: there is nothing in it that would be replaced.
    expect(terminalText(line)).toBe(line);
    const args = await pasted(line);
    expect(args.slice(0, -1)).toEqual([
      '-N',
      'http://localhost:8080/v1/chat/completions',
      '-H',
      'Authorization: Bearer flm_abcSECRET',
      '-H',
      'Content-Type: application/json',
      '-d',
    ]);
    expect(JSON.parse(args.at(-1) ?? '')).toEqual({
      model,
      stream: true,
      messages: [{ role: 'user', content: 'Hello!' }],
    });
  });

  test('takes the key from the environment when there is none to show', async () => {
    const line = curlFor('http://localhost:8080', 'm', '$FLM_API_KEY');
    const args = await pasted(line, { FLM_API_KEY: 'flm_fromTheEnvironment' });
    expect(args).toContain('Authorization: Bearer flm_fromTheEnvironment');
  });
});
