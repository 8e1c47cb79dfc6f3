import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { MalformedResponse, ResponseParser } from './parser';

/** Everything a parser said about some bytes. */
interface Parsed {
  /** One entry per head: status and headers as they came. */
  readonly heads: { status: number; headers: [string, string][] }[];
  readonly body: Buffer;
  /** `reusable`, `closed`: how it ended; `more`: it has not; `malformed`: it was refused. */
  outcome: 'reusable' | 'closed' | 'more' | 'malformed';
  reason: string | null;
  /** Pieces that came after the end: must stay 0. */
  late: number;
}

/** Parses pieces one after the other, then, with `fin`, the end of the connection. Refusals end it, other errors fail. */
function parse(pieces: Iterable<Uint8Array>, { fin = false } = {}): Parsed {
  const chunks: Uint8Array[] = [];
  const heads: Parsed['heads'] = [];
  let outcome: Parsed['outcome'] = 'more';
  let reason: string | null = null;
  let late = 0;
  const parser = new ResponseParser({
    onHead: ({ status, headers }) => void heads.push({ status, headers: [...headers] }),
    onData: (bytes) => {
      if (outcome !== 'more') late++;
      chunks.push(bytes);
    },
    onEnd: (reusable) => {
      if (outcome !== 'more') late++;
      outcome = reusable ? 'reusable' : 'closed';
    },
  });
  try {
    for (const piece of pieces) parser.push(piece);
    if (fin) parser.finish();
  } catch (error) {
    if (!(error instanceof MalformedResponse)) throw error;
    outcome = 'malformed';
    reason = error.message;
  }
  return { heads, body: Buffer.concat(chunks), outcome, reason, late };
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');
const parseText = (text: string, options?: { fin: boolean }): Parsed => parse([bytesOf(text)], options);

describe('framings', () => {
  const golden: [name: string, wire: string, body: string, outcome: Parsed['outcome']][] = [
    ['Content-Length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello', 'hello', 'reusable'],
    ['Content-Length: 0', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', '', 'reusable'],
    [
      'Content-Length with leading zeros',
      'HTTP/1.1 200 OK\r\nContent-Length: 005\r\n\r\nhello',
      'hello',
      'reusable',
    ],
    [
      'chunked',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n',
      'hello',
      'reusable',
    ],
    [
      'chunked with extensions, padding, hex of both cases and trailers',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00A;n=v;q="a;b"\r\n0123456789\r\nb \t;x\r\nabcdefghijk\r\n000;last\r\nX-Sum: 1\r\nY: 2\r\n\r\n',
      '0123456789abcdefghijk',
      'reusable',
    ],
    [
      'chunked data that looks like framing',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n0\r\n\r\nHTTP\r\n0\r\n\r\n',
      '0\r\n\r\nHTTP',
      'reusable',
    ],
    ['until close', 'HTTP/1.1 200 OK\r\nx: y\r\n\r\nhello\r\n0\r\n\r\n', 'hello\r\n0\r\n\r\n', 'closed'],
    ['until close, empty', 'HTTP/1.1 200 OK\r\n\r\n', '', 'closed'],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', '', 'reusable'],
    ['304 with a length', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n', '', 'reusable'],
    ['204 with a coding', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', '', 'reusable'],
    [
      'interim answers before it',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\ncontent-length: 7\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
      'ok',
      'reusable',
    ],
    ['no reason phrase', 'HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok', 'ok', 'reusable'],
    ['an empty reason phrase', 'HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok', 'ok', 'reusable'],
    [
      'a reason phrase in UTF-8',
      'HTTP/1.1 200 d\xc3\xa9j\xc3\xa0\r\ncontent-length: 0\r\n\r\n',
      '',
      'reusable',
    ],
    ['close', 'HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nok', 'ok', 'closed'],
    [
      'close among others',
      'HTTP/1.1 200 OK\r\nconnection: x-foo ,\tclose\r\ncontent-length: 2\r\n\r\nok',
      'ok',
      'closed',
    ],
    [
      'close in the second of two headers',
      'HTTP/1.1 200 OK\r\nconnection: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok',
      'ok',
      'closed',
    ],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok', 'ok', 'closed'],
    [
      'HTTP/1.0 with keep-alive',
      'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok',
      'ok',
      'reusable',
    ],
    ['HTTP/1.0 until close', 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\nok', 'ok', 'closed'],
    [
      'HTTP/1.0 with a coding it cannot know',
      'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'ok',
      'closed',
    ],
  ];

  test.each(golden)('%s', (_name, wire, body, outcome) => {
    const parsed = parseText(wire, { fin: true });
    expect(parsed.body.toString('latin1')).toBe(body);
    expect(parsed.outcome).toBe(outcome);
    expect(parsed.heads).toHaveLength(1);
    expect(parsed.late).toBe(0);
  });

  test.each(golden)('%s, a byte at a time', (_name, wire, body, outcome) => {
    const parsed = parse(cut(bytesOf(wire), 1), { fin: true });
    expect(parsed.body.toString('latin1')).toBe(body);
    expect(parsed.outcome).toBe(outcome);
  });

  test.each(golden)('%s, cut short anywhere, is not complete', (_name, wire, _body, outcome) => {
    if (outcome === 'closed' && parseText(wire).outcome === 'more') return; // Until close: the cut is its end.
    for (let end = 0; end < wire.length; end++) {
      expect(parseText(wire.slice(0, end), { fin: true }).outcome).toBe('more');
    }
  });
});

describe('headers', () => {
  const headersOf = (lines: string): [string, string][] => {
    const { heads, reason } = parseText(`HTTP/1.1 204 x\r\n${lines}\r\n`);
    if (reason !== null) throw new Error(reason);
    return heads[0]?.headers ?? [];
  };

  test('come in order, names in lower case, values as Latin-1 without the blanks around', () => {
    expect(headersOf('B-c:1\r\nA:\t caf\xe9 \t\r\nempty:\r\nb-C: 2\r\n')).toEqual([
      ['b-c', '1'],
      ['a', 'caf\xe9'],
      ['empty', ''],
      ['b-c', '2'],
    ]);
  });

  test('keep the bytes of UTF-8, whose last may look like a space', () => {
    const [entry] = headersOf('x: voil\xc3\xa0\r\n');
    expect(Buffer.from(entry?.[1] ?? '', 'latin1').toString()).toBe('voilà');
  });

  test('are found in any case, and joined', () => {
    let found: (string | null)[] = [];
    const parser = new ResponseParser({
      onHead: ({ headers }) => {
        found = ['SET-cookie', 'set-cooki', 'et-cookie', 'x', 'y', 'É'].map((name) => headers.get(name));
      },
      onData() {},
      onEnd() {},
    });
    parser.push(
      bytesOf('HTTP/1.1 204 x\r\nSet-Cookie: a=1\r\nx: set-cookie: b\r\nset-COOKIE:c=2\r\nX:\r\n\r\n'),
    );
    expect(found).toEqual(['a=1, c=2', null, null, 'set-cookie: b, ', null, null]);
  });

  test('may be as many as fit', () => {
    expect(headersOf('a:\r\n'.repeat(16_000))).toHaveLength(16_000);
  });
});

describe('what two readers could read differently is refused', () => {
  const head = (lines: string): string => `HTTP/1.1 200 OK\r\n${lines}\r\n`;
  const chunked = (rest: string): string => head('Transfer-Encoding: chunked\r\n') + rest;
  const refused: [name: string, wire: string][] = [
    ['both lengths', head('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')],
    ['both lengths, the other way round', head('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n')],
    ['two lengths that differ', head('Content-Length: 5\r\nContent-Length: 6\r\n')],
    ['two lengths that are equal', head('Content-Length: 5\r\nContent-Length: 5\r\n')],
    ['a list of lengths', head('Content-Length: 5, 5\r\n')],
    ['a length with a plus', head('Content-Length: +5\r\n')],
    ['a length with a minus', head('Content-Length: -5\r\n')],
    ['a length with a space in it', head('Content-Length: 1 5\r\n')],
    ['a length in hex', head('Content-Length: 0x5\r\n')],
    ['a length with an exponent', head('Content-Length: 1e3\r\n')],
    ['a fractional length', head('Content-Length: 5.0\r\n')],
    ['an empty length', head('Content-Length:\r\n')],
    ['a length beyond counting', head('Content-Length: 9007199254740993\r\n')],
    ['a length behind a no-break space', head('Content-Length:\xa05\r\n')],
    ['a length before a no-break space', head('Content-Length: 5\xa0\r\n')],
    ['a coding behind a no-break space', head('Transfer-Encoding:\xa0chunked\r\n')],
    ['chunked twice', head('Transfer-Encoding: chunked, chunked\r\n')],
    ['chunked in two headers', head('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n')],
    ['gzip, chunked', head('Transfer-Encoding: gzip, chunked\r\n')],
    ['chunked, gzip', head('Transfer-Encoding: chunked, gzip\r\n')],
    ['identity', head('Transfer-Encoding: identity\r\n')],
    ['an empty coding', head('Transfer-Encoding:\r\n')],
    ['a coding with a parameter', head('Transfer-Encoding: chunked;q=1\r\n')],
    ['an unknown coding', head('Transfer-Encoding: xchunked\r\n')],
    ['a bare line feed after the status', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n'],
    ['a bare line feed in a header', head('a: b\nContent-Length: 0\r\n')],
    ['a bare carriage return in a header', head('a: b\rContent-Length: 0\r\n')],
    ['a bare carriage return in the status line', 'HTTP/1.1 200 OK\rx: y\r\n\r\n'],
    ['obsolete folding', head('a: b\r\n c: d\r\n')],
    ['folding of the first line', 'HTTP/1.1 200 OK\r\n a: b\r\n\r\n'],
    ['a space before the colon', head('Content-Length : 5\r\n')],
    ['a tab before the colon', head('Transfer-Encoding\t: chunked\r\n')],
    ['a name with a no-break space', head('Content-Length\xa0: 5\r\n')],
    ['a line without a colon', head('nonsense\r\n')],
    ['an empty name', head(': x\r\n')],
    ['a null in a value', head('a: b\0c\r\n')],
    ['a null in a name', head('a\0: b\r\n')],
    ['a null in the reason phrase', 'HTTP/1.1 200 O\0K\r\n\r\n'],
    ['a null in a chunk extension', chunked('1;\0\r\nx')],
    ['a chunk size beyond counting', chunked('fffffffffffffff\r\n')],
    ['a chunk size that wraps in 64 bits', chunked('10000000000000005\r\n')],
    ['a negative chunk size', chunked('-5\r\n')],
    ['a chunk size with a plus', chunked('+5\r\n')],
    ['a chunk size with 0x', chunked('0x5\r\n')],
    ['a chunk size behind a space', chunked(' 5\r\n')],
    ['a chunk size with an underscore', chunked('1_0\r\n')],
    ['an empty chunk size', chunked('\r\n')],
    ['an extension without a size', chunked(';a=b\r\n')],
    ['a chunk size behind a line feed', chunked('\n5\r\n')],
    ['a chunk size line ending in a line feed', chunked('5\nhello')],
    ['a chunk size line ending in two carriage returns', chunked('5\r\r\nhello')],
    ['no CRLF after the chunk', chunked('5\r\nhello5\r\nhello')],
    ['a line feed after the chunk', chunked('5\r\nhello\n0\r\n\r\n')],
    ['a chunk longer than it said', chunked('5\r\nhello!\r\n0\r\n\r\n')],
    ['trailers that end in a line feed', chunked('0\r\na: b\n\r\n')],
    ['an end that is a line feed', chunked('0\r\n\n')],
    ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['an alert of TLS', '\x15\x03\x01\x00\x02\x02\x46'],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
    ['HTTP/0.9', '<html>'],
    ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
    ['a version in lower case', 'http/1.1 200 OK\r\n\r\n'],
    ['a blank line first', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
    ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 x\r\n\r\n'],
    ['a status above 599', 'HTTP/1.1 600 x\r\n\r\n'],
    ['a status with a sign', 'HTTP/1.1 +20 x\r\n\r\n'],
    ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n'],
    ['bytes after its end', `${head('Content-Length: 2\r\n')}ok!`],
    ['a second answer', head('Content-Length: 0\r\n') + head('Content-Length: 0\r\n')],
    ['a body where there is none', 'HTTP/1.1 204 x\r\ncontent-length: 1\r\n\r\nx'],
  ];

  test.each(refused)('%s', (_name, wire) => {
    expect(parseText(wire).outcome).toBe('malformed');
    expect(parse(cut(bytesOf(wire), 1)).outcome).toBe('malformed');
  });

  test('says what is wrong without words of the other side', () => {
    const { reason } = parseText(head('Transfer-Encoding: <script>\r\n'));
    expect(reason).not.toContain('script');
  });
});

describe('what never ends', () => {
  /** Pushes the same bytes until it is refused. Returns how many bytes that took, and the most that was held back. */
  function feed(start: string, again: string, most = 4_000_000): number {
    const parser = new ResponseParser({ onHead() {}, onData() {}, onEnd() {} });
    parser.push(bytesOf(start));
    const piece = bytesOf(again);
    for (let sent = 0; sent <= most; sent += piece.length) {
      try {
        parser.push(piece);
      } catch (error) {
        if (error instanceof MalformedResponse) return sent;
        throw error;
      }
    }
    throw new Error(`still not refused after ${most} bytes`);
  }

  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  const endless: [name: string, start: string, again: string, most: number][] = [
    ['a header line', 'HTTP/1.1 200 OK\r\na: ', 'b'.repeat(1_000), 70_000],
    ['headers', 'HTTP/1.1 200 OK\r\n', 'a: b\r\n'.repeat(100), 70_000],
    ['a status line', 'HTTP/1.1 200 ', 'x'.repeat(1_000), 70_000],
    ['a megabyte at once', 'HTTP/1.1 200 OK\r\na: ', 'b'.repeat(1_000_000), 1_100_000],
    ['interim answers', '', 'HTTP/1.1 102 Processing\r\n\r\n', 100_000],
    ['a chunk size line', chunked, '0'.repeat(100), 10_000],
    ['a chunk extension', `${chunked}5;`, 'x'.repeat(100), 10_000],
    ['what should be the end of a chunk', `${chunked}1\r\nx`, 'y'.repeat(100), 10_000],
    ['a trailer line', `${chunked}0\r\n`, 'x'.repeat(100), 10_000],
    ['trailers', `${chunked}0\r\n`, 'a: b\r\n'.repeat(100), 120_000],
  ];

  test.each(endless)('%s', (_name, start, again, most) => {
    expect(feed(start, again)).toBeLessThan(most);
  });

  test('a head of exactly the limit is read', () => {
    const lines = 'HTTP/1.1 204 x\r\na: ';
    const text = (length: number): string => `${lines}${'b'.repeat(length - lines.length)}\r\n\r\n`;
    expect(parseText(text(65_536)).outcome).toBe('reusable');
    expect(parseText(text(65_537)).outcome).toBe('malformed');
    expect(parse(cut(bytesOf(text(65_536)), 1_000)).outcome).toBe('reusable');
  });
});

describe('time', () => {
  /** Milliseconds, the best of three, so that a busy machine does not fail the test. */
  function timeOf(work: () => void): number {
    const times = [0, 0, 0].map(() => {
      const startedMs = Bun.nanoseconds() / 1e6;
      work();
      return Bun.nanoseconds() / 1e6 - startedMs;
    });
    return Math.min(...times);
  }

  const chunkedBody = (chunks: number): Buffer =>
    bytesOf(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(chunks)}0\r\n\r\n`);

  test('of one-byte chunks grows with their number', () => {
    const [few, many] = [50_000, 400_000].map((chunks) => {
      const wire = chunkedBody(chunks);
      return timeOf(() => expect(parse(cut(wire, 65_536)).body).toHaveLength(chunks));
    });
    // Eight times the work; twenty times the time would not be linear.
    expect(many ?? 0).toBeLessThan((few ?? 0) * 20 + 50);
  });

  test('of a large head, a byte at a time, grows with its size', () => {
    const [small, large] = [300, 3_000].map((lines) => {
      const wire = bytesOf(`HTTP/1.1 204 x\r\n${'abcdefgh: ijklmnopq\r\n'.repeat(lines)}\r\n`);
      return timeOf(() => expect(parse(cut(wire, 1)).outcome).toBe('reusable'));
    });
    expect(large ?? 0).toBeLessThan((small ?? 0) * 30 + 50);
  });

  test.each([
    ['blanks in a value', `a: x${' '.repeat(60_000)}x${' '.repeat(5_000)}`],
    ['a name without a colon', 'a'.repeat(65_000)],
    ['colons', ':'.repeat(65_000)],
    ['a control character at the end', `a: ${'b: '.repeat(21_000)}\x01`],
    ['commas in Connection', `connection: ${','.repeat(65_000)}`],
    ['Connection again and again', 'connection: a\r\n'.repeat(4_000).trimEnd()],
  ])('of a head made of %s is small', (_name, line) => {
    const wire = bytesOf(`HTTP/1.1 204 x\r\n${line}\r\n\r\n`);
    expect(timeOf(() => void parse([wire]))).toBeLessThan(100);
  });
});

describe('properties', () => {
  const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/).filter((name) => !FRAMING.test(name));
  const value = fc.stringMatching(
    /^[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?$/,
  );
  const headers = fc.array(fc.tuple(token, value), { maxLength: 6 });
  const payload = fc.uint8Array({ maxLength: 300 });

  /** A valid response, and what it says. */
  const response = fc
    .record({
      interim: fc.integer({ min: 0, max: 2 }),
      version: fc.constantFrom('1.0', '1.1'),
      status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
      headers,
      chunks: fc.array(payload, { maxLength: 5 }),
      framing: fc.constantFrom('length', 'chunked', 'close'),
      extension: fc.constantFrom('', ' ', ';a=b', ';a="b;c"'),
      upper: fc.boolean(),
      trailers: headers,
    })
    .map((made) => {
      const chunks = made.chunks.filter((chunk) => chunk.length > 0);
      const body = Buffer.concat(chunks);
      const lines = made.headers.map(([name, text]) => `${name}: ${text}\r\n`).join('');
      const framing = {
        length: `Content-Length: ${body.length}\r\n`,
        chunked: 'Transfer-Encoding: chunked\r\n',
        close: '',
      }[made.framing];
      const size = (length: number): string =>
        made.upper ? length.toString(16).toUpperCase() : length.toString(16).padStart(4, '0');
      const encoded =
        made.framing === 'chunked'
          ? Buffer.concat([
              ...chunks.flatMap((chunk) => [
                bytesOf(`${size(chunk.length)}${made.extension}\r\n`),
                chunk,
                bytesOf('\r\n'),
              ]),
              bytesOf(`0\r\n${made.trailers.map(([name, text]) => `${name}: ${text}\r\n`).join('')}\r\n`),
            ])
          : body;
      const start = `${'HTTP/1.1 102 Processing\r\nx: y\r\n\r\n'.repeat(made.interim)}HTTP/${made.version} ${made.status} Reason\r\n`;
      const expected: [string, string][] = [
        ...made.headers.map(([name, text]): [string, string] => [name.toLowerCase(), text]),
        ...(framing === '' ? [] : [lowerName(framing)]),
      ];
      return {
        wire: Buffer.concat([bytesOf(`${start}${lines}${framing}\r\n`), encoded]),
        body,
        expected,
        made,
      };
    });

  test('a response is the same however it is cut', () => {
    fc.assert(
      fc.property(response, fc.array(fc.nat(), { maxLength: 20 }), ({ wire, body, expected, made }, cuts) => {
        const parsed = parse(cutAt(wire, cuts), { fin: true });
        const reusable = made.version === '1.1' && made.framing !== 'close';
        expect(parsed.outcome).toBe(reusable ? 'reusable' : 'closed');
        expect(parsed.heads).toEqual([{ status: made.status, headers: expected }]);
        expect(parsed.body.equals(body)).toBe(true);
        expect(parsed.late).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });

  test('a response with one byte changed is read or refused, and read the same however it is cut', () => {
    fc.assert(
      fc.property(
        response,
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        ({ wire }, at, byte, cuts) => {
          const changed = Buffer.from(wire);
          changed[at % changed.length] = byte;
          expectSame(parse([changed], { fin: true }), parse(cutAt(changed, cuts), { fin: true }));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('a response with bytes left out, doubled or put in is read or refused', () => {
    const edit = fc.tuple(
      fc.nat(),
      fc.nat({ max: 20 }),
      fc.constantFrom('', '\r', '\n', '\r\n', ':', '0', '\0', ' ', ','),
    );
    fc.assert(
      fc.property(response, fc.array(edit, { minLength: 1, maxLength: 4 }), ({ wire }, edits) => {
        let text = wire.toString('latin1');
        for (const [at, length, put] of edits) {
          const from = at % (text.length + 1);
          text = text.slice(0, from) + put + text.slice(put === '' || length > 10 ? from + length : from);
        }
        expectSame(parseText(text, { fin: true }), parse(cut(bytesOf(text), 3), { fin: true }));
      }),
      { numRuns: 2_000 },
    );
  });

  test('random bytes are refused at once, or wait for more', () => {
    const noise = fc.uint8Array({ maxLength: 2_000 });
    const start = fc.constantFrom('', 'HTTP/1.1 200 OK\r\n', CHUNKED, `${CHUNKED}5\r\n`, `${CHUNKED}0\r\n`);
    fc.assert(
      fc.property(start, noise, (text, bytes) => {
        const parsed = parse([bytesOf(text), bytes], { fin: true });
        expect(parsed.late).toBe(0);
      }),
      { numRuns: 3_000 },
    );
  });

  test('a parser that was reset reads the next response as a new one does', () => {
    fc.assert(
      fc.property(response, response, (first, second) => {
        if (first.made.framing === 'close') return;
        const chunks: Uint8Array[] = [];
        let ends = 0;
        const parser = new ResponseParser({
          onHead() {},
          onData: (bytes) => void chunks.push(bytes),
          onEnd: () => void ends++,
        });
        parser.push(first.wire);
        expect(parser.started).toBe(true);
        chunks.length = 0;
        parser.reset();
        expect(parser.started).toBe(false);
        parser.push(second.wire);
        parser.finish();
        expect(ends).toBe(2);
        expect(Buffer.concat(chunks).equals(second.body)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('started', () => {
  test.each([
    ['nothing', '', false],
    ['a byte', 'H', true],
    ['an interim answer, whole', 'HTTP/1.1 100 Continue\r\n\r\n', true],
    ['a head', 'HTTP/1.1 200 OK\r\n\r\n', true],
  ])('after %s', (_name, text, expected) => {
    const parser = new ResponseParser({ onHead() {}, onData() {}, onEnd() {} });
    parser.push(bytesOf(text));
    expect(parser.started).toBe(expected);
  });
});

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
/** Names that mean something to the parser. */
const FRAMING = /^(content-length|transfer-encoding|connection)$/i;

function lowerName(line: string): [string, string] {
  const [name = '', value = ''] = line.trim().split(': ');
  return [name.toLowerCase(), value];
}

/** The two refused with any reason, or equal. */
function expectSame(one: Parsed, other: Parsed): void {
  expect(one.late + other.late).toBe(0);
  expect(other.outcome).toBe(one.outcome);
  expect(other.heads).toEqual(one.heads);
  expect(other.body.equals(one.body)).toBe(true);
}

function* cut(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function* cutAt(bytes: Uint8Array, cuts: readonly number[]): Generator<Uint8Array> {
  let from = 0;
  for (const at of cuts.map((each) => each % (bytes.length + 1)).sort((a, b) => a - b)) {
    yield bytes.subarray(from, at);
    from = at;
  }
  yield bytes.subarray(from);
}
