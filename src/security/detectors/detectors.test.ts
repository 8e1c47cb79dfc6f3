/** Golden cases: what honest programs send counts nothing, and what tools that look for holes send counts what it should. */
import { describe, expect, test } from 'bun:test';
import { factsOf } from '../facts';
import { Standing } from '../standing';
import { DETECTORS, detect, PATTERNS } from '.';

interface Sent {
  readonly target: string;
  readonly method?: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const BROWSER =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15';
const TYPO = { authorization: 'Bearer flm_typo' };

/** What the same address sends, one after the other, all within one minute. */
function scoresOf(sent: readonly Sent[]): Record<string, number> {
  const standing = new Standing('203.0.113.1', 0);
  const sums: Record<string, number> = {};
  for (const [n, { target, method = 'GET', status, headers = {} }] of sent.entries()) {
    const facts = factsOf(new Request(`http://flm.example${target}`, { method, headers }), status);
    const recent = standing.note(facts, n * 50, 100);
    for (const { pattern, score } of detect(facts, recent)) sums[pattern] = (sums[pattern] ?? 0) + score;
  }
  return sums;
}

const times = (count: number, sent: Sent): Sent[] => Array.from({ length: count }, () => sent);

const HONEST: readonly (readonly [string, readonly Sent[]])[] = [
  [
    'curl with a slip in its key, again and again',
    times(90, {
      target: '/v1/chat/completions',
      method: 'POST',
      status: 401,
      headers: { ...TYPO, 'user-agent': 'curl/8.5.0', accept: '*/*', 'content-type': 'application/json' },
    }),
  ],
  [
    'openai-python with an expired key',
    times(50, {
      target: '/v1/chat/completions',
      method: 'POST',
      status: 401,
      headers: {
        ...TYPO,
        'user-agent': 'OpenAI/Python 2.8.0',
        'x-stainless-lang': 'python',
        'x-stainless-package-version': '2.8.0',
        'x-stainless-os': 'Linux',
        'x-stainless-arch': 'x64',
        'x-stainless-runtime': 'CPython',
        'x-stainless-runtime-version': '3.12.3',
        'x-stainless-async': 'false',
        'x-stainless-retry-count': '2',
        'x-stainless-read-timeout': '600',
      },
    }),
  ],
  [
    'openai-node with a base URL that lacks /v1',
    times(50, {
      target: '/chat/completions',
      method: 'POST',
      status: 404,
      headers: { ...TYPO, 'user-agent': 'OpenAI/JS 6.9.0' },
    }),
  ],
  [
    "Anthropic's SDK with another provider's key, and a query",
    times(50, {
      target: '/v1/messages?beta=true',
      method: 'POST',
      status: 401,
      headers: { 'x-api-key': 'sk-ant-api03-xyz', 'user-agent': 'Anthropic/JS 0.71.0' },
    }),
  ],
  [
    'langchain through httpx, a base URL with /v1 twice',
    times(50, {
      target: '/v1/v1/chat/completions',
      method: 'POST',
      status: 401,
      headers: { ...TYPO, 'user-agent': 'python-httpx/0.28.1' },
    }),
  ],
  [
    "Ollama's clients, who take FLM for one",
    [
      '/api/tags',
      '/api/version',
      '/api/chat',
      '/api/generate',
      '/api/show',
      '/api/ps',
      '/api/embed',
      '/',
    ].map((target) => ({
      target,
      status: 404,
      headers: { 'user-agent': 'ollama-python/0.6.0 (x86_64 linux)' },
    })),
  ],
  [
    'a browser that looks around',
    [
      '/',
      '/favicon.ico',
      '/robots.txt',
      '/apple-touch-icon.png',
      '/apple-touch-icon-precomposed.png',
      '/docs',
      '/openapi.json',
      '/v1',
      '/v1/models',
      '/.well-known/security.txt',
      '/hello',
    ].map((target) => ({
      target,
      status: target.startsWith('/v1/') ? 401 : 404,
      headers: { 'user-agent': BROWSER },
    })),
  ],
  [
    'a page of a web application, with a preflight for each request',
    times(60, {
      target: '/v1/chat/completions',
      method: 'OPTIONS',
      status: 204,
      headers: {
        'user-agent': BROWSER,
        origin: 'https://chat.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    }),
  ],
  [
    'health checkers of all kinds',
    ['kube-probe/1.31', 'GoogleHC/1.0', 'ELB-HealthChecker/2.0', 'Uptime-Kuma/1.23', 'Wget/1.21', ''].flatMap(
      (agent) =>
        ['/health', '/ready', '/healthz', '/livez', '/readyz', '/ping', '/'].map((target) => ({
          target,
          status: target === '/health' || target === '/ready' ? 200 : 404,
          headers: agent === '' ? {} : { 'user-agent': agent },
        })),
    ),
  ],
  [
    'programs in Go, Java and Rust, and one that says nothing of itself',
    ['Go-http-client/1.1', 'okhttp/4.12.0', 'Java/21.0.2', 'reqwest/0.12', 'python-requests/2.32.3', ''].map(
      (agent) => ({
        target: '/v1/embeddings',
        method: 'POST',
        status: 401,
        headers: agent === '' ? TYPO : { ...TYPO, 'user-agent': agent },
      }),
    ),
  ],
  [
    'names of models with everything in them',
    [
      '/v1/models/models--meta-llama--Llama-3.1-8B',
      "/v1/models/o'hara;v2",
      '/v1/models/flm://vllm/org/model:latest',
      '/v1/models/a/b/c/d/e/f/g/h/i/j/k/l/m/n',
    ].map((target) => ({ target, status: 401, headers: { ...TYPO, 'user-agent': 'curl/8.5.0' } })),
  ],
  [
    'queries as APIs have them',
    [
      '/v1/models?limit=20&order=asc',
      '/v1/chat/completions?api-version=2024-10-21',
      '/v1/models?after=model-2025-01-01&filter=name%3Dllama%20and%20select',
      '/?utm_source=mail&utm_medium=select',
    ].map((target) => ({
      target,
      status: target.startsWith('/?') ? 404 : 401,
      headers: { 'user-agent': BROWSER },
    })),
  ],
  [
    'a large picture sent with a slip in the key',
    times(5, {
      target: '/v1/chat/completions',
      method: 'POST',
      status: 401,
      headers: { ...TYPO, 'content-length': '14000000', 'user-agent': 'OpenAI/Python 2.8.0' },
    }),
  ],
  [
    'a browser behind three proxies, with many headers',
    [
      {
        target: '/v1/models',
        status: 401,
        headers: Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`x-proxy-${n}`, 'v'])),
      },
    ],
  ],
];

describe('honest traffic counts nothing', () => {
  test.each(HONEST)('%s', (_, sent) => {
    expect(scoresOf(sent)).toEqual({});
  });
});

const agent = (name: string) => ({ 'user-agent': name });
const one = (target: string, more: Partial<Sent> = {}): Sent[] => [
  { target, status: 404, headers: agent(BROWSER), ...more },
];

const HOSTILE: readonly (readonly [string, readonly Sent[], Record<string, number>])[] = [
  ['a quote in a query', one("/v1/models?id=1'"), { sql_injection: 20 }],
  ['an encoded quote', one('/v1/models?id=1%27', { status: 401 }), { sql_injection: 20 }],
  ['a quote that is encoded twice', one('/v1/models?id=1%2527', { status: 401 }), { sql_injection: 20 }],
  ['a statement that ends', one('/v1/models?id=1;drop', { status: 401 }), { sql_injection: 20 }],
  ['a comment', one('/v1/models?id=1/**/', { status: 401 }), { sql_injection: 20 }],
  ['UNION SELECT', one('/v1/models?id=1+UNION+ALL+SELECT+NULL', { status: 401 }), { sql_injection: 20 }],
  ['a blind comparison', one('/v1/models?id=1%20AND%208431=8431', { status: 401 }), { sql_injection: 20 }],
  ['a wait', one('/v1/models?id=sleep(5)', { status: 401 }), { sql_injection: 20 }],
  ['SQL in a path that is no name of a model', one("/chat/completions'"), { sql_injection: 20 }],
  ['climbing in a query', one('/?page=../../etc/x'), { path_traversal: 20 }],
  ['encoded climbing in a path', one('/models/..%2f..%2fx'), { path_traversal: 20 }],
  ['climbing, encoded twice', one('/models/%252e%252e%252fx'), { path_traversal: 20 }],
  ['climbing with backslashes', one('/?f=..%5c..%5cboot'), { path_traversal: 20 }],
  ['a file of the system', one('/?f=/etc/passwd'), { path_traversal: 20 }],
  ['a script', one('/?q=%3Cscript%3Ealert(1)%3C/script%3E'), { script_injection: 20 }],
  ['a look-up of log4j', one('/?q=$%7Bjndi:ldap://x/a%7D'), { script_injection: 20 }],
  [
    'sqlmap',
    one('/v1/models', { headers: agent('sqlmap/1.7.2#stable (https://sqlmap.org)') }),
    { suspicious_user_agent: 10 },
  ],
  ['nikto', one('/', { headers: agent('Mozilla/5.00 (Nikto/2.1.6)') }), { suspicious_user_agent: 10 }],
  [
    'nmap',
    one('/', { headers: agent('Mozilla/5.0 (compatible; Nmap Scripting Engine)') }),
    { suspicious_user_agent: 10 },
  ],
  ['masscan', one('/', { headers: agent('masscan/1.3') }), { suspicious_user_agent: 10 }],
  ['a strange path without a User-Agent', one('/boaform', { headers: {} }), { empty_user_agent: 10 }],
  ['a honeypot', one('/.env'), { honeypot_access: 10 }],
  ['a honeypot in other letters', one('//WP-Login.php'), { honeypot_access: 10 }],
  [
    'OPTIONS in bulk',
    times(7, { target: '/', method: 'OPTIONS', status: 204, headers: agent(BROWSER) }),
    { unusual_method: 20 },
  ],
  [
    'a list of paths',
    Array.from({ length: 10 }, (_, n) => ({ target: `/secret-${n}`, status: 404, headers: agent(BROWSER) })),
    { unknown_paths: 20 },
  ],
  [
    'the same strange path again and again',
    times(50, { target: '/secret', status: 404, headers: agent(BROWSER) }),
    {},
  ],
  [
    'a large body without a key',
    one('/v1/chat/completions', {
      method: 'POST',
      status: 401,
      headers: { ...agent(BROWSER), 'content-length': '10000001' },
    }),
    { large_body: 20 },
  ],
  ['a long path', one(`/v1/${'x'.repeat(2_000)}`, { status: 401 }), { odd_path: 10 }],
  ['a deep path', one(`/v1${'/x/y'.repeat(7)}`, { status: 401 }), { odd_path: 5 }],
  ['the same part over and over', one('/v1/a/a/a/a', { status: 401 }), { odd_path: 10 }],
  ['characters of markup in a path', one('/v1/%3Cb%3E', { status: 401 }), { odd_path: 15 }],
  [
    'a hundred headers',
    one('/v1/models', {
      status: 401,
      headers: Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`x-${n}`, 'v'])),
    }),
    { odd_headers: 10 },
  ],
  [
    'a long User-Agent',
    one('/v1/models', { status: 401, headers: agent('a'.repeat(501)) }),
    { odd_headers: 5 },
  ],
];

