/** `GET /v1/models`: what whoever asks may use, each once, and nothing of where the engines are. */
import { describe, expect, test } from 'bun:test';
import { engineWith, modelNamed } from '../../test/support/engine-states';
import { mayUse } from '../admission';
import type { Candidate } from '../contract';
import { createCatalogue } from './catalogue';
import { createListing } from './listing';
import type { FoundAlias } from './view';

const { byId, find } = createCatalogue([
  engineWith('one', [
    modelNamed('a', { contextLength: 2_048, loaded: true, capabilities: ['chat', 'tools'], sizeBytes: 77 }),
    'org/b',
  ]),
  engineWith('two', [
    modelNamed('a', { contextLength: 512, loaded: false, capabilities: ['chat'] }),
    modelNamed('c:latest', { otherNames: ['c'], parameters: '3B', quantization: 'Q4_K_M', family: 'llama' }),
  ]),
]);

function alias(name: string, ...models: string[]): FoundAlias {
  const places = models.map((model) => [{ model, weight: 1 }]);
  return {
    alias: { name, places, strategy: null, updatedAtMs: 1_760_000_000_999 },
    targets: models.map((model) => ({ model, entries: find(model) })),
  };
}

/** Lets through what is named, plain or as an address, as keys do. */
const only =
  (...models: string[]) =>
  (candidate: Candidate | null, asked: string) =>
    mayUse({ kind: 'key', id: 'k', label: 'k', scopes: new Set(), models }, candidate, asked, isAlias);
const isAlias = (name: string) => ['fast', 'lost', 'hidden'].includes(name);
const listing = createListing(byId, [alias('fast', 'flm://two/a', 'gone', 'org/b'), alias('lost', 'gone')]);
const shown = (...names: string[]) => listing.list(only(...names)).map(({ id, flm }) => [id, flm.uri]);

describe('somebody who may use everything', () => {
  test('sees every model once under its own name, and the aliases of which something is there', () => {
    expect(listing.list(() => true).map(({ id, flm }) => [id, flm.uri])).toEqual([
      ['fast', null],
      ['a', 'flm://one/a'],
      ['org/b', 'flm://one/org/b'],
      ['c:latest', 'flm://two/c:latest'],
    ]);
  });

  test('gets the same as JSON, made once', () => {
    const text = listing.json(null);
    expect(JSON.parse(text)).toEqual({ object: 'list', data: listing.list(() => true) });
    expect(listing.json(null)).toBe(text);
    expect(text).not.toContain('127.0.0.1');
    expect(text).not.toContain('77');
  });

  test('does not see the model that an alias shadows twice', () => {
    const ids = createListing(byId, [alias('a', 'a', 'org/b')]).list(() => true);
    expect(ids.map(({ id, owned_by }) => `${id} of ${owned_by}`)).toEqual([
      'a of flm',
      'org/b of owner',
      'c:latest of owner',
    ]);
  });
});

describe('somebody with a list', () => {
  test('sees what is on it, and the copy that is', () => {
    expect(shown('flm://two/a')).toEqual([
      ['fast', null],
      ['a', 'flm://two/a'],
    ]);
    expect(shown('flm://one/org/b', 'nothing')).toEqual([
      ['fast', null],
      ['org/b', 'flm://one/org/b'],
    ]);
    expect(shown('flm://two/c:latest')).toEqual([['c:latest', 'flm://two/c:latest']]);
    expect(shown('none')).toEqual([]);
  });

  test('sees a model under the other name that the list has', () => {
    expect(shown('c')).toEqual([['c', 'flm://two/c:latest']]);
  });

  test('sees an alias that is on it and nothing of what is behind it', () => {
    expect(shown('fast')).toEqual([['fast', null]]);
    expect(listing.json(only('fast'))).not.toContain('org/b');
    expect(listing.list(only('fast'))[0]?.flm.alias_of).toEqual([]);
  });

  test('sees a model whose name an alias holds by its address alone, where the list has that', () => {
    const catalogue = createCatalogue([engineWith('one', ['hidden', 'b'])]);
    const found = { ...alias('hidden', 'b'), targets: [{ model: 'b', entries: catalogue.find('b') }] };
    const { list } = createListing(catalogue.byId, [found]);
    const ids = (...names: string[]) =>
      list(only(...names)).map(({ id, owned_by }) => `${id} of ${owned_by}`);
    expect(ids('hidden')).toEqual(['hidden of flm']);
    expect(ids('hid*')).toEqual(['hidden of flm']);
    expect(ids('flm://one/hidden')).toEqual(['flm://one/hidden of owner']);
    expect(ids('b')).toEqual(['hidden of flm', 'b of owner']);
    const nothing = createListing(catalogue.byId, [alias('hidden', 'gone')]);
    expect(nothing.list(null).map(({ id }) => id)).toEqual(['flm://one/hidden', 'b']);
    expect(nothing.list(only('hidden'))).toEqual([]);
  });

  test('gets as JSON what it gets as a list', () => {
    for (const allowed of [only('a'), only('c', 'fast'), only()])
      expect(JSON.parse(listing.json(allowed))).toEqual({ object: 'list', data: listing.list(allowed) });
  });
});

describe('an entry', () => {
  test('is OpenAI’s, with what FLM knows beside it', () => {
    expect(listing.list(() => true).at(-1)).toEqual({
      id: 'c:latest',
      object: 'model',
      created: 5,
      owned_by: 'owner',
      flm: {
        uri: 'flm://two/c:latest',
        engine: 'two',
        kind: 'openai',
        loaded: null,
        context_length: null,
        capabilities: [],
        family: 'llama',
        parameters: '3B',
        quantization: 'Q4_K_M',
      },
    });
  });

  test('of an alias says what can be counted on whichever target answers', () => {
    const [entry] = createListing(byId, [alias('x', 'a')]).list(() => true);
    expect(entry).toMatchObject({
      created: 1_760_000_000,
      owned_by: 'flm',
      flm: { uri: null, loaded: true, context_length: 512, capabilities: ['chat'], alias_of: ['a'] },
    });
  });
});

test('20 engines of 200 models: the JSON takes less than 2 ms a request', () => {
  const names = (engine: number) =>
    Array.from({ length: 200 }, (_, i) => `org/model-${engine}-${i}:7b-q4_K_M`);
  const states = Array.from({ length: 20 }, (_, engine) => engineWith(`engine-${engine}`, names(engine)));
  const big = createListing(createCatalogue(states).byId, []);
  const median = (run: () => string): number => {
    const tookMs = Array.from({ length: 21 }, () => {
      const startedMs = performance.now();
      expect(run().length).toBeGreaterThan(1_000);
      return performance.now() - startedMs;
    });
    return tookMs.sort((a, b) => a - b)[10] ?? Number.POSITIVE_INFINITY;
  };
  expect(median(() => big.json(null))).toBeLessThan(2);
  // Whoever has a list costs more, once for each request.
  expect(median(() => big.json((each) => each?.model.startsWith('org/model-1') ?? false))).toBeLessThan(20);
});
