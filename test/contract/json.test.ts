/**
 * A body that FLM takes means the same to every engine, or is refused by it: FLM's reading held against what the engines'
 * own parsers made of the very bytes that FLM sends (recorded; json/record.ts), as they came and with FLM's own changes.
 */
import { describe, expect, test } from 'bun:test';
import { isRecord } from '../../src/lib/json';
import verdicts from '../golden/json/verdicts.json' with { type: 'json' };
import { BODIES } from './json/bodies';
import { type Meaning, nameOf, readAsFlm } from './json/read';

const PARSERS = ['go', 'python', 'pydantic', 'orjson', 'llamacpp', 'javascript'] as const;

function verdictsOn(bytes: Buffer): Readonly<Record<string, Meaning | null>> {
  const known = (verdicts as Readonly<Record<string, Readonly<Record<string, Meaning | null>>>>)[
    nameOf(bytes)
  ];
  if (known === undefined)
    throw new Error('nobody was asked about these bytes: run test/contract/json/record.ts');
  return { ...known, javascript: javascript(bytes) };
}

function javascript(bytes: Buffer): Meaning | null {
  try {
    const json: unknown = JSON.parse(bytes.toString());
    if (!isRecord(json) || typeof json.model !== 'string') return null;
    const usage = isRecord(json.stream_options) && json.stream_options.include_usage === true;
    return { model: json.model, stream: json.stream === true, usage };
  } catch {
    return null;
  }
}

describe.each(['length', 'chunks'] as const)('framed by %s', (framing) => {
  test.each(BODIES)('%s', async (_, body) => {
    for (const { bytes, meaning } of (await readAsFlm(body, framing)) ?? []) {
      for (const [parser, verdict] of Object.entries(verdictsOn(bytes))) {
        if (verdict === null) continue;
        // Without a stream nobody counts for its end.
        const usage = meaning.stream ? verdict.usage : meaning.usage;
        const read = { ...verdict, model: verdict.model ?? meaning.model, usage };
        expect({ parser, ...read }).toEqual({ parser, ...meaning });
      }
    }
  });
});

test('both framings are read the same', async () => {
  for (const [name, body] of BODIES) {
    const [length, chunks] = await Promise.all([readAsFlm(body, 'length'), readAsFlm(body, 'chunks')]);
    // The one exception of body.ts: the runtime makes U+FFFD of a character that lacks its last byte.
    if (name.startsWith('three of four bytes')) expect(chunks).toBeNull();
    else expect({ name, read: length }).toEqual({ name, read: chunks });
  }
});

test('bodies that FLM takes and bodies that it refuses are among them, and each parser takes most of the first', async () => {
  const read = await Promise.all(BODIES.map(([, body]) => readAsFlm(body, 'length')));
  const taken = read.flatMap((sent) => sent ?? []);
  expect(read.filter((sent) => sent === null).length).toBeGreaterThan(80);
  expect(taken.length).toBeGreaterThan(150);
  for (const parser of PARSERS) {
    const accepted = taken.filter(({ bytes }) => verdictsOn(bytes)[parser] !== null).length;
    expect({ parser, isMost: accepted > taken.length * 0.6 }).toEqual({ parser, isMost: true });
  }
});
