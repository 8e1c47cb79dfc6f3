/** What a policy has to be: the schema and what goes beyond it agree, and every mistake is named at once. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { PolicyDocument } from './model';
import { findProblems, findWarnings, shutOut, sizeProblem } from './rules';
import { fits, POLICY_SCHEMA, schemaProblems } from './schema';

const problems = async (document: unknown) => [
  ...(await schemaProblems(document)),
  ...findProblems(document),
];
const paths = async (document: unknown) => (await problems(document)).map(({ path }) => path).sort();
const here = { isPublic: false, clients: [] };

describe('FLM-109: a policy', () => {
  test('may be empty, hold every key, and hold keys of another version', async () => {
    expect(await problems({})).toEqual([]);
    expect(
      await problems({ acme_domain: 'a.example', cors: { expose: ['x'] }, ip_blocklist: { x: 1 } }),
    ).toEqual([]);
    expect(
      await problems({
        ip_whitelist: ['10.0.0.0/8', '2001:db8::7'],
        cors: {
          allowed_origins: ['https://chat.example'],
          allowed_methods: ['GET'],
          allowed_headers: ['authorization'],
          allow_credentials: true,
          max_age_s: 60,
        },
        rate_limit: { rpm: 0, burst: 0 },
        token_limit: { tpm: 1 },
        ip_rate_limit: { enabled: true, rpm: 1, burst: 1, applies_to: 'everybody' },
        global_rate_limit: { rpm: 1 },
        models: ['llama*'],
        ip_blocklist: {
          enabled: false,
          max_failures: 1,
          block_duration_minutes: 1,
          permanent_block_threshold: 1,
          never: ['::1'],
        },
        intrusion_detection: { enabled: true, score_threshold: 10, warning_threshold: 10 },
        anomaly_detection: { enabled: true, request_rate_threshold: 1, auto_block: false },
        resource_protection: { enabled: true, cpu_threshold: 100, memory_threshold: 1 },
        connections: { enabled: true, max_per_address: 1, header_timeout_s: 1, min_body_bytes_per_s: 0 },
        log_level: 'critical',
      }),
    ).toEqual([]);
  });

  test('has every mistake named, with its path', async () => {
    expect(
      await paths({
        ip_whitelist: ['10.1.0.0/8', 7, '', '::ffff:10.0.0.1', '10.0.0.1'],
        cors: { allowed_origins: ['https://a/b', '*'], allowed_methods: ['get'], allow_credentials: true },
        rate_limit: { burst: 1.5, window: 60 },
        ip_blocklist: { max_failures: 0, never: 'everybody' },
        intrusion_detection: { warning_threshold: 80, score_threshold: 50 },
        resource_protection: { cpu_threshold: 150 },
        log_level: 'loud',
      }),
    ).toEqual([
      '/cors/allow_credentials',
      '/cors/allowed_methods/0',
      '/cors/allowed_origins/0',
      '/intrusion_detection/warning_threshold',
      '/ip_blocklist/max_failures',
      '/ip_blocklist/never',
      '/ip_whitelist/0',
      '/ip_whitelist/1',
      '/ip_whitelist/2',
      '/ip_whitelist/4',
      '/log_level',
      '/rate_limit/burst',
      '/rate_limit/rpm',
      '/rate_limit/window',
      '/resource_protection/cpu_threshold',
    ]);
  });

  test('[C23] an empty rate_limit is refused, and so is null where a list belongs', async () => {
    expect(await problems({ rate_limit: {} })).toEqual([{ path: '/rate_limit/rpm', message: 'is missing' }]);
    expect(await problems({ ip_whitelist: null })).toEqual([
      { path: '/ip_whitelist', message: 'takes a list […], not null' },
    ]);
  });

  test('is an object', async () => {
    for (const document of [null, 7, 'x', [], true]) expect(await paths(document)).toEqual(['']);
  });

  test('says what it takes instead', async () => {
    expect(await problems({ rate_limit: { rpm: -1 } })).toEqual([
      { path: '/rate_limit/rpm', message: 'takes a whole number from 0 to 1000000000, not -1' },
    ]);
    expect(await problems({ log_level: 'loud' })).toEqual([
      { path: '/log_level', message: 'takes one of low, medium, high, critical, not "loud"' },
    ]);
    expect(await problems({ ip_rate_limit: { enabled: 'yes' } })).toEqual([
      { path: '/ip_rate_limit/enabled', message: 'takes true or false, not "yes"' },
    ]);
  });

  test('is bounded in size and depth before anything looks at it', () => {
    let deep: unknown = {};
    for (let n = 0; n < 5_000; n++) deep = { deep };
    expect(sizeProblem(deep)?.message).toContain('nested deeper');
    expect(sizeProblem({ x: 'x'.repeat(1_000_000) })?.message).toContain('at most');
    expect(
      sizeProblem({
        ip_whitelist: Array.from({ length: 10_000 }, (_, n) => `2001:db8:aaaa:bbbb::${n.toString(16)}/128`),
      }),
    ).toBeNull();
  });

  test('is looked at alike when it is stored and when it is read', async () => {
    const value = fc.jsonValue({ maxDepth: 2 });
    const keys = Object.keys(PolicyDocument.properties);
    const part = fc.dictionary(
      fc.constantFrom('enabled', 'rpm', 'burst', 'never', 'tpm', 'max_failures', 'x'),
      value,
    );
    const document = fc.dictionary(fc.constantFrom(...keys, 'other'), fc.oneof(value, part));
    await fc.assert(
      fc.asyncProperty(document, async (candidate) => {
        expect(fits(candidate)).toBe((await schemaProblems(candidate)).length === 0);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('warnings', () => {
  test('about any number of keys of any length are made at once: clients wait meanwhile', () => {
    const many = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`rate_limi${i}`, 1]));
    const long = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${'k'.repeat(8_000)}${i}`, 1]));
    const startMs = performance.now();
    expect(findWarnings(many as PolicyDocument, here).length).toBe(100);
    expect(findWarnings(long as PolicyDocument, here).length).toBe(100);
    expect(performance.now() - startMs).toBeLessThan(500);
  });

  test('name keys that mean nothing here, and what may have been meant', () => {
    const document = {
      $schema: 'x',
      rate_limits: { rpm: 1 },
      cors: { allowed_origin: [] },
      'a/b': 1,
    } as PolicyDocument;
    expect(findWarnings(document, here)).toEqual([
      { path: '/rate_limits', message: expect.stringContaining('did you mean "rate_limit"?') },
      { path: '/cors/allowed_origin', message: expect.stringContaining('did you mean "allowed_origins"?') },
      { path: '/a~1b', message: expect.stringContaining('has no effect') },
    ]);
  });

  test('FLM-109: tell when only private networks may come and FLM is public', () => {
    const isPublic = true;
    const told = (list: string[]) =>
      findWarnings({ ip_whitelist: list }, { isPublic, clients: [] }).length > 0;
    expect(told(['10.0.0.0/8', '192.168.1.5', 'fd00::/8', 'fe80::1'])).toBe(true);
    expect(told(['10.0.0.0/8', '203.0.113.0/24'])).toBe(false);
    expect(told(['0.0.0.0/0'])).toBe(false);
    expect(told([])).toBe(false);
    expect(findWarnings({ ip_whitelist: ['10.0.0.0/8'] }, here)).toEqual([]);
  });

  test('tell of a list of models that is empty, and of a first ban that lasts for ever', () => {
    const paths = (document: PolicyDocument) => findWarnings(document, here).map(({ path }) => path);
    expect(paths({ models: [] })).toEqual(['/models']);
    expect(paths({ ip_blocklist: { max_failures: 20 } })).toEqual([
      '/ip_blocklist/permanent_block_threshold',
    ]);
    expect(paths({ models: ['a'], ip_blocklist: { max_failures: 19 } })).toEqual([]);
  });

  test('tell who would be shut out', () => {
    const clients = ['203.0.113.1', '10.0.0.1', '2001:db8::1'];
    const about = (list: string[]) =>
      findWarnings({ ip_whitelist: list }, { isPublic: false, clients })[0]?.message;
    expect(about(['10.0.0.0/8'])).toBe(
      'shuts out 2 of 3 addresses that used FLM lately: 203.0.113.1, 2001:db8::1',
    );
    expect(about(['192.0.2.1'])).toContain('shuts out everybody who used FLM lately');
    expect(about(['0.0.0.0/0', '::/0'])).toBeUndefined();
    expect(shutOut([], clients)).toEqual([]);
  });
});

describe('the published schema', () => {
  test('is JSON Schema 2020-12 with the id of FLM-109; root and cors are open, limits closed', () => {
    expect(POLICY_SCHEMA).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: 'https://flm.dev/schemas/security_policy.json',
      type: 'object',
      properties: {
        rate_limit: { additionalProperties: false, required: ['rpm'] },
        log_level: { enum: ['low', 'medium', 'high', 'critical'] },
      },
    });
    expect(POLICY_SCHEMA).not.toHaveProperty('additionalProperties');
    expect(POLICY_SCHEMA).not.toHaveProperty(['properties', 'cors', 'additionalProperties']);
    expect(POLICY_SCHEMA).not.toHaveProperty(['properties', 'acme_domain']);
  });

  test('explains every key', () => {
    const silent: string[] = [];
    const walk = (schema: unknown, path: string): void => {
      const { properties = {} } = schema as { properties?: Record<string, { description?: string }> };
      for (const [key, inner] of Object.entries(properties)) {
        if (inner.description === undefined) silent.push(`${path}/${key}`);
        walk(inner, `${path}/${key}`);
      }
    };
    walk(POLICY_SCHEMA, '');
    expect(silent).toEqual([]);
  });
});
