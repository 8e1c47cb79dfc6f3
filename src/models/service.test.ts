/** Where a request can go, and the lists of what there is; a model that is unknown is looked for once more. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { codeOf, errorOf } from '../../test/support/thrown';
import type { Candidate, EngineKind, EngineState } from '../contract';
import { createModels, type Models } from './service';

function engine(id: string, kind: EngineKind, names: readonly string[]): EngineState {
  const models = names.map((name) => ({
    id: name,
    otherNames: [],
    family: null,
    parameters: null,
    quantization: null,
    sizeBytes: null,
    ownedBy: 'o',
    createdSeconds: 0,
    contextLength: null,
    loaded: null,
    capabilities: [],
  }));
  const ref = { id, kind, baseUrl: 'http://127.0.0.1', origin: 'detected' } as const;
  return {
    ref,
    status: 'running-healthy',
    reason: null,
    version: null,
    latencyMs: 1,
    slots: null,
    consecutiveFailures: 0,
    routes: [],
    models,
  };
}

const everything = () => true;

let models: Models;
let looks: number[];
/** What the engines have when they are asked again. */
let found: readonly EngineState[];

beforeEach(() => {
  looks = [];
  found = [];
  models = createModels(async (maxAgeMs) => {
    looks.push(maxAgeMs);
    models.update(found);
  });
  models.update([engine('one', 'llamacpp', ['a', 'b']), engine('two', 'openai', ['b', 'org/c'])]);
  found = [engine('one', 'llamacpp', ['a', 'b']), engine('two', 'openai', ['b', 'org/c'])];
});

const engines = (candidates: readonly Candidate[]) =>
  candidates.map((each) => `${each.engine.id}/${each.model}`);

describe('plan', () => {
  test('answers at once for a model that is known, without asking anybody', () => {
    const plan = models.plan('b');
    if (plan instanceof Promise) throw new Error('it waited');
    expect([plan.requested, engines(plan.candidates)]).toEqual(['b', ['one/b', 'two/b']]);
    expect(looks).toEqual([]);
  });

  test.each([
    ['flm://two/b', ['two/b']],
    ['flm://openai/org/c', ['two/org/c']],
    ['org/c', ['two/org/c']],
  ])('%s goes to %p, and the answer says what was asked for', async (model, candidates) => {
    const plan = await models.plan(model);
    expect([plan.requested, engines(plan.candidates)]).toEqual([model, candidates]);
  });

  test('asks once more for a model that nobody has, because it may have come since', async () => {
    found = [engine('three', 'openai', ['new'])];
    expect(engines((await models.plan('new')).candidates)).toEqual(['three/new']);
    expect(looks).toEqual([2_000]);
  });

  test.each([
    ['unknown', 'MODEL_NOT_FOUND'],
    ['flm://one/unknown', 'MODEL_NOT_FOUND'],
    ['flm://nobody/a', 'ENGINE_NOT_FOUND'],
    ['flm://one', 'INVALID_MODEL'],
    ['', 'INVALID_MODEL'],
  ] as const)('%p is %s, with the parameter at fault', async (model, code) => {
    const error = await errorOf(async () => models.plan(model));
    expect([error.code, error.param]).toEqual([code, 'model']);
  });
});

describe('the list for clients', () => {
  test('has every plain name once, with its best copy', () => {
    const list = models.openAiList(everything);
    expect(list.map(({ id, flm }) => [id, flm.uri])).toEqual([
      ['a', 'flm://one/a'],
      ['b', 'flm://one/b'],
      ['org/c', 'flm://two/org/c'],
    ]);
  });

  test('shows a client only what it may use, and the copy that it may use', () => {
    const list = models.openAiList(({ engine: { id } }) => id === 'two');
    expect(list.map(({ flm }) => flm.uri)).toEqual(['flm://two/b', 'flm://two/org/c']);
  });
});

describe('one model for a client', () => {
  test('is shown under the name that was asked for', async () => {
    expect((await models.openAiModel('flm://two/b', everything)).id).toBe('flm://two/b');
    const allowed = await models.openAiModel('b', ({ engine: { id } }) => id === 'two');
    expect([allowed.id, allowed.flm.engine]).toEqual(['b', 'two']);
  });

  test('is refused when it is there and not allowed, or not there', async () => {
    expect(await codeOf(() => models.openAiModel('a', () => false))).toBe('MODEL_NOT_ALLOWED');
    expect(await codeOf(() => models.openAiModel('none', everything))).toBe('MODEL_NOT_FOUND');
    found = [engine('three', 'openai', ['new'])];
    expect((await models.openAiModel('new', everything)).flm.engine).toBe('three');
  });
});

describe('the list for the owner', () => {
  test('has every copy of every engine, from a look that is not old', async () => {
    const { items, next } = await models.list(null);
    expect(items.map(({ uri }) => uri)).toEqual([
      'flm://one/a',
      'flm://one/b',
      'flm://two/b',
      'flm://two/org/c',
    ]);
    expect([next, looks]).toEqual([null, [15_000]]);
  });

  test('of one engine, by its id or its kind', async () => {
    const uris = async (name: string) => (await models.list(name)).items.map(({ uri }) => uri);
    expect(await uris('one')).toEqual(['flm://one/a', 'flm://one/b']);
    expect(await uris('openai')).toEqual(['flm://two/b', 'flm://two/org/c']);
    expect(await codeOf(() => models.list('nobody'))).toBe('ENGINE_NOT_FOUND');
  });

  test('of a kind that several engines are, shows them all', async () => {
    found = [engine('one', 'openai', ['a']), engine('two', 'openai', ['b'])];
    expect((await models.list('openai')).items).toHaveLength(2);
  });

  test('of an engine that runs without a model is empty, and no error', async () => {
    found = [engine('empty', 'openai', [])];
    expect((await models.list('empty')).items).toEqual([]);
  });
});
