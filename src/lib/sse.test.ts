/**
 * Events out of bytes, against a plain reading of the standard (WHATWG HTML §9.2.6): any stream, cut anywhere, in any
 * mixture of line ends, gives the same events, and never half of one.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { countEvents, dataOf, eventOf, eventsIn, PING, SseSplitter, withData } from './sse';

/** The data of every event that is complete, and what is left of an incomplete one: the standard, line by line. */
function readEvents(text: string): { events: string[]; pending: boolean } {
  const events: string[] = [];
  let data: string[] | null = null;
  let touched = false;
  const lines = text.split(/\r\n|\r|\n/);
  // What follows the last line end is no line yet.
  const unfinished = lines.pop() ?? '';
  for (const line of lines) {
    if (line === '') {
      if (data !== null) events.push(data.join('\n'));
      [data, touched] = [null, false];
      continue;
    }
    touched = true;
    const [, field = '', value = ''] = /^([^:]*)(?::[ ]?(.*))?$/s.exec(line) ?? [];
    if (field === 'data') data = [...(data ?? []), value];
  }
  return { events, pending: touched || unfinished !== '' };
}

const eol = fc.constantFrom('\n', '\r\n', '\r');
const line = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => `data: ${text}`) },
  { weight: 2, arbitrary: fc.constant('') },
  fc.constantFrom(
    'data:x',
    'data',
    'data:',
    'data:  two',
    ': ping',
    'event: e',
    'id: 1',
    'retry: 5',
    'dataset: no',
  ),
);
/** A stream in one line end, or with each line in its own. */
const stream = fc
  .tuple(fc.array(fc.tuple(line, eol), { maxLength: 14 }), fc.option(eol), fc.boolean())
  .map(([lines, same, ended]) => {
    const text = lines.map(([content, end]) => content.replace(/[\r\n]/g, '') + (same ?? end)).join('');
    return ended ? text : `${text}data: unfinished`;
  });

/** `bytes` in pieces, cut at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

/** What a splitter hands out, piece by piece, and what it keeps. */
function split(
  pieces: readonly Uint8Array[],
  limit = 1_000_000,
): { regions: Uint8Array[]; rest: Uint8Array } {
  const splitter = new SseSplitter(limit);
  const regions = pieces.map((piece) => splitter.push(piece)).filter((region) => region !== null);
  return { regions, rest: splitter.rest() };
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
const dataIn = (region: Uint8Array) => [...eventsIn(region)].map(dataOf).filter((data) => data !== null);

describe('SseSplitter', () => {
  test('gives the events of the standard, wherever the stream is cut', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 30 }), (text, places) => {
        const { regions, rest } = split(cut(Buffer.from(text), places));
        const { events } = readEvents(text);
        // A line end that may still become CRLF is waited for, with the event it ends.
        const late = readEvents(textOf(rest)).events;
        expect([...regions.flatMap(dataIn), ...late]).toEqual(events);
        if (late.length > 0) expect(textOf(rest)).toEndWith('\n\r');
      }),
      { numRuns: 5_000 },
    );
  });

  test('hands out every byte once, in order, and never half an event', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 30 }), (text, places) => {
        const { regions, rest } = split(cut(Buffer.from(text), places));
        expect(Buffer.concat([...regions, rest]).equals(Buffer.from(text))).toBe(true);
        for (const region of regions) expect(readEvents(textOf(region)).pending).toBe(false);
      }),
      { numRuns: 5_000 },
    );
  });

  test('gives every event as soon as its empty line is there, one byte at a time', () => {
    for (const end of ['\n\n', '\r\n\r\n', '\r\r']) {
      const splitter = new SseSplitter(100);
      const bytes = Buffer.from(`data: é${end}`);
      const given = [...bytes].map((byte) => splitter.push(Buffer.of(byte)));
      expect(given.slice(0, -1).every((region) => region === null)).toBe(true);
      expect(given.at(-1)).toEqual(bytes);
    }
  });

  test('hands whole events on as they came, without a copy', () => {
    const chunk = Buffer.from('data: a\n\ndata: b\n\n');
    expect(new SseSplitter(100).push(chunk)).toBe(chunk);
  });

  test('keeps what follows the last empty line, and shows it as the rest', () => {
    const splitter = new SseSplitter(100);
    expect(textOf(splitter.push(Buffer.from('data: a\n\ndata: b')) ?? Buffer.of())).toBe('data: a\n\n');
    expect(textOf(splitter.rest())).toBe('data: b');
    expect(textOf(splitter.push(Buffer.from('c\n\n')) ?? Buffer.of())).toBe('data: bc\n\n');
    expect(splitter.rest()).toHaveLength(0);
  });

  test('refuses an event beyond its limit and no other, whatever comes together', () => {
    const event = (bytes: number) => `data: ${'x'.repeat(bytes - 8)}\n\n`;
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 8, max: 64 }), { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(), { maxLength: 40 }),
        (sizes, places) => {
          const bytes = Buffer.from(sizes.map(event).join(''));
          expect(Buffer.concat(split(cut(bytes, places), 64).regions).equals(bytes)).toBe(true);
        },
      ),
    );
    for (const size of [66, 70, 1_000]) {
      const single = [...Buffer.from(event(size))].map((byte) => Buffer.of(byte));
      expect(() => split(single, 64)).toThrow(RangeError);
    }
  });

  test('holds no more than the limit of a line that never ends', () => {
    const splitter = new SseSplitter(1_000);
    const chunk = Buffer.alloc(300, 'x');
    for (let i = 0; i < 3; i++) expect(splitter.push(chunk)).toBeNull();
    expect(() => splitter.push(chunk)).toThrow('one event is larger than 1000 bytes');
  });

  test('takes the same time for each byte of one long event that comes in tiny pieces', () => {
    const splitter = new SseSplitter(10_000_000);
    const startedMs = performance.now();
    for (let i = 0; i < 200_000; i++) splitter.push(Buffer.from('xxxxx'));
    expect(splitter.push(Buffer.from('\n\n'))).toHaveLength(1_000_002);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});

