/**
 * The scanner against JSON.parse. What JSON.parse takes, it takes, with the same model, stream and stream_options and
 * the exact places they stand at; what it refuses, JSON.parse refuses, but for what it must refuse itself.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FlmError } from '../lib/errors';
import { isRecord } from '../lib/json';
import { findModels, type Scan, type Span, scanBody, type Units } from './scan';

/* Random JSON, written in every way that the grammar allows. */

const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 });
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** One code unit of a string as JSON: as it is, by its short escape, or by its number in either case. */
function written(unit: string, how: number): string {
  const code = unit.charCodeAt(0);
  const hex = code.toString(16).padStart(4, '0');
  if (how === 1) return `\\u${hex}`;
  if (how === 2) return `\\u${hex.toUpperCase()}`;
  const short = SHORT[unit];
  if (short !== undefined && (how === 3 || unit === '"' || unit === '\\' || code < 32)) return short;
  return code < 32 ? `\\u${hex}` : unit;
}

const how = fc.array(fc.nat(4), { minLength: 1, maxLength: 7 });

function quote(text: string, ways: readonly number[]): string {
  const units = text.split('').map((unit, index) => written(unit, ways[index % ways.length] ?? 0));
  return `"${units.join('')}"`;
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom('\\', '"', '{', '}', ',', ':', 'a', 'é', '€', '🔑', '\u2028', '\0'),
    maxLength: 12,
  }),
  // Halves of characters: JSON.parse takes them.
  fc.string({ unit: fc.constantFrom('\ud83d', '\udd11', 'a'), maxLength: 6 }),
  fc.constantFrom('model', 'stream', 'Model', 'models', 'stream_options_', '"model":"x"'),
);
const string = fc.tuple(anyText, how).map(([text, ways]) => quote(text, ways));
const number = fc.oneof(
  fc.integer().map(String),
  fc.constantFrom('0', '-0', '1e5', '1E+5', '-1.50e-7', '0.0', '123456789012345678901234567890', '1e400'),
);
const scalar = fc.oneof(string, number, fc.constantFrom('true', 'false', 'null'));

const { value } = fc.letrec<{ value: string; list: string; object: string }>((tie) => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('list'), tie('object')),
  list: fc
    .array(fc.tuple(space, tie('value'), space), { maxLength: 4 })
    .map((items) => `[${items.map((item) => item.join('')).join(',')}]`),
  object: fc
    .array(fc.tuple(space, string, space, space, tie('value'), space), { maxLength: 4 })
    .map(
      (members) =>
        `{${members.map(([a, key, b, c, item, d]) => `${a + key + b}:${c + item + d}`).join(',')}}`,
    ),
}));

const streamOptions = fc.oneof(
  value,
  fc
    .tuple(
      fc.array(fc.tuple(string, value), { maxLength: 2 }),
      fc.constantFrom('true', 'false', 'null', '1', '"yes"'),
    )
    .map(
      ([more, asked]) =>
        `{${[...more.map((member) => member.join(':')), `"include_usage":${asked}`].join(',')}}`,
    ),
);

interface Body {
  readonly text: string;
  /** Where the values of the control keys stand, as they were written. */
  readonly spans: Readonly<Record<string, Span>>;
}

/** A member of the body: its key as text, how that is written, and its value as JSON. */
interface Member {
  readonly key: string;
  readonly ways: readonly number[];
  readonly json: string;
  readonly spaces: readonly [string, string, string, string];
}

function member(key: fc.Arbitrary<string>, json: fc.Arbitrary<string>): fc.Arbitrary<Member> {
  return fc.record({ key, ways: how, json, spaces: fc.tuple(space, space, space, space) });
}

function bodyOf(members: readonly Member[], before: string, after: string): Body {
  let text = `${before}{`;
  const spans: Record<string, Span> = {};
  members.forEach(({ key, ways, json, spaces: [a, b, c, d] }, index) => {
    text += `${index === 0 ? '' : ','}${a}${quote(key, ways)}${b}:${c}`;
    spans[key] = { start: text.length, end: text.length + json.length };
    text += json + d;
  });
  return { text: `${text}}${after}`, spans };
}

