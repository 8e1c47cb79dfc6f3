/**
 * Requests as attackers frame them, and what becomes of each: which answers come, how often the request reaches the
 * engine, and whether the connection can be used again. Who adds one says what RFC 9112 says about it.
 */
import { gzipSync } from 'node:zlib';
import { MODEL } from './engine';

export interface Case {
  readonly name: string;
  /** The bytes, as latin1. `auth` is the header line that shows a good key. */
  wire(auth: string, body: string): string;
  /** The status of every answer, in their order. None: the connection ends without a word. */
  readonly statuses: readonly number[];
  /**
   * How many requests the engine gets, each with exactly the body. `perhaps`: one or none, as the runtime takes the end of
   * the body for one, hands it over, and closes the connection when it sees what follows.
   */
  readonly reached: 0 | 1 | 'perhaps';
  /** `open`: the next request on the connection is answered. `waits`: for bytes that never come, until the client ends it. */
  readonly after: 'open' | 'closed' | 'waits';
}

const CHAT = '/v1/chat/completions';
const LINE = `POST ${CHAT} HTTP/1.1`;
export const BODY = bodyOf(0);

/** A good body, at least that long. */
export function bodyOf(bytes: number): string {
  const content = 'x'.repeat(bytes);
  return JSON.stringify({ model: MODEL, messages: [{ role: 'user', content }] });
}

type Outcome = Pick<Case, 'statuses' | 'reached' | 'after'>;
const SERVED: Outcome = { statuses: [200], reached: 1, after: 'open' };
const SERVED_LAST: Outcome = { statuses: [200], reached: 1, after: 'closed' };
/** By the runtime, before FLM sees it. */
const REFUSED: Outcome = { statuses: [400], reached: 0, after: 'closed' };
/** The body is taken for the next request, which is none. */
const REFUSED_TWICE: Outcome = { statuses: [400, 400], reached: 0, after: 'closed' };
const WRONG_VERSION: Outcome = { statuses: [505], reached: 0, after: 'closed' };
const answered = (...statuses: number[]): Outcome => ({ statuses, reached: 0, after: 'open' });
/** The request is good, its end is not: the engine may have begun (docs/security-http.md). */
const REFUSED_LATE: Outcome = { statuses: [400], reached: 'perhaps', after: 'closed' };
const HUNG_UP: Outcome = { statuses: [], reached: 0, after: 'closed' };
/** The runtime hangs up on requests that come before the answer to the one before them. */
const HUNG_UP_LATE: Outcome = { ...HUNG_UP, reached: 'perhaps' };
const WAITS: Outcome = { statuses: [], reached: 0, after: 'waits' };

const request = (auth: string, headers: readonly string[], rest = '', line = LINE) =>
  `${[line, 'Host: localhost', auth, ...headers].join('\r\n')}\r\n\r\n${rest}`;
const length = (body: string) => `Content-Length: ${body.length}`;
const hex = (body: string) => body.length.toString(16);
const chunked = (body: string) => `${hex(body)}\r\n${body}\r\n0\r\n\r\n`;
/** A request that must never be taken for one. */
const hidden = (auth: string) => request(auth, [length(HIDDEN)], HIDDEN);
const HIDDEN = JSON.stringify({ model: MODEL, messages: [], hidden: true });

/** A request with a body of that length, and one more header. */
const withHeader = (name: string, header: string, outcome: Outcome): Case => ({
  name,
  wire: (auth, body) => request(auth, [header, length(body)], body),
  ...outcome,
});

const CHUNKED = 'Transfer-Encoding: chunked';

/** Two ways to tell where the body ends, in both orders. RFC 9112 §6.3: an attack, or a mistake. */
const LENGTH_AND_CHUNKS: readonly Case[] = [
  'chunked',
  'Chunked',
  'identity',
  'gzip',
  'chunked, identity',
  'identity, chunked',
  'gzip, chunked',
  '"chunked"',
  'x',
  ' ',
  ',chunked',
  'chunked;q=1',
  '\tchunked',
].flatMap((coding) =>
  (['chunks', 'length'] as const).flatMap((framed) =>
    (['first', 'last'] as const).map((place) => ({
      name: `Content-Length, and ${place} Transfer-Encoding: ${JSON.stringify(coding)}, framed by ${framed}`,
      wire: (auth: string, body: string) => {
        const rest = framed === 'chunks' ? chunked(body) : body;
        const headers = [`Content-Length: ${rest.length}`, `Transfer-Encoding: ${coding}`];
        return request(auth, place === 'last' ? headers : headers.reverse(), rest) + hidden(auth);
      },
      ...REFUSED,
    })),
  ),
);

