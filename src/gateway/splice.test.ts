/** The two changes FLM makes to a body: it parses to the original with exactly these, and no other character moves. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { isRecord } from '../lib/json';
import { scanBody, type Units } from './scan';
import { type Splice, spliceBody } from './splice';

/** The body as it would leave, read as text again. */
function splice(text: string, units: Units, change: Splice): string {
  const given = units === 'latin1' ? Buffer.from(text, 'utf8').toString('latin1') : text;
  const out = spliceBody(given, scanBody(given, units), units, change);
  return units === 'latin1' ? Buffer.from(out, 'latin1').toString('utf8') : out;
}

const USAGE = { include_usage: true };

describe('spliceBody', () => {
  test.each([
    // [body, changed]
    ['{"model":"a"}', '{"stream_options":{"include_usage":true},"model":"b"}'],
    [' { "model" : "a" } ', ' {"stream_options":{"include_usage":true}, "model" : "b" } '],
    ['{"stream_options":null,"model":"a"}', '{"stream_options":{"include_usage":true},"model":"b"}'],
    ['{"stream_options":{},"model":"a"}', '{"stream_options":{"include_usage":true},"model":"b"}'],
    ['{"stream_options": { } ,"model":"a"}', '{"stream_options": {"include_usage":true } ,"model":"b"}'],
    [
      '{"model":"a","stream_options":{"x": 1e400, "y":-0}}',
      '{"model":"b","stream_options":{"include_usage":true,"x": 1e400, "y":-0}}',
    ],
    [
      '{"model":"a","stream_options":{"include_usage":false}}',
      '{"model":"b","stream_options":{"include_usage":true}}',
    ],
    // vLLM: it does nothing without include_usage, and would come to life with it.
    [
      '{"model":"a","stream_options":{"continuous_usage_stats":true}}',
      '{"model":"b","stream_options":{"include_usage":true}}',
    ],
    ['{"mod\\u0065l":"\\u0061"}', '{"stream_options":{"include_usage":true},"mod\\u0065l":"b"}'],
    ['{"x":"é€🔑","model":"ä"}', '{"stream_options":{"include_usage":true},"x":"é€🔑","model":"b"}'],
  ])('%s', (body, changed) => {
    for (const units of ['utf16', 'latin1'] as const)
      expect(splice(body, units, { model: 'b', askUsage: true })).toBe(changed);
  });

  test('changes nothing when nothing is asked for', () => {
    const body = '{"model":"a","stream_options":{"include_usage":false}}';
    expect(splice(body, 'utf16', { model: null, askUsage: false })).toBe(body);
  });

  test('writes a name that needs escapes so that it reads back', () => {
    for (const units of ['utf16', 'latin1'] as const) {
      const out = splice('{"model":"a","x":"ü"}', units, { model: 'quote" \\ 鍵\n🔑', askUsage: false });
      expect(JSON.parse(out)).toEqual({ model: 'quote" \\ 鍵\n🔑', x: 'ü' });
    }
  });

  const options = fc.oneof(
    fc.constant(undefined),
    fc.constant(null),
    fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
    fc.record({ include_usage: fc.constantFrom(false, null), other: fc.jsonValue() }),
    fc.record({ continuous_usage_stats: fc.boolean(), other: fc.jsonValue() }),
  );
  const body = fc
    .record({
      before: fc.dictionary(
        fc.string().filter((key) => !/^(?:model|stream|stream_options)$/iu.test(key)),
        fc.jsonValue(),
        { maxKeys: 3 },
      ),
      model: fc.string({ unit: 'grapheme' }),
      stream_options: options,
      first: fc.boolean(),
      indent: fc.constantFrom(0, 2),
    })
    .map(({ before, model, stream_options, first, indent }) => {
      const controls = { model, ...(stream_options === undefined ? {} : { stream_options }) };
      return JSON.stringify(first ? { ...controls, ...before } : { ...before, ...controls }, null, indent);
    });

  test.each<Units>(['utf16', 'latin1'])(
    'parses to the original plus exactly the change, read as %s',
    (units) => {
      fc.assert(
        fc.property(
          body,
          fc.option(fc.string({ unit: 'grapheme' })),
          fc.boolean(),
          (text, model, askUsage) => {
            const original = JSON.parse(text);
            const out = splice(text, units, { model, askUsage });
            const wanted = { ...original, ...(model === null ? {} : { model }) };
            if (askUsage) {
              const { continuous_usage_stats: _, ...kept } = isRecord(original.stream_options)
                ? original.stream_options
                : {};
              wanted.stream_options = { ...kept, ...USAGE };
            }
            expect(JSON.parse(out)).toEqual(wanted);
            if (model === null && !askUsage) expect(out).toBe(text);
          },
        ),
        { numRuns: 2_000 },
      );
    },
  );

  test.each<Units>(['utf16', 'latin1'])('moves no other character, read as %s', (units) => {
    fc.assert(
      fc.property(body, (text) => {
        const { modelSpan, streamOptionsSpan, bodyStart } = scanBody(text, 'utf16');
        const out = splice(text, units, { model: 'b', askUsage: true });
        const edits = [modelSpan, streamOptionsSpan ?? { start: bodyStart, end: bodyStart }].sort(
          (a, b) => a.start - b.start,
        );
        const [first, second] = edits;
        if (first === undefined || second === undefined) throw new Error('unreachable');
        expect(out).toStartWith(text.slice(0, first.start));
        expect(out).toContain(text.slice(first.end, second.start));
        expect(out).toEndWith(text.slice(second.end));
      }),
    );
  });
});