const otherKey = anyText.filter((key) => !/^(?:model|stream|stream_options)$/iu.test(key));

/** A body with a model, often with the other control keys, in any order among other members. */
const body: fc.Arbitrary<Body> = fc
  .tuple(
    fc.array(member(otherKey, value), { maxLength: 4 }),
    member(fc.constant('model'), string),
    fc.option(
      member(fc.constant('stream'), fc.oneof(fc.constantFrom('true', 'false', 'null', '1', '"true"'), value)),
    ),
    fc.option(member(fc.constant('stream_options'), streamOptions)),
    fc.array(fc.nat(100), { minLength: 7, maxLength: 7 }),
    space,
    space,
  )
  .map(([others, model, stream, options, order, before, after]) => {
    const members = [...others, model, stream, options].filter((each) => each !== null);
    const sorted = members.map((each, index) => [order[index] ?? 0, each] as const).sort(([a], [b]) => a - b);
    return bodyOf(
      sorted.map(([, each]) => each),
      before,
      after,
    );
  });

/* What is to be expected. */

function scan(text: string, units: Units = 'utf16'): Scan | FlmError {
  try {
    return scanBody(text, units);
  } catch (error) {
    if (error instanceof FlmError) return error;
    throw error;
  }
}

const codeOf = (result: Scan | FlmError) => (result instanceof FlmError ? result.code : 'accepted');

/** The text as a body that came in bytes. */
const asLatin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
const fromLatin1 = (text: string) => Buffer.from(text, 'latin1').toString('utf8');

function parsed(text: string): { readonly json: unknown } | null {
  try {
    return { json: JSON.parse(text) };
  } catch {
    return null;
  }
}

/** Why valid JSON is refused all the same; null: it is not. */
function refusalOf(json: unknown): string | null {
  const { model, stream, stream_options: options } = isRecord(json) ? json : {};
  if (typeof model !== 'string' || !model.isWellFormed()) return 'INVALID_MODEL';
  const flags = [stream, isRecord(options) ? options.include_usage : null];
  const isOdd = flags.some((flag) => !(flag === undefined || flag === null || typeof flag === 'boolean'));
  return isOdd ? 'INVALID_REQUEST' : null;
}

/** Whether a stream without the client's wish for usage was asked for: absent, null or false, and nothing stranger. */
function omitsUsage(options: unknown): boolean {
  if (options === undefined || options === null) return true;
  return isRecord(options) && [undefined, null, false].includes(options.include_usage as null);
}

/** What the scanner must say of a body that JSON.parse reads as `json`. */
function expectAgreement(result: Scan | FlmError, json: unknown, text: string, units: Units): void {
  if (result instanceof FlmError) throw result;
  const record = isRecord(json) ? json : {};
  const read = ({ start, end }: Span): unknown => {
    const slice = text.slice(start, end);
    return JSON.parse(units === 'latin1' ? fromLatin1(slice) : slice);
  };
  expect(result.model).toBe(record.model as string);
  expect(read(result.modelSpan)).toBe(record.model);
  expect(result.stream).toBe(record.stream === true);
  expect(result.omitsUsage).toBe(omitsUsage(record.stream_options));
  expect(result.streamOptionsSpan === null).toBe(!Object.hasOwn(record, 'stream_options'));
  if (result.streamOptionsSpan !== null)
    expect(read(result.streamOptionsSpan)).toEqual(record.stream_options);
  expect(text.slice(0, result.bodyStart).trim()).toBe('{');
}