describe('what looks for a hole counts', () => {
  test.each(HOSTILE)('%s', (_, sent, scores) => {
    expect(scoresOf(sent)).toEqual(scores);
  });

  test('a hundred requests in a second, once', () => {
    const standing = new Standing('203.0.113.1', 0);
    const facts = factsOf(new Request('http://flm.example/v1/models'), 401);
    let sum = 0;
    for (let n = 0; n < 180; n++)
      for (const { score } of detect(facts, standing.note(facts, n, 100))) sum += score;
    expect(sum).toBe(30);
  });

  test('every detector has a case', () => {
    const seen = new Set(HOSTILE.flatMap(([, , scores]) => Object.keys(scores)));
    expect([...seen, 'request_rate'].sort()).toEqual([...PATTERNS].sort());
    for (const pattern of PATTERNS) expect(DETECTORS[pattern].about).not.toBe('');
  });
});

test('methods that no client uses count', () => {
  const facts = { ...factsOf(new Request('http://flm.example/'), 405), method: 'PROPFIND' };
  expect(DETECTORS.unusual_method.score(facts, new Standing('b', 0).note(facts, 0, 100))).toBe(10);
});

test.each([
  ['a row of comments', `union${'/**/'.repeat(40)}x`],
  ['braces', '{{'.repeat(2_000)],
  ['comments that do not end', 'union/*'.repeat(580)],
  ['words', 'union+all+order+by+or+cat+'.repeat(150)],
  ['blanks', `union${'+'.repeat(4_000)}`],
  ['the same part again', '/aaaa'.repeat(800)],
])('is said at once, whatever a stranger sends to be thought about for long: %s', (_, text) => {
  const standing = new Standing('203.0.113.1', 0);
  const startMs = performance.now();
  for (const target of [`/x?${text}`, `/${text}`])
    for (let n = 0; n < 5; n++) {
      const facts = factsOf(new Request(`http://flm.example${target}`), 404);
      detect(facts, standing.note(facts, n, 100));
    }
  expect(performance.now() - startMs).toBeLessThan(100);
});

test('comments and braces hide nothing', () => {
  expect(scoresOf([{ target: '/x?q=1/**/union/*a*b**//**/select/**/1', status: 404 }]).sql_injection).toBe(
    20,
  );
  expect(scoresOf([{ target: '/x?q={{7*7}}', status: 404 }]).script_injection).toBe(20);
});
