/**
 * What strangers and broken clients send, over bare sockets: each case gets a proper refusal, soon; nothing leaks into an
 * answer, no engine hears of it, and no body of somebody without a key is read.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { gzipSync } from 'node:zlib';
import { keyIdOf, makeKey } from '../../src/admission/key-format';
import { systemClock } from '../../src/lib/clock';
import { toBase62 } from '../../src/lib/ids';
import type { FakeEngine } from '../fake';
import type { HeaderPair } from '../fake/message';
import { chat, type Gateway, MODEL, startGateway, workOf } from './support/gateway';
import { type Answer, ask, connectRaw, headerOf, wireRequest } from './support/raw';
import { asRecord, jsonIn } from './support/sse';

const CHAT = '/v1/chat/completions';
const LIMIT_BYTES = 16 * 2 ** 20;
/** Nothing that is refused takes longer. */
const SOON_MS = 2_000;

let gateway: Gateway;
let fake: FakeEngine;
let aheadMs = 0;
beforeAll(async () => {
  const clock = {
    nowMs: () => systemClock.nowMs() + aheadMs,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
  };
  gateway = await startGateway({ settings: { 'proxy.max_body_bytes': LIMIT_BYTES }, clock });
  fake = await gateway.addFake('openai');
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** Sends the bytes and holds what is true of every answer that FLM gives. */
async function refusedOrServed(bytes: Uint8Array, headOnly = false): Promise<Answer> {
  const client = await connectRaw(gateway.url);
  try {
    client.send(bytes);
    const answer = await client.read({ timeoutMs: SOON_MS, headOnly });
    const wire = client.received().toString('latin1');
    expect(answer.status).toBeLessThan(500);
    expect(headerOf(answer, 'x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expectNoSecrets(wire);
    if (answer.status >= 400 && !headOnly) {
      const error = asRecord(jsonIn(answer.body.toString())?.error);
      // FLM's own errors carry the request's id; an engine's are its own.
      if (headerOf(answer, 'x-flm-engine') === null) {
        expect(Object.keys(error ?? {})).toEqual(['message', 'type', 'param', 'code', 'request_id']);
        expect(error?.request_id).toBe(headerOf(answer, 'x-request-id'));
      }
    }
    return answer;
  } finally {
    client.close();
  }
}

function expectNoSecrets(wire: string): void {
  expect(wire).not.toContain(gateway.key);
  expect(wire).not.toContain(gateway.key.slice(12, 44));
  expect(wire).not.toContain(process.cwd());
  expect(wire).not.toMatch(/node_modules|\.tsx?:\d|\n\s+at |\bError: |flm-test-/);
}

function codeOf(answer: Answer): unknown {
  return asRecord(jsonIn(answer.body.toString())?.error)?.code;
}

const plain = (target: string, headers: readonly HeaderPair[] = [], method = 'GET', host = 'localhost') =>
  wireRequest({ method, target, headers, host });

describe('Host', () => {
  const HOSTS: readonly (readonly [name: string, lines: readonly string[], status: number])[] = [
    ['none (HTTP/1.0)', [], 400],
    ['two', ['Host: localhost', 'Host: evil.example'], 400],
    ['the same twice', ['Host: localhost', 'Host: localhost'], 400],
    ['two in one', ['Host: localhost, evil.example'], 400],
    ['empty', ['Host:'], 400],
    ['with a space', ['Host: local host'], 400],
    ['with a path', ['Host: localhost/v1'], 400],
    ['with a user', ['Host: user@localhost'], 400],
    ['with a tab', ['Host: local\thost'], 400],
    ['with a port that is none', ['Host: localhost:http'], 400],
    ['with a port too long', ['Host: localhost:1234567'], 400],
    ['not IPv6', ['Host: [zz]'], 400],
    ['IPv6 without brackets', ['Host: ::1'], 400],
    ['not ASCII', ['Host: l\u00f6calhost'], 400],
    ['another name', ['Host: evil.example'], 403],
    ['another name that looks local', ['Host: localhost.evil.example'], 403],
    ['another name of one letter', ['Host: a'], 403],
    ['a number that browsers take for 127.0.0.1', ['Host: 2130706433'], 403],
    ['brackets without an address', ['Host: [::::]'], 403],
    ['localhost', ['Host: localhost'], 200],
    ['localhost in capitals, with a port', ['Host: LOCALHOST:8080'], 200],
    ['a name below localhost', ['Host: app.localhost'], 200],
    ['IPv4', ['Host: 127.0.0.1:1'], 200],
    ['IPv6', ['Host: [::1]'], 200],
    ['IPv6 with a port', ['Host: [::1]:8080'], 200],
  ];
  test.each(HOSTS)('%s', async (_, lines, status) => {
    const version = lines.length === 0 ? '1.0' : '1.1';
    const head = [`GET /health HTTP/${version}`, ...lines, '', ''].join('\r\n');
    expect((await refusedOrServed(Buffer.from(head, 'latin1'))).status).toBe(status);
    // The same before any key is looked at, and for a route that has one.
    const guarded = [`GET /v1/models HTTP/${version}`, ...lines, '', ''].join('\r\n');
    expect((await refusedOrServed(Buffer.from(guarded, 'latin1'))).status).toBe(
      status === 200 ? 401 : status,
    );
  });

  test('a good one does not open the door for a bad one', async () => {
    for (const [host, status] of [
      ['localhost', 200],
      ['evil.example', 403],
      ['localhost', 200],
      ['evil.example', 403],
    ] as const) {
      expect((await refusedOrServed(plain('/health', [], 'GET', host))).status).toBe(status);
    }
  });

  // The runtime refuses these itself, with a bare 400 that says nothing at all.
  const BARE = [
    ['HTTP/1.1 without Host', 'GET /health HTTP/1.1\r\n\r\n'],
    [
      'two lengths',
      'POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}',
    ],
    [
      'a length and chunks',
      'POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a target without a slash', 'GET health HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['no target', 'GET  HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
  ] as const;
  test.each(BARE)('refused by the runtime: %s', async (_, bytes) => {
    const answer = await ask(gateway.url, Buffer.from(bytes, 'latin1'), SOON_MS);
    expect(answer.status).toBe(400);
    expect(answer.body).toHaveLength(0);
  });
});

describe('targets and methods', () => {
  type Row = readonly [method: string, target: string, stranger: number, known: number];
  const ROWS: readonly Row[] = [
    ['GET', '/health', 200, 200],
    ['HEAD', '/health', 200, 200],
    ['HEAD', '/ready', 200, 200],
    ['GET', '/ready', 200, 200],
    ['GET', '/health?x=1', 200, 200],
    ['GET', '/v1/models', 401, 200],
    ['HEAD', '/v1/models', 401, 200],
    ['GET', `/v1/models/${MODEL.openai}`, 401, 200],
    ['GET', '/v1/models/nope', 401, 404],
    ['GET', '/v1/models/%zz', 401, 400],
    ['GET', '/v1/models/%ff', 401, 400],
    ['GET', `/v1/models/${'x'.repeat(300)}`, 401, 400],
    ['GET', '/v1/nope', 401, 404],
    ['POST', '/v1/nope', 401, 404],
    ['GET', '/v1/', 401, 404],
    ['GET', '/nope', 404, 404],
    ['GET', '/', 404, 404],
    ['GET', '/v1', 404, 404],
    ['GET', '/v1/../health', 200, 200],
    ['GET', '/health/../v1/models', 401, 200],
    ['GET', '//v1/models', 404, 404],
    ['GET', '/v1//models', 401, 404],
    ['GET', '/V1/models', 404, 404],
    ['GET', '/%761/models', 404, 404],
    ['GET', '/v1%2fmodels', 404, 404],
    ['GET', '/v1/models/%2e%2e/x', 401, 404],
    ['GET', '/v1/models/..%2f..%2fhealth', 401, 404],
    ['GET', '/v1\\models', 401, 200],
    ['GET', '/v1/models/%00', 401, 404],
    ['GET', '/v1/models#x', 401, 404],
    ['GET', '/health#x', 404, 404],
    ['POST', '/health', 405, 405],
    ['GET', CHAT, 401, 405],
    ['DELETE', CHAT, 401, 405],
    ['PUT', '/v1/models', 401, 405],
    ['PATCH', '/v1/embeddings', 401, 405],
    ['TRACE', '/health', 405, 405],
    ['TRACE', '/v1/models', 405, 405],
    ['PROPFIND', '/v1/models', 405, 405],
    ['CONNECT', 'localhost:80', 405, 405],
    ['OPTIONS', CHAT, 204, 204],
    ['OPTIONS', '/v1/nope', 204, 204],
    ['GET', 'http://localhost/health', 200, 200],
    ['GET', 'http://localhost/v1/models', 401, 200],
    // What counts is the Host that was checked; the authority in the target leads nowhere.
    ['GET', 'http://evil.example/v1/models', 401, 200],
  ];
  test.each(ROWS)('%s %s', async (method, target, stranger, known) => {
    const headOnly = method === 'HEAD';
    expect((await refusedOrServed(plain(target, [], method), headOnly)).status).toBe(stranger);
    expect((await refusedOrServed(plain(target, [gateway.auth], method), headOnly)).status).toBe(known);
  });

  test.each(['get', 'Get', 'MADEUP', 'G ET', ''])('no method at all: %p', async (method) => {
    const client = await connectRaw(gateway.url);
    client.send(`${method} /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const { status } = await client.read({ timeoutMs: SOON_MS });
    // The runtime hangs up, or answers 400.
    expect([0, 400, 405]).toContain(status);
    client.close();
  });

  test.each([
    ['POST', '/health', 'GET, HEAD'],
    ['GET', CHAT, 'POST'],
    ['TRACE', '/health', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
  ])('%s %s is told what is allowed', async (method, target, allow) => {
    const answer = await refusedOrServed(plain(target, [gateway.auth], method));
    // RFC 9110 §15.5.6
    expect([answer.status, headerOf(answer, 'allow')]).toEqual([405, allow]);
  });

  test('a preflight is answered before any key is asked for', async () => {
    const answer = await refusedOrServed(
      plain(
        CHAT,
        [
          ['Origin', 'http://app.example'],
          ['Access-Control-Request-Method', 'POST'],
        ],
        'OPTIONS',
      ),
    );
    expect(answer.status).toBe(204);
    expect(answer.body).toHaveLength(0);
  });

  test('a path without end', async () => {
    const long = await refusedOrServed(plain(`/v1/models/${'x'.repeat(10_000)}`, [gateway.auth]));
    expect(long.status).toBe(400);
    expect(long.body.length).toBeLessThan(1_000);
    const unknown = await refusedOrServed(plain(`/${'y'.repeat(12_000)}`));
    expect(unknown.status).toBe(404);
    const huge = await ask(gateway.url, plain(`/${'z'.repeat(100_000)}`), SOON_MS);
    expect(huge.status).toBeGreaterThanOrEqual(400);
    expect(huge.status).toBeLessThan(500);
  });
});

describe('bodies', () => {
  const { openai: model } = MODEL;
  const TAIL = '"messages":[{"role":"user","content":"x"}]}';
  const chatWith = (start: string) => `{${start},${TAIL}`;
  const good = JSON.stringify(chat(model));

  type Row = readonly [name: string, body: string | Uint8Array, status: number, code: string | null];
  const invalid = (name: string, body: string | Uint8Array): Row => [name, body, 400, 'invalid_json'];
  const ROWS: readonly Row[] = [
    invalid('nothing', ''),
    invalid('an array', '[]'),
    invalid('a string', '"model"'),
    invalid('a number', '1'),
    invalid('null', 'null'),
    invalid('truncated after the brace', '{'),
    invalid('truncated in a key', '{"mod'),
    invalid('truncated after a key', '{"model"'),
    invalid('truncated after a colon', '{"model":'),
    invalid('truncated in a string', `{"model":"${model}`),
    invalid('truncated after a value', `{"model":"${model}"`),
    invalid('truncated after a comma', `{"model":"${model}",`),
    invalid('truncated in a list', `{"model":"${model}","messages":[`),
    invalid('truncated in an escape', `{"model":"${model}\\`),
    invalid('two objects', `${good}${good}`),
    invalid('garbage behind', `${good}x`),
    invalid('a trailing comma', good.replace(/\}$/, ',}')),
    invalid('single quotes', `{'model':'${model}'}`),
    invalid('a comment', `/* hi */${good}`),
    invalid('a key without quotes', `{model:"${model}"}`),
    invalid('no comma', `{"model":"${model}" "stream":true}`),
    invalid('a bracket for a brace', `{"model":"${model}"]`),
    invalid('NUL around it', `\u0000${good}`),
    invalid('NUL behind it', `${good}\u0000`),
    invalid('a form feed for a space', `{\f"model":"${model}"}`),
    invalid('a no-break space', `{\u00a0"model":"${model}"}`),
    ...['01', '1.', '.5', '+1', '-', '1e', '0x10', 'NaN', 'Infinity', '1_000', 'True', 'undefined'].map(
      (number) => invalid(`the number ${number}`, chatWith(`"model":"${model}","seed":${number}`)),
    ),
    invalid('a control character in model', `{"model":"a\u0001b",${TAIL}`),
    invalid('an unknown escape in model', `{"model":"\\x41",${TAIL}`),
    invalid('not UTF-8: a lone byte', bytesWith(0xff)),
    invalid('not UTF-8: an overlong slash', bytesWith(0xc0, 0xaf)),
    invalid('not UTF-8: a surrogate', bytesWith(0xed, 0xa0, 0x80)),
    invalid('not UTF-8: half a character', bytesWith(0xe6, 0x97)),
    invalid('not UTF-8: UTF-16', Buffer.from(good, 'utf16le')),
    invalid('600 levels deep', chatWith(`"model":"${model}","deep":${'['.repeat(600)}${']'.repeat(600)}`)),
    invalid(
      '600 objects deep',
      chatWith(`"model":"${model}","deep":${'{"a":'.repeat(600)}1${'}'.repeat(600)}`),
    ),
    invalid('a million brackets', '['.repeat(1_000_000)),
    invalid(
      'a string that backslashes keep open',
      chatWith(`"model":"${model}","x":"${'\\'.repeat(9_999_999)}"`),
    ),
    ['model twice', chatWith(`"model":"${model}","model":"b"`), 400, 'duplicate_key'],
    [
      'model twice, once with escapes',
      chatWith(`"model":"${model}","\\u006dodel":"b"`),
      400,
      'duplicate_key',
    ],
    ['model in another case', chatWith(`"model":"${model}","Model":"b"`), 400, 'duplicate_key'],
    ['model in capitals alone', chatWith(`"MODEL":"${model}"`), 400, 'duplicate_key'],
    ['stream twice', chatWith(`"model":"${model}","stream":true,"stream":false`), 400, 'duplicate_key'],
    ['stream with a long s', chatWith(`"model":"${model}","\u017ftream":true`), 400, 'duplicate_key'],
    [
      'stream with an escaped long s',
      chatWith(`"model":"${model}","\\u017ftream":true`),
      400,
      'duplicate_key',
    ],
    [
      'stream_options twice',
      chatWith(`"model":"${model}","stream_options":{},"stream_options":null`),
      400,
      'duplicate_key',
    ],
    ['no model', `{${TAIL}`, 400, 'invalid_model'],
    ['model: a number', chatWith('"model":7'), 400, 'invalid_model'],
    ['model: null', chatWith('"model":null'), 400, 'invalid_model'],
    ['model: a list', chatWith(`"model":["${model}"]`), 400, 'invalid_model'],
    ['model: an object', chatWith('"model":{}'), 400, 'invalid_model'],
    ['model: empty', chatWith('"model":""'), 400, 'invalid_model'],
    ['model: 300 characters', chatWith(`"model":"${'m'.repeat(300)}"`), 400, 'invalid_model'],
    ['model: an address without an engine', chatWith('"model":"flm:///x"'), 400, 'invalid_model'],
    ['model: an address without a model', chatWith('"model":"flm://openai/"'), 400, 'invalid_model'],
    ['model: a path', chatWith('"model":"flm://../../etc/passwd"'), 400, 'invalid_model'],
    ['model: unknown', chatWith('"model":"nope"'), 404, 'model_not_found'],
    ['model: of an unknown engine', chatWith('"model":"flm://nope/x"'), 404, 'engine_not_found'],
    ['an empty object', '{}', 400, 'invalid_model'],
  ];
  describe.each(['length', 'chunked'] as const)('framed by %s', (framing) => {
    const send = (body: string | Uint8Array, headers: readonly HeaderPair[] = []) =>
      refusedOrServed(
        wireRequest({
          target: CHAT,
          headers: [gateway.auth, ...headers],
          body,
          framing: framing === 'length' ? 'length' : { chunkBytes: 60_000 },
        }),
      );

    test.each(ROWS)('%s', async (_, body, status, code) => {
      const before = workOf(fake).length;
      const answer = await send(body);
      expect([answer.status, codeOf(answer)]).toEqual([status, code]);
      expect(workOf(fake)).toHaveLength(before);
    });

    // What FLM need not understand is for the engine to judge; whoever answers, it is no 5xx.
    const PASSED: readonly (readonly [name: string, body: string | Uint8Array])[] = [
      ['ten megabytes of backslashes', chatWith(`"model":"${model}","x":"${'\\'.repeat(10_000_000)}"`)],
      ['a million quotes', chatWith(`"model":"${model}","x":"${'\\"'.repeat(1_000_000)}"`)],
      ['500 levels deep', chatWith(`"model":"${model}","deep":${'['.repeat(500)}${']'.repeat(500)}`)],
      ['empty lists and objects', chatWith(`"model":"${model}","a":{},"b":[],"c":[{},[],{"d":{}}],"e":[[]]`)],
      ['200,000 keys', chatWith(`"model":"${model}",${manyKeys(200_000)}`)],
      ['five megabytes of white space', good.replace('{', `{${' \n\t\r'.repeat(1_250_000)}`)],
      ['keys of prototypes', chatWith(`"model":"${model}","__proto__":{"stream":true},"constructor":1`)],
      ['a line break in a string', chatWith(`"model":"${model}","x":"a\nb"`)],
      ['NUL in a string', chatWith(`"model":"${model}","x":"a\u0000b"`)],
    ];
    test.each(PASSED)('%s', async (_, body) => {
      const before = workOf(fake).length;
      const answer = await send(body);
      expect([200, 400]).toContain(answer.status);
      expect(headerOf(answer, 'x-flm-engine')).toBe('openai');
      expect(workOf(fake)[before]?.body.equals(Buffer.from(body))).toBe(true);
    });

    test('a byte order mark is taken off (RFC 8259 §8.1)', async () => {
      const before = workOf(fake).length;
      const answer = await send(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good)]));
      expect(answer.status).toBe(200);
      expect(workOf(fake)[before]?.body.toString()).toBe(good);
    });

    test.each(['gzip', 'GZIP', 'br', 'deflate, gzip', 'x-made-up'])(
      'Content-Encoding: %s',
      async (encoding) => {
        const before = workOf(fake).length;
        const answer = await send(gzipSync(good), [['Content-Encoding', encoding]]);
        expect([answer.status, codeOf(answer)]).toEqual([415, 'unsupported_media_type']);
        expect(workOf(fake)).toHaveLength(before);
      },
    );

    test('Content-Encoding: identity', async () => {
      expect((await send(good, [['Content-Encoding', 'identity']])).status).toBe(200);
    });

    test('as large as allowed, and one byte larger', async () => {
      const padded = (bytes: number) => good.replace('{', `{${' '.repeat(bytes - good.length)}`);
      expect((await send(padded(LIMIT_BYTES))).status).toBe(200);
      const answer = await send(padded(LIMIT_BYTES + 1));
      expect([answer.status, codeOf(answer)]).toEqual([413, 'payload_too_large']);
    });
  });

  test('half of a character of four bytes, in chunks', async () => {
    const body = bytesWith(0xf0, 0x9f, 0xa6);
    const answer = await gateway.post(CHAT, body, { framing: { chunkBytes: 3 } });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'invalid_json']);
  });

  test('chunks that are none', async () => {
    for (const chunks of [
      'zz\r\n{}\r\n0\r\n\r\n',
      '2\r\n{}xx\r\n0\r\n\r\n',
      '-1\r\n\r\n',
      'ffffffffffffffffff\r\n',
    ]) {
      const head = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\n${gateway.auth.join(': ')}\r\nTransfer-Encoding: chunked\r\n\r\n`;
      const client = await connectRaw(gateway.url);
      client.send(head + chunks);
      const { status } = await client.read({ timeoutMs: SOON_MS });
      expect([0, 400, 413]).toContain(status);
      client.close();
    }
    await gateway.settled();
  });

  function bytesWith(...bytes: number[]): Buffer {
    const [before = '', after = ''] = JSON.stringify(chat(MODEL.openai, { user: 'HERE' })).split('HERE');
    return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
  }

  function manyKeys(count: number): string {
    return Array.from({ length: count }, (_, at) => `"k${at}":0`).join(',');
  }
});

/** A connection that is closed while its client goes on sending is reset, and now and then before the answer was read. */
const MAY_BE_RESET = { retry: 5 };

describe('without a key that counts', () => {
  const ANNOUNCED = 100_000_000;
  /** What the socket buffers of a loopback connection hold on both sides. */
  const TAKEN_AT_MOST = 8 * 2 ** 20;

  const WHO: readonly (readonly [name: string, authorization: () => Promise<string | null>])[] = [
    ['no header', async () => null],
    ['an empty header', async () => ''],
    ['another scheme', async () => `Basic ${btoa('user:pass')}`],
    ['the key without a scheme', async () => gateway.key],
    ['a scheme without a key', async () => 'Bearer'],
    ['something that is no key', async () => 'Bearer sk-1234567890'],
    [
      'a wrong checksum',
      async () => `Bearer ${gateway.key.slice(0, -1)}${gateway.key.endsWith('0') ? '1' : '0'}`,
    ],
    ['an unknown id', async () => `Bearer ${makeKey().plain}`],
    ['a known id with another secret', async () => `Bearer ${withAnotherSecret(gateway.key)}`],
    ['the key in capitals', async () => `Bearer ${gateway.key.toUpperCase()}`],
    ['the key twice', async () => `Bearer ${gateway.key} ${gateway.key}`],
    ['a revoked key', async () => `Bearer ${await revokedKey()}`],
    ['an expired key', async () => `Bearer ${await expiredKey()}`],
  ];
  const framings = ['Content-Length', 'Transfer-Encoding'] as const;
  const cells = WHO.flatMap(([name, authorization]) =>
    framings.map((framing) => [name, framing, authorization] as const),
  );
  test.each(cells)('%s: 401 before the body is read (%s)', async (_, framing, authorization) => {
    const value = await authorization();
    const before = workOf(fake).length;
    const client = await connectRaw(gateway.url);
    client.send(
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\n${value === null ? '' : `Authorization: ${value}\r\n`}${
        framing === 'Content-Length'
          ? `Content-Length: ${ANNOUNCED}\r\n\r\n`
          : `Transfer-Encoding: chunked\r\n\r\n${ANNOUNCED.toString(16)}\r\n`
      }`,
    );
    await client.flood(ANNOUNCED);
    expect(client.sentBytes()).toBeLessThan(TAKEN_AT_MOST);
    const answer = await client.read({ timeoutMs: SOON_MS });
    expect([answer.status, codeOf(answer)]).toEqual([401, 'invalid_api_key']);
    expect(headerOf(answer, 'x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(headerOf(answer, 'www-authenticate')).toMatch(/^Bearer /);
    const wire = client.received().toString('latin1');
    expectNoSecrets(wire);
    if (value !== null && value.length > 20) expect(wire).not.toContain(value.slice(-20));
    await client.until(() => client.ended());
    client.close();
    expect(workOf(fake)).toHaveLength(before);
  });

  test('a small request leaves the connection open for a better one', async () => {
    const client = await connectRaw(gateway.url);
    client.send(wireRequest({ target: CHAT, body: JSON.stringify(chat(MODEL.openai)) }));
    expect((await client.read()).status).toBe(401);
    client.close();
    expect(headerOf(await ask(gateway.url, { target: '/v1/models' }), 'connection')).not.toBe('close');
  });

  test(
    'with a key: a body over the limit is refused as soon as that is known',
    async () => {
      for (const framing of framings) {
        const client = await connectRaw(gateway.url);
        client.send(
          `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\n${gateway.auth.join(': ')}\r\n${
            framing === 'Content-Length'
              ? `Content-Length: ${ANNOUNCED}\r\n\r\n`
              : `Transfer-Encoding: chunked\r\n\r\n${ANNOUNCED.toString(16)}\r\n`
          }`,
        );
        await client.flood(ANNOUNCED);
        const answer = await client.read({ timeoutMs: SOON_MS });
        expect([answer.status, codeOf(answer)]).toEqual([413, 'payload_too_large']);
        const readFirst = framing === 'Content-Length' ? 0 : LIMIT_BYTES;
        expect(client.sentBytes()).toBeLessThan(readFirst + TAKEN_AT_MOST);
        client.close();
      }
    },
    MAY_BE_RESET,
  );

  test('no key at all exists: 401, and how to make one', async () => {
    await using fresh = await startGateway();
    await fresh.app.keys.revoke(fresh.keyId);
    const answer = await fresh.post(CHAT, chat('x'));
    expect([answer.status, codeOf(answer)]).toEqual([401, 'invalid_api_key']);
    expect(answer.body.toString()).toContain('flm api-keys create');
  });

  async function revokedKey(): Promise<string> {
    const { id, plain_key: key } = await gateway.app.keys.create({ label: 'revoked' });
    await gateway.app.keys.revoke(id);
    return key;
  }

  async function expiredKey(): Promise<string> {
    const { plain_key: key } = await gateway.app.keys.create({ label: 'expired', expires_in_s: 60 });
    const models = { target: '/v1/models', headers: [['Authorization', `Bearer ${key}`]] } as const;
    expect((await ask(gateway.url, models)).status).toBe(200);
    aheadMs += 61_000;
    return key;
  }

  /** The public id of a key with another secret, and a checksum that fits. */
  function withAnotherSecret(key: string): string {
    const body = key.slice(0, 12) + makeKey().plain.slice(12, 44);
    const forged = body + toBase62(Bun.hash.crc32(body), 6);
    expect(keyIdOf(forged)).toBe(gateway.keyId);
    return forged;
  }
});