/** Keys of the outermost object of valid JSON, one by one, doubles included. */
function outerKeys(text: string): string[] {
  const tokens = text.match(/"(?:[^"\\]|\\[\s\S])*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let depth = 0;
  return tokens.flatMap((token, index) => {
    if (token === '{' || token === '[') depth++;
    if (token === '}' || token === ']') depth--;
    return depth === 1 && tokens[index + 1] === ':' ? [JSON.parse(token) as string] : [];
  });
}

/** Whether a control key comes twice, or in a case that Go's decoder takes for the same. */
function isAmbiguous(text: string): boolean {
  const controls = outerKeys(text).filter((key) => /^(?:model|stream|stream_options)$/iu.test(key));
  return (
    new Set(controls.map((key) => key.toLowerCase())).size < controls.length ||
    controls.some((key) => !/^[a-z_]+$/.test(key))
  );
}

/** The text with a harmless string in place of each: inside strings the scanner looks only for their end. */
const withoutStrings = (text: string) => text.replace(/"(?:[^"\\]|\\[\s\S])*"/g, '"x"');

describe('a body that JSON.parse takes', () => {
  test('gives the same model, stream and stream_options, and exactly where they stand', () => {
    fc.assert(
      fc.property(body, ({ text, spans }) => {
        const result = scan(text);
        const refusal = refusalOf(JSON.parse(text));
        if (refusal !== null) return expect(codeOf(result)).toBe(refusal as ReturnType<typeof codeOf>);
        expectAgreement(result, JSON.parse(text), text, 'utf16');
        if (result instanceof FlmError) throw result;
        expect([result.modelSpan, result.streamOptionsSpan]).toEqual([
          spans.model as Span,
          spans.stream_options ?? null,
        ]);
      }),
      { numRuns: 3_000 },
    );
  });

  test('gives the same when it is read as bytes', () => {
    fc.assert(
      fc.property(body, ({ text, spans }) => {
        const bytes = asLatin1(text);
        const result = scan(bytes, 'latin1');
        const refusal = refusalOf(JSON.parse(fromLatin1(bytes)));
        if (refusal !== null) return expect(codeOf(result)).toBe(refusal as ReturnType<typeof codeOf>);
        expectAgreement(result, JSON.parse(fromLatin1(bytes)), bytes, 'latin1');
        if (result instanceof FlmError) throw result;
        const { start, end } = spans.model as Span;
        expect(result.modelSpan).toEqual({
          start: asLatin1(text.slice(0, start)).length,
          end: asLatin1(text.slice(0, end)).length,
        });
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('a body with mistakes in it', () => {
  const piece = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '-',
      '.',
      '0',
      '1',
      'e',
      '+',
      't',
      'n',
      ' ',
      '\n',
      '\0',
      '\u00a0',
    ],
    ...[
      '"model"',
      '"model":',
      '"m"',
      '\\u',
      '\\ud8',
      'null',
      'true',
      '\ufeff',
      '//',
      'NaN',
      "'",
      '01',
      '1.',
      '"Model":1,',
      '"model":"x",',
    ],
  );
  const mutation = fc.record({ at: fc.nat(), kind: fc.nat(5), piece, length: fc.nat(6) });

  function mutate(
    text: string,
    changes: readonly { at: number; kind: number; piece: string; length: number }[],
  ): string {
    return changes.reduce((out, { at, kind, piece: put, length }) => {
      const place = at % (out.length + 1);
      const [head, tail] = [out.slice(0, place), out.slice(place)];
      if (kind === 0) return head + tail.slice(length);
      if (kind === 1) return head + put + tail;
      if (kind === 2) return head + put + tail.slice(1);
      if (kind === 3) return head + tail.slice(0, length) + tail;
      if (kind === 4) return out.replace('{', `{${put}`);
      return head;
    }, text);
  }

  test.each<Units>(['utf16', 'latin1'])('is judged as JSON.parse judges it, read as %s', (units) => {
    const seen = { accepted: 0, refused: 0, INVALID_JSON: 0, INVALID_MODEL: 0, DUPLICATE_KEY: 0 };
    fc.assert(
      fc.property(body, fc.array(mutation, { minLength: 1, maxLength: 3 }), ({ text }, changes) => {
        const broken = mutate(text, changes);
        // Half a character cannot come in bytes; it would be U+FFFD by now.
        const given = units === 'latin1' ? asLatin1(broken) : broken;
        const meant = units === 'latin1' ? fromLatin1(given) : broken;
        const result = scan(given, units);
        const code = codeOf(result);
        const reference = parsed(meant);
        seen[reference === null ? 'refused' : 'accepted']++;
        if (code in seen) seen[code as keyof typeof seen]++;

        if (reference === null) {
          // Refused for what is inside a string, which is the engine's to judge; or refused by both.
          if (code === 'accepted' || code === 'INVALID_MODEL')
            expect(parsed(withoutStrings(meant))).not.toBeNull();
          return;
        }
        const { json } = reference;
        if (!isRecord(json)) expect(code).toBe('INVALID_JSON');
        else if (isAmbiguous(meant)) expect(code).toBe('DUPLICATE_KEY');
        else if (refusalOf(json) !== null) expect<string | null>(code).toBe(refusalOf(json));
        else expectAgreement(result, json, given, units);
      }),
      { numRuns: 8_000 },
    );
    // A property that never met a case says nothing about it.
    for (const [kind, count] of Object.entries(seen)) expect([kind, count > 20]).toEqual([kind, true]);
  });
});

describe('what it reads of a body', () => {
  test.each<[string, boolean, boolean]>([
    ['', false, true],
    ['"stream":true', true, true],
    ['"stream":false', false, true],
    ['"stream":null', false, true],
    ['"stream":true,"stream_options":null', true, true],
    ['"stream":true,"stream_options":{}', true, true],
    ['"stream":true,"stream_options":{"include_usage":false}', true, true],
    ['"stream":true,"stream_options":{"include_usage":null}', true, true],
    ['"stream":true,"stream_options":{"include_usage":true}', true, false],
    // No options: the engine says what it makes of it.
    ['"stream":true,"stream_options":[]', true, false],
    ['"stream":true,"stream_options":"x"', true, false],
  ])('with %s', (more, stream, omits) => {
    const result = scanBody(`{"model":"m"${more === '' ? '' : `,${more}`}}`, 'utf16');
    expect([result.stream, result.omitsUsage]).toEqual([stream, omits]);
  });

  test('a control key below the outermost object means nothing', () => {
    const text = '{"a":{"model":"x","stream":true},"b":[{"model":1}],"model":"m","c":{"stream_options":1}}';
    expect(scanBody(text, 'utf16')).toMatchObject({ model: 'm', stream: false, streamOptionsSpan: null });
  });
});

describe('refuses', () => {
  test.each([
    // vLLM takes each of them for true or false, others refuse it or take it for false.
    ...['1', '0', '"true"', '"false"', '"yes"', '1.0', '[]', '{}'].flatMap(
      (odd) =>
        [
          [`{"model":"a","stream":${odd}}`, 'INVALID_REQUEST'],
          [`{"model":"a","stream_options":{"include_usage":${odd}}}`, 'INVALID_REQUEST'],
        ] as const,
    ),
    ['{"model":"a","stream_options":{"include_usage":true,"Include_Usage":false}}', 'DUPLICATE_KEY'],
    ['{"model":"a","stream_options":{"\\u0049nclude_usage":false}}', 'DUPLICATE_KEY'],
    ['{"model":"a","model":"a"}', 'DUPLICATE_KEY'],
    ['{"model":"a","mod\\u0065l":"b"}', 'DUPLICATE_KEY'],
    ['{"model":"a","Model":"b"}', 'DUPLICATE_KEY'],
    ['{"MODEL":"a"}', 'DUPLICATE_KEY'],
    ['{"model":"a","stream":true,"\\u0073tream":false}', 'DUPLICATE_KEY'],
    ['{"model":"a","\u017ftream":true}', 'DUPLICATE_KEY'],
    ['{"model":"a","stream_options":{},"Stream_Options":{}}', 'DUPLICATE_KEY'],
    ['{"\\u006d\\u006f\\u0064\\u0065\\u006c":"a"}', 'accepted'],
    ['{"model ":"b","model":"a"}', 'accepted'],
    ['{"model":"a","models":"b"}', 'accepted'],
    ['{"model":5}', 'INVALID_MODEL'],
    ['{"model":null}', 'INVALID_MODEL'],
    ['{"model":"\\ud83d"}', 'INVALID_MODEL'],
    ['{"model":"a\\udd11\\ud83d"}', 'INVALID_MODEL'],
    ['{"model":"\\ud83d\\udd11"}', 'accepted'],
    ['{"model":["a"]}', 'INVALID_MODEL'],
    ['{}', 'INVALID_MODEL'],
    ['[]', 'INVALID_JSON'],
    ['"model"', 'INVALID_JSON'],
    ['', 'INVALID_JSON'],
    ['null', 'INVALID_JSON'],
    ['{"model":"a"}{"model":"b"}', 'INVALID_JSON'],
    ['{"model":"a"} x', 'INVALID_JSON'],
    ['{"model":"a",}', 'INVALID_JSON'],
    ['{"model":"a" "b":1}', 'INVALID_JSON'],
    ['{"model":"a"', 'INVALID_JSON'],
    ['{"model":"a}', 'INVALID_JSON'],
    ['{"model":"a\\"}', 'INVALID_JSON'],
    ['{"model":"\\x"}', 'INVALID_JSON'],
    ['{"model":"\n"}', 'INVALID_JSON'],
    ['{model:"a"}', 'INVALID_JSON'],
    ["{'model':'a'}", 'INVALID_JSON'],
    ['\ufeff{"model":"a"}', 'INVALID_JSON'],
    ['{"model":"a","n":01}', 'INVALID_JSON'],
    ['{"model":"a","n":1.}', 'INVALID_JSON'],
    ['{"model":"a","n":.5}', 'INVALID_JSON'],
    ['{"model":"a","n":+1}', 'INVALID_JSON'],
    ['{"model":"a","n":NaN}', 'INVALID_JSON'],
    ['{"model":"a","n":truex}', 'INVALID_JSON'],
    ['{"model":"a","n":[1,]}', 'INVALID_JSON'],
    ['{"model":"a","n":[}', 'INVALID_JSON'],
    ['{"model":"a","n":{"b"}}', 'INVALID_JSON'],
    ['{"model":"a","n":}', 'INVALID_JSON'],
    ['{"model":"a"/* no */}', 'INVALID_JSON'],
  ])('%p: %s', (text, code) => {
    expect(codeOf(scan(text))).toBe(code as ReturnType<typeof codeOf>);
    expect(codeOf(scan(asLatin1(text), 'latin1'))).toBe(code as ReturnType<typeof codeOf>);
  });

  test('every spelling of a control key that Go’s decoder takes for the same, in any character', () => {
    for (const key of ['model', 'stream', 'stream_options']) {
      const same = new RegExp(`^${key}$`, 'iu');
      for (let place = 0; place < key.length; place++) {
        for (let code = 0; code < 0x1_0000; code++) {
          if (code >= 0xd800 && code < 0xe000) continue;
          const name = key.slice(0, place) + String.fromCharCode(code) + key.slice(place + 1);
          if (name === key || !same.test(name)) continue;
          const text = `{"model":"m",${JSON.stringify(name)}:1}`;
          expect([name, codeOf(scan(text)), codeOf(scan(asLatin1(text), 'latin1'))]).toEqual([
            name,
            'DUPLICATE_KEY',
            'DUPLICATE_KEY',
          ]);
        }
      }
    }
  });

  test('nesting beyond what a stack could take, and takes 500 levels', () => {
    const nested = (depth: number) => `{"model":"m","x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    expect(codeOf(scan(nested(500)))).toBe('accepted');
    expect([codeOf(scan(nested(512))), codeOf(scan(nested(5_000_000)))]).toEqual([
      'INVALID_JSON',
      'INVALID_JSON',
    ]);
    expect(codeOf(scan(`{"model":"m","x":${'{"a":'.repeat(5_000_000)}`))).toBe('INVALID_JSON');
  });

  test('without repeating anything of the body', () => {
    for (const text of [
      '{"model":"m","prompt":"my secret" x}',
      '{"model":"my secret\\x"}',
      '{"model":{"my secret":1}}',
    ]) {
      const result = scan(text);
      if (!(result instanceof FlmError)) throw new Error('it was taken');
      expect(result.message + result.hint + JSON.stringify(result.meta)).not.toContain('secret');
    }
  });
});

describe('the time it takes', () => {
  const MILLION = 1_000_000;
  test.each<[string, () => string]>([
    ['ten million backslashes', () => `{"x":"${'\\'.repeat(10 * MILLION)}","model":"m"}`],
    ['an odd number of them, and no end', () => `{"x":"${'\\'.repeat(10 * MILLION + 1)}"`],
    ['a million quotes', () => `{"x":"${'\\"'.repeat(MILLION)}","model":"m"}`],
    [
      'a million quotes behind two million backslashes each way',
      () => `{"x":"${'\\\\\\"'.repeat(MILLION)}","model":"m"}`,
    ],
    ['a million strings', () => `{"x":[${'"",'.repeat(MILLION)}""],"model":"m"}`],
    ['a million keys that look like control keys', () => `{${'"modeX":1,'.repeat(MILLION)}"model":"m"}`],
    ['a million keys with escapes', () => `{${'"mod\\u0065X":1,'.repeat(MILLION)}"model":"m"}`],
    ['a million lists', () => `{"x":[${'[],'.repeat(MILLION)}[]],"model":"m"}`],
    ['ten million digits', () => `{"x":${'1'.repeat(10 * MILLION)},"model":"m"}`],
    ['ten million spaces', () => `{${' '.repeat(10 * MILLION)}"model":"m"}`],
    ['thirty megabytes of prompt', () => `{"x":"${'word '.repeat(6 * MILLION)}","model":"m"}`],
  ])('is in proportion to the body: %s', (_, make) => {
    const text = make();
    const startedMs = performance.now();
    const code = codeOf(scan(text));
    // Quadratic would be hours. Ten million characters take about a tenth of a second.
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect(code).toBe(text.endsWith('}') ? 'accepted' : 'INVALID_JSON');
  });
});

describe('findModels', () => {
  const namesIn = (text: string, envelope: string | null): string[] =>
    findModels(text, envelope).map(({ start, end }) => text.slice(start, end));

  test('finds the model of an answer at its top level, and nothing in what is no object', () => {
    expect(namesIn('{"choices":[{"model":"no"}], "model" : "yes" ,"x":1}', null)).toEqual(['"yes"']);
    for (const text of ['[DONE]', '', '{"model":', '[{"model":"x"}]', '{"id":1}']) {
      expect(namesIn(text, null)).toEqual([]);
      expect(namesIn(text, 'response')).toEqual([]);
    }
  });

  test('finds it in the envelope too, from front to back, and in no other member', () => {
    const text =
      '{"response":{"a":{"model":"no"},"model":"in"},"message":{"model":"no"},"model":"out","x":["model"]}';
    expect(namesIn(text, 'response')).toEqual(['"in"', '"out"']);
    expect(namesIn(text, null)).toEqual(['"out"']);
    expect(namesIn('{"model":"out","response":{"model":"in"}}', 'response')).toEqual(['"out"', '"in"']);
    for (const inner of ['null', '"text"', '[{"model":"no"}]', '{}']) {
      expect(namesIn(`{"response":${inner}}`, 'response')).toEqual([]);
    }
  });
});