/** What is not exactly "chunked" frames no request (RFC 9112 §6.1). */
const CODINGS: readonly Case[] = (
  [
    ['chunked', SERVED],
    ['CHUNKED', SERVED],
    ['\tchunked', SERVED],
    ['chunked \t', SERVED],
    // Empty members of a list mean nothing (RFC 9110 §5.6.1).
    [',chunked', SERVED],
    ['', REFUSED],
    ['identity', REFUSED],
    ['gzip', REFUSED],
    ['gzip, chunked', REFUSED],
    ['chunked, gzip', REFUSED],
    ['chunked, identity', REFUSED],
    ['identity, chunked', REFUSED],
    ['chunked, chunked', REFUSED],
    ['chunked,', SERVED],
    ['xchunked', REFUSED],
    ['chunkedx', REFUSED],
    ['chunked x', REFUSED],
    ['x chunked', REFUSED],
    ['"chunked"', REFUSED],
    ["'chunked'", REFUSED],
    ['chunked;q=1', REFUSED],
    ['chunked; ', REFUSED],
    ['chun\tked', REFUSED],
    ['chunked\u0000', REFUSED],
    ['\u0000chunked', REFUSED],
    ['\u000bchunked', REFUSED],
    ['\u000cchunked', REFUSED],
    ['chunked\u000b', REFUSED],
    ['\u00a0chunked', REFUSED],
    ['\u00ffchunked', REFUSED],
    ['chunked\u0085', REFUSED],
    ['\r\n chunked', REFUSED],
    ['\r\n\tchunked', REFUSED],
    ['chunked\r\n ', REFUSED],
    ['chunked\r\n , identity', REFUSED],
    ['\nchunked', REFUSED],
    ['\rchunked', REFUSED],
    ['chunked\rX: y', REFUSED],
    ['chunked\nX: y', REFUSED],
  ] as const
).flatMap(([coding, outcome]) => [
  {
    name: `Transfer-Encoding: ${JSON.stringify(coding)}`,
    wire: (auth: string, body: string) => request(auth, [`Transfer-Encoding: ${coding}`], chunked(body)),
    ...outcome,
  },
]);

/** Names that some servers take for Transfer-Encoding or Content-Length: then what follows would be another request. */
const NAMES: readonly Case[] = [
  ...[' ', '\t', '\u0000', '\u000b', '\u00a0'].flatMap((blank) => [
    `Transfer-Encoding${blank}`,
    `Content-Length${blank}`,
    `${blank}Transfer-Encoding`,
    `${blank}Content-Length`,
  ]),
  'Transfer Encoding',
  'Content Length',
  'Transfer-Encoding:',
  'Content-Length\r',
  'Transfer-Encoding\n',
  '(Content-Length)',
  '"Content-Length"',
  'Content-Length\u00e9',
  'C\u00f6ntent-Length',
  'Content-Length@',
  'Content-Length[]',
  'Content/Length',
  '',
].map((name) => ({
  name: `a header that is called ${JSON.stringify(name)}`,
  wire: (auth, body) => {
    const value = /transfer/i.test(name) ? 'chunked' : '3';
    return request(auth, [`${name}: ${value}`, length(body)], body) + hidden(auth);
  },
  ...REFUSED,
}));

/** Names that are names, and mean nothing to anybody: they end here. */
const OTHER_NAMES: readonly Case[] = [
  'Content_Length: 3',
  'Content.Length: 3',
  'Transfer_Encoding: chunked',
  'Transfer.Encoding: chunked',
  'X-Content-Length: 3',
  'Content-Length-: 3',
  'Transfer-Encoding-: chunked',
  'X_Forwarded_For: 127.0.0.1',
  'X.Forwarded.For: 127.0.0.1',
  'Host_: evil.example',
  'X-Host: evil.example',
  'X-Original-URL: /admin',
  'X-Rewrite-URL: /admin',
  'X-Original-Method: DELETE',
  'X-HTTP-Method-Override: DELETE',
  'X-HTTP-Method: DELETE',
  'X-Method-Override: DELETE',
  'Forwarded: for=127.0.0.1;host=evil.example',
  'X-Forwarded-Host: evil.example',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Prefix: /admin',
  'Via: 1.1 evil',
  'Range: bytes=0-1',
  'If-None-Match: *',
  'Cookie: session=1',
  'Cookie: $Version=1; a="b',
  'Proxy-Authorization: Basic eDp5',
  'Proxy-Connection: keep-alive',
  'X-Flm-Engine: evil',
  'Max-Forwards: 0',
  'Content-Type: multipart/form-data; boundary=x',
  'Content-Type: text/plain\u00ff',
  'Content-MD5: x',
  'Content-Range: bytes 0-3/4',
  'Accept-Encoding: gzip, br, zstd',
  `X: ${'a'.repeat(4_000)}`,
].map((header) => withHeader(`${header.slice(0, 60)}`, header, SERVED));