describe('eventsIn', () => {
  test('takes whole events apart as the standard does, each with the empty line that ends it', () => {
    fc.assert(
      fc.property(stream, (text) => {
        const events = [...eventsIn(Buffer.from(text))];
        expect(Buffer.concat(events).equals(Buffer.from(text))).toBe(true);
        for (const event of events.slice(0, -1)) {
          expect(readEvents(textOf(event)).pending).toBe(false);
          expect(readEvents(textOf(event)).events.length).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

test('countEvents counts events, and nothing that stands inside one', () => {
  const delta = 'event: x\ndata: {"text":"data: data: \\ndata:"}\n\n';
  expect(countEvents(Buffer.from(`data: {}\n\n${delta}: ping\n\ndata:[DONE]\n\n`))).toBe(3);
  expect(countEvents(Buffer.from(': ping\n\n'))).toBe(0);
});

describe('dataOf', () => {
  test.each([
    ['data: {"a":1}\n\n', '{"a":1}'],
    ['data:{"a":1}\r\n\r\n', '{"a":1}'],
    ['data:  one space is taken off\n\n', ' one space is taken off'],
    ['data: a\ndata: b\n\n', 'a\nb'],
    ['event: e\rid: 5\rdata: a\r\r', 'a'],
    ['data:\n\n', ''],
    ['data\n\n', ''],
    [': ping\n\n', null],
    ['event: done\n\n', null],
    ['\n\n', null],
    ['', null],
    ['database: x\n\n', null],
    [' data: x\n\n', null],
    ['data: €\n\n', '€'],
  ])('%p carries %p', (event, data) => {
    expect(dataOf(Buffer.from(event))).toBe(data);
  });

  test('reads a view into a larger buffer, and no byte beside it', () => {
    const bytes = Buffer.from('data: a\n\ndata: b\n\n');
    expect(dataOf(new Uint8Array(bytes.buffer, bytes.byteOffset + 9, 9))).toBe('b');
  });
});

describe('eventOf', () => {
  test('makes an event that carries exactly this data', () => {
    const data = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\r', ''));
    fc.assert(
      fc.property(data, (text) => {
        expect(readEvents(textOf(eventOf(text)))).toEqual({ events: [text], pending: false });
      }),
    );
  });

  test('PING is an event of its own that carries nothing', () => {
    expect([...eventsIn(PING)]).toHaveLength(1);
    expect(dataOf(PING)).toBeNull();
    expect(readEvents(textOf(PING))).toEqual({ events: [], pending: false });
  });
});

describe('withData', () => {
  test.each([
    ['data: a\n\n', 'data: new\n\n'],
    ['data:a\r\n\r\n', 'data:new\r\n\r\n'],
    ['event: e\rdata: a\rid: 5\r\r', 'event: e\rdata: new\rid: 5\r\r'],
    [
      ': comment\nid: 1\ndata: a\ndata: b\nretry: 5\ndata: c\n\n',
      ': comment\nid: 1\ndata: new\nretry: 5\n\n',
    ],
    ['data: a', 'data: new'],
    ['data\n\n', 'data: new\n\n'],
    [': ping\n\n', ': ping\n\n'],
  ])('changes the data of %p and no other byte', (event, changed) => {
    expect(textOf(withData(Buffer.from(event), 'new'))).toBe(changed);
  });

  test('writes data of several lines as several lines', () => {
    expect(textOf(withData(Buffer.from('id: 1\r\ndata: a\r\n\r\n'), 'b\nc'))).toBe(
      'id: 1\r\ndata: b\r\ndata: c\r\n\r\n',
    );
  });
});
