/** One catalogue of all engines: plain names mean the best copy, addresses mean one, and silent engines have nothing. */
import { describe, expect, test } from 'bun:test';
import type { EngineKind, EngineState } from '../contract';
import { createCatalogue, openAiEntry, viewOf } from './catalogue';

function engine(
  id: string,
  kind: EngineKind,
  models: readonly string[],
  more: Partial<EngineState> = {},
): EngineState {
  return {
    ref: { id, kind, baseUrl: `http://127.0.0.1/${id}`, origin: 'manual' },
    status: 'running-healthy',
    reason: null,
    version: null,
    latencyMs: 10,
    slots: null,
    consecutiveFailures: 0,
    routes: [],
    models: models.map((name) => ({
      id: name,
      otherNames: [],
      family: null,
      parameters: null,
      quantization: null,
      sizeBytes: null,
      ownedBy: 'owner',
      createdSeconds: 5,
      contextLength: 2_048,
      loaded: true,
      capabilities: ['chat'],
    })),
    ...more,
  };
}

describe('a plain name', () => {
  test('means the copy of the engine that answers fastest, then the others', () => {
    const catalogue = createCatalogue([
      engine('slow', 'openai', ['m'], { latencyMs: 50 }),
      engine('fast', 'llamacpp', ['other', 'm'], { latencyMs: 1 }),
      engine('down', 'openai', ['m'], { status: 'error-network', latencyMs: 0 }),
      engine('locked', 'openai', ['m'], { status: 'needs-key', latencyMs: 0 }),
    ]);
    expect(catalogue.byName('m').map((entry) => entry.engine.id)).toEqual(['fast', 'slow']);
    expect(catalogue.byName('none')).toEqual([]);
  });

  test.each(['constructor', '__proto__', 'toString', ''])('that every object has is no model: %p', (name) => {
    expect(createCatalogue([engine('e', 'openai', ['m'])]).byName(name)).toEqual([]);
  });
});

describe('an address', () => {
  const catalogue = createCatalogue([
    engine('llamacpp-default', 'llamacpp', ['a', 'org/b:7b']),
    engine('one', 'openai', ['a']),
    engine('two', 'openai', ['c']),
  ]);

  test.each([
    ['one', 'a', 'one'],
    ['llamacpp-default', 'org/b:7b', 'llamacpp-default'],
    ['llamacpp', 'a', 'llamacpp-default'], // the only one of its kind
    ['openai', 'a', null], // there are two
    ['two', 'a', null],
    ['three', 'a', null],
  ])('%s / %s', (name, model, id) => {
    expect(catalogue.byAddress(name, model)?.engine.id ?? null).toBe(id);
  });

  test('with the id of one engine that is the kind of another means the id', () => {
    const both = createCatalogue([engine('openai', 'llamacpp', ['a']), engine('x', 'openai', ['a'])]);
    expect(both.byAddress('openai', 'a')?.engine.id).toBe('openai');
  });

  test('knows which engines run, by id or by a kind that means one', () => {
    expect(['one', 'llamacpp', 'openai', 'three'].map(catalogue.hasEngine)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    const down = createCatalogue([engine('one', 'openai', ['a'], { status: 'error-api' })]);
    expect([down.hasEngine('one'), down.hasEngine('openai'), down.entries]).toEqual([false, false, []]);
  });
});

describe('an entry', () => {
  const [entry] = createCatalogue([engine('e', 'llamacpp', ['org/m'])]).entries;
  if (entry === undefined) throw new Error('unreachable');

  test('is shown to the owner with its address', () => {
    expect(viewOf(entry)).toEqual({
      id: 'org/m',
      uri: 'flm://e/org/m',
      engine: 'e',
      kind: 'llamacpp',
      loaded: true,
      context_length: 2_048,
      capabilities: ['chat'],
    });
  });

  test('is shown to a client as OpenAI does, under the name it asked for', () => {
    expect(openAiEntry('flm://llamacpp/org/m', entry)).toEqual({
      id: 'flm://llamacpp/org/m',
      object: 'model',
      created: 5,
      owned_by: 'owner',
      flm: {
        uri: 'flm://e/org/m',
        engine: 'e',
        kind: 'llamacpp',
        loaded: true,
        context_length: 2_048,
        capabilities: ['chat'],
      },
    });
    // Where an engine is, is the owner's business alone.
    expect(JSON.stringify(openAiEntry('x', entry))).not.toContain('127.0.0.1');
  });
});

test('the catalogue is a snapshot: what it was made of may change', () => {
  const states = [
    engine('b', 'openai', ['m'], { latencyMs: 2 }),
    engine('a', 'openai', ['m'], { latencyMs: 1 }),
  ];
  const catalogue = createCatalogue(states);
  expect(states.map(({ ref }) => ref.id)).toEqual(['b', 'a']);
  states.length = 0;
  expect(catalogue.byName('m')).toHaveLength(2);
});