const LENGTHS: readonly Case[] = (
  [
    ['the same twice', (n) => [`Content-Length: ${n}`, `Content-Length: ${n}`], SERVED],
    ['zeros in front', (n) => [`Content-Length: 000${n}`], SERVED],
    ['blanks around', (n) => [`Content-Length: \t ${n} \t`], SERVED],
    ['in capitals', (n) => [`CONTENT-LENGTH: ${n}`], SERVED],
    ['two that differ', (n) => [`Content-Length: ${n}`, `Content-Length: ${n + 1}`], REFUSED],
    ['two that differ, the right one last', (n) => [`Content-Length: 0`, `Content-Length: ${n}`], REFUSED],
    ['two that differ by zeros', (n) => [`Content-Length: ${n}`, `Content-Length: 0${n}`], REFUSED],
    ['a list', (n) => [`Content-Length: ${n}, ${n}`], REFUSED],
    ['a list that differs', (n) => [`Content-Length: ${n}, 0`], REFUSED],
    ['a comma behind', (n) => [`Content-Length: ${n},`], REFUSED],
    ['plus', (n) => [`Content-Length: +${n}`], REFUSED],
    ['minus', () => ['Content-Length: -1'], REFUSED],
    ['minus zero', () => ['Content-Length: -0'], REFUSED],
    ['hexadecimal', (n) => [`Content-Length: 0x${n.toString(16)}`], REFUSED],
    ['hexadecimal without saying so', (n) => [`Content-Length: ${n.toString(16)}a`], REFUSED],
    ['exponential', () => ['Content-Length: 1e2'], REFUSED],
    ['with a point', (n) => [`Content-Length: ${n}.0`], REFUSED],
    ['with a separator', () => ['Content-Length: 1_000'], REFUSED],
    ['quoted', (n) => [`Content-Length: "${n}"`], REFUSED],
    ['a blank inside', (n) => [`Content-Length: 1 ${n}`], REFUSED],
    ['letters behind', (n) => [`Content-Length: ${n}abc`], REFUSED],
    ['NUL behind', (n) => [`Content-Length: ${n}\u0000`], REFUSED],
    ['a semicolon behind', (n) => [`Content-Length: ${n};x`], REFUSED],
    ['nothing', () => ['Content-Length:'], REFUSED],
    ['blanks', () => ['Content-Length:  \t'], REFUSED],
    ['a word', () => ['Content-Length: many'], REFUSED],
    ['digits of another script', () => ['Content-Length: \u00b2\u00b3'], REFUSED],
    ['2^63', () => ['Content-Length: 9223372036854775808'], REFUSED],
    ['2^64', () => ['Content-Length: 18446744073709551616'], REFUSED],
    ['2^64 and the length', (n) => [`Content-Length: ${2n ** 64n + BigInt(n)}`], REFUSED],
    [
      '2^32 and the length',
      (n) => [`Content-Length: ${2 ** 32 + n}`],
      { ...WAITS, statuses: [413], after: 'closed' },
    ],
    ['40 digits', () => [`Content-Length: ${'9'.repeat(40)}`], REFUSED],
    ['folded', (n) => [`Content-Length:\r\n ${n}`], REFUSED],
    ['folded behind', (n) => [`Content-Length: ${n}\r\n 0`], REFUSED],
    ['a bare line feed behind', (n) => [`Content-Length: ${n}\nX: y`], REFUSED],
    ['a bare carriage return behind', (n) => [`Content-Length: ${n}\rX: y`], REFUSED],
    ['left out', () => [], REFUSED_TWICE],
  ] as const satisfies readonly (readonly [string, (bytes: number) => readonly string[], Outcome])[]
).map(([name, headers, outcome]) => ({
  name: `Content-Length: ${name}`,
  wire: (auth, body) => request(auth, headers(body.length), body),
  ...outcome,
}));

