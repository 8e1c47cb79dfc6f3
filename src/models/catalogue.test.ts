/** One catalogue of all engines: plain names mean every copy, addresses mean one, and silent engines have nothing. */
import { describe, expect, test } from 'bun:test';
import { engineWith, modelNamed, namesOf } from '../../test/support/engine-states';
import { codeOf } from '../../test/support/thrown';
import { createCatalogue, isSameCatalogue } from './catalogue';

describe('a plain name', () => {
  test('means the copies of all engines that answer, in the order of the engines', () => {
    const catalogue = createCatalogue([
      engineWith('slow', ['m'], { latencyMs: 50 }),
      engineWith('fast', ['other', 'm'], { latencyMs: 1, status: 'running-degraded' }),
      engineWith('down', ['m'], { status: 'error-network' }),
      engineWith('locked', ['m'], { status: 'needs-key' }),
    ]);
    expect(namesOf(catalogue.find('m'))).toEqual(['slow/m', 'fast/m']);
    expect(catalogue.find('none')).toEqual([]);
  });

  test.each(['constructor', '__proto__', 'toString'])('that every object has is no model: %p', (name) => {
    expect(createCatalogue([engineWith('e', ['m'])]).find(name)).toEqual([]);
  });

  test('that is no name is refused', async () => {
    expect(await codeOf(() => createCatalogue([]).find(''))).toBe('INVALID_MODEL');
  });
});

describe('another name that an engine takes', () => {
  const latest = modelNamed('smollm2:latest', { otherNames: ['smollm2'] });

  test('means the same copy, by the engine’s own name for it', () => {
    const catalogue = createCatalogue([engineWith('ollama-default', [latest], { kind: 'ollama' })]);
    for (const name of ['smollm2', 'smollm2:latest', 'flm://ollama/smollm2', 'flm://ollama-default/smollm2'])
      expect([name, namesOf(catalogue.find(name))]).toEqual([name, ['ollama-default/smollm2:latest']]);
    expect([...catalogue.names()]).toEqual(['smollm2:latest', 'smollm2']);
    expect([...catalogue.byId.keys()]).toEqual(['smollm2:latest']);
  });

  test('means it beside the model that another engine calls so', () => {
    const catalogue = createCatalogue([engineWith('ollama', [latest]), engineWith('llama', ['smollm2'])]);
    expect(namesOf(catalogue.find('smollm2'))).toEqual(['ollama/smollm2:latest', 'llama/smollm2']);
  });

  test('means nothing where the same engine has a model that is called so', () => {
    const catalogue = createCatalogue([engineWith('e', [latest, 'smollm2'])]);
    expect(namesOf(catalogue.find('smollm2'))).toEqual(['e/smollm2']);
    expect(namesOf(catalogue.find('flm://e/smollm2'))).toEqual(['e/smollm2']);
  });

  test('that two models of one engine claim means the first', () => {
    const models = [modelNamed('a', { otherNames: ['x'] }), modelNamed('b', { otherNames: ['x', 'x'] })];
    expect(namesOf(createCatalogue([engineWith('e', models)]).find('x'))).toEqual(['e/a']);
  });
});

describe('an address', () => {
  const catalogue = createCatalogue([
    engineWith('llamacpp-default', ['a', 'org/b:7b'], { kind: 'llamacpp' }),
    engineWith('one', ['a']),
    engineWith('two', ['c']),
  ]);

  test.each([
    ['one', 'a', ['one/a']],
    ['llamacpp-default', 'org/b:7b', ['llamacpp-default/org/b:7b']],
    ['llamacpp', 'a', ['llamacpp-default/a']], // the only one of its kind
    ['openai', 'a', []], // there are two
    ['two', 'a', []],
    ['three', 'a', []],
  ])('%s / %s', (engine, model, found) => {
    expect(namesOf(catalogue.find(`flm://${engine}/${model}`))).toEqual(found);
  });

  test('with the id of one engine that is the kind of another means the id', () => {
    const both = createCatalogue([engineWith('openai', ['a'], { kind: 'llamacpp' }), engineWith('x', ['a'])]);
    expect(namesOf(both.find('flm://openai/a'))).toEqual(['openai/a']);
  });

  test('knows which engines run, by id or by a kind that means one', () => {
    const known = ['one', 'llamacpp', 'openai', 'three'].map(catalogue.hasEngine);
    expect(known).toEqual([true, true, false, false]);
    const down = createCatalogue([engineWith('one', ['a'], { status: 'error-api' })]);
    expect([down.hasEngine('one'), down.hasEngine('openai'), down.entries]).toEqual([false, false, []]);
  });
});

test('knows which engines speak a route, whatever they have', () => {
  const catalogue = createCatalogue([
    engineWith('chat', ['a']),
    engineWith('rerank', [], { routes: ['/v1/rerank'] }),
    engineWith('down', ['a'], { routes: ['/v1/rerank'], status: 'error-network' }),
  ]);
  expect(catalogue.speakersOf('/v1/rerank')).toEqual(['rerank']);
  expect(catalogue.speakersOf('/v1/messages')).toEqual([]);
});

test('the catalogue is a snapshot: what it was made of may change', () => {
  const states = [engineWith('b', ['m']), engineWith('a', ['m'])];
  const catalogue = createCatalogue(states);
  states.length = 0;
  expect(catalogue.find('m')).toHaveLength(2);
});

describe('a later look makes the same catalogue', () => {
  const look = (more: Parameters<typeof engineWith>[2] = {}) => [
    engineWith('a', ['m']),
    engineWith('b', ['m'], more),
  ];

  test.each<[string, ReturnType<typeof look>, boolean]>([
    ['when it found the same', look(), true],
    ['when an engine is slower, or in trouble', look({ latencyMs: 99, status: 'running-degraded' }), true],
    ['not when an engine is gone', look({ status: 'error-network' }), false],
    ['not when one has other models', look({ models: [modelNamed('m'), modelNamed('n')] }), false],
    ['not when a model was loaded', look({ models: [modelNamed('m', { loaded: true })] }), false],
    ['not when one speaks another route', look({ routes: [] }), false],
    ['not when one is another kind', look({ kind: 'vllm' }), false],
    ['not when there is another engine', [...look(), engineWith('c', [])], false],
    ['not when there is one less', look().slice(1), false],
  ])('%s', (_, after, same) => {
    expect(isSameCatalogue(look(), after)).toBe(same);
  });
});