const CHUNKS: readonly Case[] = (
  [
    ['in two', (b) => `1\r\n${b[0]}\r\n${(b.length - 1).toString(16)}\r\n${b.slice(1)}\r\n0\r\n\r\n`, SERVED],
    ['capital digits', (b) => `${hex(b).toUpperCase()}\r\n${b}\r\n0\r\n\r\n`, SERVED],
    ['zeros in front', (b) => `0000${hex(b)}\r\n${b}\r\n0\r\n\r\n`, SERVED],
    ['a last chunk of many zeros', (b) => `${hex(b)}\r\n${b}\r\n00000\r\n\r\n`, SERVED],
    ['an extension', (b) => `${hex(b)};a=b\r\n${b}\r\n0\r\n\r\n`, SERVED],
    ['an extension without a value', (b) => `${hex(b)};a\r\n${b}\r\n0\r\n\r\n`, SERVED],
    ['a quoted extension', (b) => `${hex(b)};a="b;c"\r\n${b}\r\n0\r\n\r\n`, SERVED],
    ['an extension of the last chunk', (b) => `${hex(b)}\r\n${b}\r\n0;a=b\r\n\r\n`, SERVED],
    ['an extension that is a chunk', (b) => `${hex(b)};\n0\r\n\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['an extension with a line feed', (b) => `${hex(b)};a\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['an extension with a carriage return', (b) => `${hex(b)};a\rb\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['an extension with a quoted line break', (b) => `${hex(b)};a="\r\n${b}\r\n0\r\n\r\n`, SERVED],
    ['a blank behind the size', (b) => `${hex(b)} \r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['a tab behind the size', (b) => `${hex(b)}\t\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['a blank before the size', (b) => ` ${hex(b)}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['0x', (b) => `0x${hex(b)}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['plus', (b) => `+${hex(b)}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['minus', (b) => `-${hex(b)}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['minus one', (b) => `-1\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['no size', (b) => `\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['an extension without a size', (b) => `;a\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['a word', (b) => `zz\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['a separator in the size', (b) => `1_${hex(b)}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['NUL behind the size', (b) => `${hex(b)}\u0000\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['2^64 and the size', (b) => `1${hex(b).padStart(16, '0')}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['2^63 and the size', (b) => `8${hex(b).padStart(15, '0')}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['60 digits', (b) => `${'f'.repeat(60)}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['bare line feeds', (b) => `${hex(b)}\n${b}\n0\n\n`, REFUSED],
    ['a bare line feed behind the size', (b) => `${hex(b)}\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['a bare carriage return behind the size', (b) => `${hex(b)}\r${b}\r\n0\r\n\r\n`, REFUSED],
    ['a bare line feed behind the data', (b) => `${hex(b)}\r\n${b}\n0\r\n\r\n`, REFUSED],
    ['a bare carriage return behind the data', (b) => `${hex(b)}\r\n${b}\r0\r\n\r\n`, REFUSED],
    ['nothing behind the data', (b) => `${hex(b)}\r\n${b}0\r\n\r\n`, REFUSED],
    ['two bytes that are no line break', (b) => `${hex(b)}\r\n${b}XX0\r\n\r\n`, REFUSED],
    ['data longer than said', (b) => `${(b.length - 1).toString(16)}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['data shorter than said', (b) => `${(b.length + 1).toString(16)}\r\n${b}\r\n0\r\n\r\n`, REFUSED],
    ['a bare line feed at the end', (b) => `${hex(b)}\r\n${b}\r\n0\r\n\n`, REFUSED_LATE],
    ['no end', (b) => `${hex(b)}\r\n${b}\r\n`, WAITS],
    ['half an end', (b) => `${hex(b)}\r\n${b}\r\n0\r\n`, WAITS],
    ['half a size', (b) => hex(b), WAITS],
    ['half of the data', (b) => `${hex(b)}\r\n${b.slice(0, b.length / 2)}`, WAITS],
  ] as const satisfies readonly (readonly [string, (body: string) => string, Outcome])[]
).map(([name, chunks, outcome]) => ({
  name: `chunks: ${name}`,
  wire: (auth, body) => request(auth, [CHUNKED], chunks(body)),
  ...outcome,
}));

/** Everything that frames a body: also sent with a large one, and in pieces. */
export const FRAMINGS: readonly Case[] = [...LENGTH_AND_CHUNKS, ...CODINGS, ...LENGTHS, ...CHUNKS];

const HEADS: readonly Case[] = (
  [
    ['line feeds alone', (auth, b) => request(auth, [length(b)], b).replaceAll('\r\n', '\n'), WRONG_VERSION],
    [
      'carriage returns alone',
      (auth, b) => request(auth, [length(b)], b).replaceAll('\r\n', '\r'),
      WRONG_VERSION,
    ],
    ['line feeds behind headers', (auth, b) => request(auth, [`X: y\nZ: z`, length(b)], b), REFUSED],
    ['a folded header', (auth, b) => request(auth, ['X: y', ' z', length(b)], b), REFUSED],
    ['a folded header, with a tab', (auth, b) => request(auth, ['X: y', '\tz', length(b)], b), REFUSED],
    ['a folded request line', (auth, b) => request(auth, [length(b)], b, `${LINE}\r\n X: y`), REFUSED],
    [
      'a line that hides a header',
      (auth, b) => request(auth, [length(b)], b, `${LINE}\r\n Transfer-Encoding: chunked`),
      REFUSED,
    ],
    ['a line without a colon', (auth, b) => request(auth, ['X', length(b)], b), REFUSED],
    ['NUL in a value', (auth, b) => request(auth, ['X: a\u0000b', length(b)], b), REFUSED],
    [
      'NUL in the line',
      (auth, b) => request(auth, [length(b)], b, `POST ${CHAT}\u0000 HTTP/1.1`),
      WRONG_VERSION,
    ],
    ['a control character in a value', (auth, b) => request(auth, ['X: a\u0001b', length(b)], b), REFUSED],
    ['DEL in a value', (auth, b) => request(auth, ['X: a\u007fb', length(b)], b), SERVED],
    ['two blanks in the line', (auth, b) => request(auth, [length(b)], b, `POST  ${CHAT} HTTP/1.1`), REFUSED],
    [
      'tabs in the line',
      (auth, b) => request(auth, [length(b)], b, `POST\t${CHAT}\tHTTP/1.1`),
      WRONG_VERSION,
    ],
    ['a blank behind the line', (auth, b) => request(auth, [length(b)], b, `${LINE} `), WRONG_VERSION],
    ['a blank before the line', (auth, b) => request(auth, [length(b)], b, ` ${LINE}`), REFUSED],
    ['a line break before the line', (auth, b) => `\r\n${request(auth, [length(b)], b)}`, REFUSED],
    [
      'a blank in the target',
      (auth, b) => request(auth, [length(b)], b, `POST ${CHAT} x HTTP/1.1`),
      WRONG_VERSION,
    ],
    [
      'a second request in the target',
      (auth, b) => request(auth, [length(b)], b, `POST ${CHAT}\r\nX: y HTTP/1.1`),
      WRONG_VERSION,
    ],
    [
      '300 headers',
      (auth, b) => request(auth, [...manyHeaders(300), length(b)], b),
      { statuses: [431], reached: 0, after: 'closed' },
    ],
    [
      'a header of 100 kB',
      (auth, b) => request(auth, [`X: ${'a'.repeat(100_000)}`, length(b)], b),
      { statuses: [431], reached: 0, after: 'closed' },
    ],
    [
      'a target of 100 kB',
      (auth, b) => request(auth, [length(b)], b, `POST ${CHAT}?${'a'.repeat(100_000)} HTTP/1.1`),
      { statuses: [431], reached: 0, after: 'closed' },
    ],
    ['100 headers', (auth, b) => request(auth, [...manyHeaders(100), length(b)], b), SERVED],
    [
      'the same header 100 times',
      (auth, b) => request(auth, [...Array<string>(100).fill('X: y'), length(b)], b),
      SERVED,
    ],
    ['half a head', (auth) => request(auth, ['X: y']).slice(0, -2), WAITS],
    ['half a line', () => LINE.slice(0, 8), WAITS],
    ['nothing but a line break', () => '\r\n', REFUSED],
  ] as const satisfies readonly (readonly [string, Case['wire'], Outcome])[]
).map(([name, wire, outcome]) => ({ name, wire, ...outcome }));

function manyHeaders(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `X-${at}: y`);
}

const VERSIONS: readonly Case[] = (
  [
    ['HTTP/1.0', SERVED_LAST],
    ['HTTP/1.1', SERVED],
    ...[
      'HTTP/0.9',
      'HTTP/1.2',
      'HTTP/2.0',
      'HTTP/2',
      'HTTP/3',
      'HTTP/11',
      'HTTP/1.10',
      'HTTP/1',
      'HTTP/01.1',
      'HTTP/1.1x',
      'http/1.1',
      'HTTP /1.1',
      'HTTPS/1.1',
      'ICAP/1.0',
      'FLM/1.1',
      '',
    ].map((version) => [version, WRONG_VERSION] as const),
  ] as const
).map(([version, outcome]) => ({
  name: `version ${JSON.stringify(version)}`,
  wire: (auth, body) => request(auth, [length(body)], body, `POST ${CHAT} ${version}`),
  ...outcome,
}));

const OTHER_PROTOCOLS: readonly Case[] = [
  { name: 'HTTP/0.9', wire: () => 'GET /v1/models\r\n\r\n', ...WRONG_VERSION },
  { name: 'HTTP/2 with prior knowledge', wire: () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ...REFUSED },
  {
    name: 'TLS',
    wire: () => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003\r\n\r\n',
    ...REFUSED,
  },
  { name: 'SSH', wire: () => 'SSH-2.0-OpenSSH_9.6\r\n\r\n', ...REFUSED },
  {
    name: 'PROXY protocol',
    wire: (auth, b) => `PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n${request(auth, [length(b)], b)}`,
    ...REFUSED,
  },
  {
    name: 'chunks in HTTP/1.0',
    wire: (auth, b) => request(auth, [CHUNKED], chunked(b), `POST ${CHAT} HTTP/1.0`),
    ...REFUSED,
  },
  {
    name: 'keep-alive in HTTP/1.0',
    wire: (auth, b) => request(auth, ['Connection: keep-alive', length(b)], b, `POST ${CHAT} HTTP/1.0`),
    ...SERVED_LAST,
  },
];

/** RFC 9112 §3.2: each request has one Host. */
const HOSTS: readonly Case[] = (
  [
    ['none', [], REFUSED],
    ['the same twice', ['Host: localhost', 'Host: localhost'], answered(400)],
    ['two', ['Host: localhost', 'Host: evil.example'], answered(400)],
    ['two, the other one first', ['Host: evil.example', 'Host: localhost'], answered(400)],
    ['two in one', ['Host: localhost, evil.example'], answered(400)],
    ['two in one, by a blank', ['Host: localhost evil.example'], answered(400)],
    ['nothing', ['Host:'], answered(400)],
    ['a path', ['Host: localhost/v1'], answered(400)],
    ['a query', ['Host: localhost?x'], answered(400)],
    ['a fragment', ['Host: localhost#x'], answered(400)],
    ['a user', ['Host: evil@localhost'], answered(400)],
    ['a backslash', ['Host: localhost\\evil'], answered(400)],
    ['a percent', ['Host: local%68ost'], answered(400)],
    ['a port without digits', ['Host: localhost:'], answered(400)],
    ['a negative port', ['Host: localhost:-1'], answered(400)],
    ['two ports', ['Host: localhost:1:2'], answered(400)],
    ['a port that is a name', ['Host: localhost:evil'], answered(400)],
    ['NUL', ['Host: localhost\u0000'], REFUSED],
    ['a fold', ['Host: localhost\r\n evil.example'], REFUSED],
    ['a blank before the colon', ['Host : localhost'], REFUSED],
    ['a scheme', ['Host: http://localhost'], answered(400)],
    ['one letter', ['Host: a'], answered(403)],
    ['another name', ['Host: evil.example'], answered(403)],
    ['a dot alone', ['Host: .'], answered(400)],
    ['a name with an underscore', ['Host: e_vil'], answered(403)],
    ['a dot behind', ['Host: localhost.'], answered(403)],
  ] as const satisfies readonly (readonly [string, readonly string[], Outcome])[]
).map(([name, hosts, outcome]) => ({
  name: `Host: ${name}`,
  wire: (auth, body) => `${[LINE, ...hosts, auth, length(body)].join('\r\n')}\r\n\r\n${body}`,
  ...outcome,
}));

/** Whatever the path is written like, it leads to the route it stands for or to none, and never further than FLM. */
const TARGETS: readonly Case[] = (
  [
    [`http://localhost${CHAT}`, SERVED],
    // What counts is the Host that was checked; the authority in the target leads nowhere.
    [`http://evil.example${CHAT}`, SERVED],
    [`http://user:pass@evil.example${CHAT}`, SERVED],
    [`HTTP://LOCALHOST${CHAT}`, SERVED],
    [`https://localhost${CHAT}`, SERVED],
    [`ftp://localhost${CHAT}`, REFUSED],
    [`//evil.example${CHAT}`, answered(404)],
    ['localhost:80', REFUSED],
    ['*', REFUSED],
    ['', REFUSED],
    [CHAT.slice(1), REFUSED],
    [`/${CHAT}`, answered(404)],
    [`/.${CHAT}`, SERVED],
    [`/x/..${CHAT}`, SERVED],
    [`/x/%2e%2e${CHAT}`, SERVED],
    [`/x/%2E.${CHAT}`, SERVED],
    [`/../../..${CHAT}`, SERVED],
    [`${CHAT}/../completions`, SERVED],
    [`${CHAT}/`, SERVED],
    [`${CHAT}/.`, SERVED],
    [`${CHAT}//`, answered(404)],
    [`${CHAT}%2f`, answered(404)],
    [`${CHAT}%00`, answered(404)],
    [`${CHAT};x=1`, answered(404)],
    [`${CHAT};/../completions`, SERVED],
    [`${CHAT}%20`, answered(404)],
    [`${CHAT}.json`, answered(404)],
    [`${CHAT}?`, SERVED],
    [`${CHAT}?x=/../../admin`, SERVED],
    [`${CHAT}?x=%0d%0aHost:%20evil`, SERVED],
    [`${CHAT}#x`, answered(404)],
    [CHAT.toUpperCase(), answered(404)],
    ['/v1/chat%2fcompletions', answered(404)],
    ['/v1/chat%2Fcompletions', answered(404)],
    ['/v1/chat%252fcompletions', answered(404)],
    ['/v1/chat\\completions', SERVED],
    ['/v1\\..\\v1/chat/completions', SERVED],
    ['/v1/chat/%63ompletions', answered(404)],
    ['/v1;x/chat/completions', answered(404)],
    ['/v1/chat/completions\u00e9', answered(404)],
    ['/v1/%c0%ae%c0%ae/chat/completions', answered(404)],
    ['/v1/..%2fadmin', answered(404)],
    ['/v1/../admin', answered(404)],
    ['/v1/%2e%2e/admin', answered(404)],
    ['/v1/%2e%2e%2fadmin', answered(404)],
    ['/v1/..;/admin', answered(404)],
    ['/v1/..\\admin', answered(404)],
    ['/v1/%252e%252e/admin', answered(404)],
    ['/api/v1/keys', answered(404)],
    ['/v1/../api/v1/keys', answered(404)],
    ['/api/tags', answered(404)],
    ['/api/pull', answered(404)],
    ['/v1/../api/pull', answered(404)],
    ['/v1/%2e%2e/api/delete', answered(404)],
    ['/v1/api/generate', answered(404)],
    ['/v1/unload', answered(404)],
    ['/swagger', answered(404)],
    ['/console', answered(404)],
    [`/${'a/'.repeat(4_000)}`, answered(404)],
    [`/${'../'.repeat(4_000)}v1/chat/completions`, SERVED],
    [`/v1/${'%'.repeat(3_000)}`, answered(404)],
  ] as const satisfies readonly (readonly [string, Outcome])[]
).map(([target, outcome]) => ({
  name: `target ${JSON.stringify(target.slice(0, 70))}`,
  wire: (auth, body) => request(auth, [length(body)], body, `POST ${target} HTTP/1.1`),
  ...outcome,
}));

const METHODS: readonly Case[] = [
  ...(
    [
      ['GET', answered(405)],
      ['PUT', answered(405)],
      ['PATCH', answered(405)],
      ['DELETE', answered(405)],
      ['OPTIONS', answered(204)],
      ['TRACE', answered(405)],
      ['TRACK', HUNG_UP],
      ['PROPFIND', answered(405)],
      ['SEARCH', answered(405)],
      ['LINK', answered(405)],
      ['QUERY', answered(405)],
      ['DEBUG', HUNG_UP],
      ['post', HUNG_UP],
      ['Post', HUNG_UP],
      ['POST\u0000', WRONG_VERSION],
      ['P@ST', REFUSED],
      ['POSTPOST', HUNG_UP],
      ['PO ST', REFUSED],
      ['', REFUSED],
      ['A'.repeat(1_000), HUNG_UP],
    ] as const
  ).map(([method, outcome]) => ({
    name: `method ${JSON.stringify(method.slice(0, 20))}`,
    wire: (auth: string, body: string) => request(auth, [length(body)], body, `${method} ${CHAT} HTTP/1.1`),
    ...outcome,
  })),
  {
    name: 'CONNECT',
    wire: (auth) => request(auth, [], '', 'CONNECT localhost:22 HTTP/1.1'),
    ...answered(405),
    after: 'closed',
  },
];

/** RFC 9110 §7.6.1: of this connection only. The engine hears of none of them. */
const HOP_BY_HOP: readonly Case[] = [
  ['Connection: keep-alive'],
  ['Connection: Authorization'],
  ['Connection: Content-Length'],
  ['Connection: Host, Content-Type, X-Request-Id'],
  ['Connection: Transfer-Encoding'],
  ['Connection: \u00ff'],
  ['Connection: upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
  ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
  ['Upgrade: h2c'],
  ['Connection: Upgrade', 'Upgrade: TLS/1.0'],
  ['Connection: Upgrade', 'Upgrade: HTTP/3.0'],
  [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==',
  ],
  ['TE: trailers'],
  ['TE: chunked'],
  ['TE: trailers, deflate;q=0.5', 'Connection: TE'],
  ['Trailer: Content-Length'],
  ['Trailer: X-Checksum'],
  ['Keep-Alive: timeout=1, max=1'],
  ['Proxy-Connection: close'],
  ['Proxy-Authenticate: Basic'],
].map((headers) => ({
  name: headers.join(' / ').slice(0, 80),
  wire: (auth, body) => request(auth, [...headers, length(body)], body),
  ...SERVED,
}));

const CONNECTION_CLOSE: readonly Case[] = [
  withHeader('Connection: close', 'Connection: close', SERVED_LAST),
  withHeader('Connection: close among others', 'Connection: keep-alive, close', SERVED_LAST),
];

/** A request in the body of another, and requests one after the other without waiting. */
const SECOND_REQUESTS: readonly Case[] = (
  [
    [
      'in the body of a GET, by its length',
      (auth) =>
        request(auth, [`Content-Length: ${hidden(auth).length}`], hidden(auth), 'GET /v1/models HTTP/1.1'),
      answered(200),
    ],
    [
      'in the body of a GET, in a chunk',
      (auth) => request(auth, [CHUNKED], chunked(hidden(auth)), 'GET /v1/models HTTP/1.1'),
      answered(200),
    ],
    [
      'in the body of a refused one',
      (auth) => request('X: y', [`Content-Length: ${hidden(auth).length}`], hidden(auth)),
      answered(401),
    ],
    [
      'in the chunk of a refused one',
      (auth) => request('X: y', [CHUNKED], chunked(hidden(auth))),
      { statuses: [401], reached: 0, after: 'closed' },
    ],
    [
      'in the body of one for no route',
      (auth) =>
        request(auth, [`Content-Length: ${hidden(auth).length}`], hidden(auth), 'POST /nope HTTP/1.1'),
      answered(404),
    ],
    [
      'in the body of a HEAD',
      (auth) =>
        request(
          auth,
          [`Content-Length: ${hidden(auth).length}`],
          hidden(auth),
          'OPTIONS /v1/models HTTP/1.1',
        ),
      answered(204),
    ],
    [
      'in the body of one with another Host',
      (auth) => {
        const rest = hidden(auth);
        return `${LINE}\r\nHost: evil.example\r\nContent-Length: ${rest.length}\r\n\r\n${rest}`;
      },
      answered(403),
    ],
    [
      'in a trailer',
      (auth, b) => request(auth, [CHUNKED], `${hex(b)}\r\n${b}\r\n0\r\nX: y\r\n\r\n${hidden(auth)}`),
      REFUSED_LATE,
    ],
    [
      'behind a trailer that sets the length',
      (auth, b) =>
        request(auth, [CHUNKED], `${hex(b)}\r\n${b}\r\n0\r\nContent-Length: 9\r\n\r\n${hidden(auth)}`),
      REFUSED_LATE,
    ],
    [
      'behind a body shorter than said',
      (auth, b) => request(auth, [`Content-Length: ${b.length + 5}`], b),
      WAITS,
    ],
    [
      'behind a refused one, in its own right',
      (auth, b) => request('X: y', [length(b)], b) + request(auth, [length(b)], b),
      { statuses: [401, 200], reached: 1, after: 'open' },
    ],
    [
      'behind health, in its own right',
      (auth, b) => request(auth, [], '', 'GET /health HTTP/1.1') + request(auth, [length(b)], b),
      { statuses: [200, 200], reached: 1, after: 'open' },
    ],
    [
      'behind a body that is no JSON, in its own right',
      (auth, b) => request(auth, ['Content-Length: 5'], '{"a":') + request(auth, [length(b)], b),
      { statuses: [400, 200], reached: 1, after: 'open' },
    ],
    ['behind one that is under way', (auth, b) => request(auth, [length(b)], b) + hidden(auth), HUNG_UP_LATE],
    [
      'behind one in chunks that is under way',
      (auth, b) => request(auth, [CHUNKED], chunked(b)) + hidden(auth),
      HUNG_UP_LATE,
    ],
    [
      'half of it, behind a refused one',
      (auth) => request('X: y', ['Content-Length: 2'], '{}') + hidden(auth).slice(0, 40),
      { statuses: [401], reached: 0, after: 'waits' },
    ],
  ] as const satisfies readonly (readonly [string, Case['wire'], Outcome])[]
).map(([name, wire, outcome]) => ({ name: `a second request ${name}`, wire, ...outcome }));

const bomb = gzipSync(Buffer.alloc(10_000_000)).toString('latin1');

const ENCODINGS: readonly Case[] = [
  ...[
    'gzip',
    'x-gzip',
    'deflate',
    'br',
    'zstd',
    'compress',
    'gzip, gzip',
    'identity, gzip',
    'GZIP',
    'unknown',
    '*',
    ',',
  ].map((coding) => ({
    name: `Content-Encoding: ${coding}, a bomb`,
    wire: (auth: string) => request(auth, [`Content-Encoding: ${coding}`, length(bomb)], bomb),
    ...answered(415),
  })),
  {
    name: 'a bomb that says nothing of it',
    wire: (auth) => request(auth, [length(bomb)], bomb),
    ...answered(400),
  },
  {
    name: 'a bomb in chunks that says nothing of it',
    wire: (auth) => request(auth, [CHUNKED], chunked(bomb)),
    statuses: [400],
    reached: 0,
    after: 'closed',
  },
  withHeader('Content-Encoding: identity', 'Content-Encoding: identity', SERVED),
];

/** The interim answer is the runtime's; whoever waits for it and whoever does not get the same. */
const EXPECTATIONS: readonly Case[] = [
  withHeader('Expect: 100-continue', 'Expect: 100-continue', SERVED),
  withHeader('Expect: 100-CONTINUE', 'Expect: 100-CONTINUE', SERVED),
  withHeader('Expect: something else', 'Expect: 200-ok', SERVED),
  {
    name: 'Expect: 100-continue without a key',
    wire: (_, b) => request('X: y', ['Expect: 100-continue', length(b)], b),
    ...answered(401),
  },
  {
    name: 'Expect: 100-continue and a body that never comes',
    wire: (auth, b) => request(auth, ['Expect: 100-continue', length(b)]),
    ...WAITS,
  },
];

export const CASES: readonly Case[] = [
  ...FRAMINGS,
  ...NAMES,
  ...OTHER_NAMES,
  ...HEADS,
  ...VERSIONS,
  ...OTHER_PROTOCOLS,
  ...HOSTS,
  ...TARGETS,
  ...METHODS,
  ...HOP_BY_HOP,
  ...CONNECTION_CLOSE,
  ...SECOND_REQUESTS,
  ...ENCODINGS,
  ...EXPECTATIONS,
];
