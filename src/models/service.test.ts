/** Where a request can go, the lists of what there is, and what the owner says of names. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { engineWith, IDLE, modelNamed, namesOf } from '../../test/support/engine-states';
import { codeOf, errorOf } from '../../test/support/thrown';
import { mayUse } from '../admission';
import type { Candidate, EngineState, InferenceRoute, Plan, Standing } from '../contract';
import { type ManualClock, manualClock } from '../lib/clock';
import type { AliasInput } from './model';
import { createModels, type Models } from './service';
import type { Rule, RuleStore } from './store';
import { parseTargets } from './targets';

const CHAT: InferenceRoute = '/v1/chat/completions';
const everything = () => true;

const STATES: readonly EngineState[] = [
  engineWith('one', ['a', 'b'], { kind: 'llamacpp' }),
  engineWith('two', ['b', 'org/c', modelNamed('d:latest', { otherNames: ['d'] })], {
    routes: [CHAT, '/v1/responses'],
  }),
];

let rows: Map<string, Rule>;
let loads: number;
let models: Models;
let looks: number[];
let clock: ManualClock;
/** What the engines have when they are asked again. */
let found: readonly EngineState[];
let standings: Record<string, Partial<Standing>>;

const store: RuleStore = {
  async load() {
    loads++;
    return [...rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  },
  put: async (rule) => void rows.set(rule.name, rule),
  remove: async (name) => void rows.delete(name),
};

async function open(): Promise<void> {
  models = await createModels({
    refresh: async (maxAgeMs) => {
      looks.push(maxAgeMs);
      models.update(found);
    },
    standingOf: ({ engine }) => ({ ...IDLE, ...standings[engine.id] }),
    store,
    clock,
  });
  models.update(found);
}

beforeEach(async () => {
  looks = [];
  loads = 0;
  rows = new Map();
  standings = {};
  clock = manualClock();
  found = STATES;
  await open();
});

/** A plan that nobody has to wait for. */
function planned(model: string, route: InferenceRoute = CHAT): Plan {
  const plan = models.plan(model, route, null);
  if (plan instanceof Promise) throw new Error('it waited');
  return plan;
}
const candidates = (model: string, route: InferenceRoute = CHAT) => namesOf(planned(model, route).candidates);
const alias = (name: string, targets: string): AliasInput => ({
  name,
  places: parseTargets(targets).map((place) => [...place]),
});

describe('plan', () => {
  test('answers at once for a model that is known, without asking anybody', () => {
    expect([planned('b').requested, candidates('b').toSorted()]).toEqual(['b', ['one/b', 'two/b']]);
    expect(looks).toEqual([]);
  });

  test('an engine that exists and cannot be asked is not one that does not exist', async () => {
    const [one, two] = STATES.map((state) => ({ ...state, models: [] }));
    if (one === undefined || two === undefined) throw new Error('unreachable');
    found = [
      { ...one, status: 'needs-key' },
      { ...two, status: 'error-network' },
      engineWith('three', ['x'], { kind: 'vllm' }),
      engineWith('four', ['x'], { kind: 'vllm' }),
    ];
    await open();
    const told = async (name: string) => {
      const error = await errorOf(async () => models.plan(name, CHAT, null));
      return [error.code, error.hint];
    };
    expect((await told('flm://one/a'))[0]).toBe('ENGINE_NEEDS_KEY');
    expect((await told('flm://two/never-seen'))[0]).toBe('MODEL_UNAVAILABLE');
    expect(await told('flm://vllm/x')).toEqual([
      'ENGINE_NOT_FOUND',
      'Several engines are of that kind: three, four. Name one of them.',
    ]);
    expect((await told('flm://nobody/x'))[0]).toBe('ENGINE_NOT_FOUND');
  });

  test('a model whose engine does not answer now is unavailable, and unknown once the engine is forgotten', async () => {
    const dead = STATES.map((state) => ({ ...state, status: 'error-network' as const, models: [] }));
    found = dead;
    models.update(found);
    for (const name of ['a', 'd', 'd:latest', 'flm://two/org/c']) {
      const error = await errorOf(async () => models.plan(name, CHAT, null));
      expect([name, error.code, error.status, error.meta.retryAfterSeconds]).toEqual([
        name,
        'MODEL_UNAVAILABLE',
        503,
        5,
      ]);
    }
    expect(await codeOf(async () => models.plan('never-there', CHAT, null))).toBe('MODEL_NOT_FOUND');
    found = dead.slice(1);
    models.update(found);
    expect(await codeOf(async () => models.plan('a', CHAT, null))).toBe('MODEL_NOT_FOUND');
    expect(await codeOf(async () => models.plan('d', CHAT, null))).toBe('MODEL_UNAVAILABLE');
    found = STATES;
    models.update(found);
    expect(candidates('a')).toEqual(['one/a']);
  });

  test.each([
    ['flm://two/b', ['two/b']],
    ['flm://openai/org/c', ['two/org/c']],
    ['org/c', ['two/org/c']],
    ['d', ['two/d:latest']],
    ['flm://two/d', ['two/d:latest']],
  ])('%s goes to %p, and the answer says what was asked for', (model, names) => {
    expect([planned(model).requested, candidates(model)]).toEqual([model, names]);
  });

  test('spreads equals, and puts first who is better placed', () => {
    expect([candidates('b')[0], candidates('b')[0]]).toEqual(['one/b', 'two/b']);
    standings.one = { freeSlots: 0 };
    expect(candidates('b')).toEqual(['two/b', 'one/b']);
    standings.two = { available: false };
    expect(candidates('b')).toEqual(['one/b', 'two/b']);
  });

  test('asks once more for a model that nobody has, because it may have come since', async () => {
    found = [engineWith('three', ['new'])];
    expect(namesOf((await models.plan('new', CHAT, null)).candidates)).toEqual(['three/new']);
    expect(looks).toEqual([2_000]);
  });

  test.each([
    ['unknown', 'MODEL_NOT_FOUND'],
    ['flm://one/unknown', 'MODEL_NOT_FOUND'],
    ['flm://nobody/a', 'ENGINE_NOT_FOUND'],
    ['flm://one', 'INVALID_MODEL'],
    ['', 'INVALID_MODEL'],
  ] as const)('%p is %s, with the parameter at fault', async (model, code) => {
    const error = await errorOf(async () => models.plan(model, CHAT, null));
    expect([error.code, error.param]).toEqual([code, 'model']);
  });

  test('tells whoever asks for something near to a name nothing of that name', async () => {
    const error = await errorOf(() => models.plan('org/cc', CHAT, null));
    expect(`${error.message} ${error.hint}`).not.toMatch(/org\/c\b/);
  });
});

describe('a route', () => {
  test('goes only to engines that speak it', () => {
    for (let i = 0; i < 3; i++) expect(candidates('b', '/v1/responses')).toEqual(['two/b']);
  });

  test.each([
    ['a', '/v1/responses', 'with another model, these engines may: two'],
    ['flm://one/b', '/v1/responses', 'with another model, these engines may: two'],
    ['b', '/v1/rerank', 'no running engine does'],
  ] as const)(
    'of %s that no engine with it speaks is 501, naming those that do',
    async (model, route, others) => {
      const error = await errorOf(() => models.plan(model, route, null));
      expect([error.code, error.status, error.type, error.param]).toEqual([
        'ROUTE_NOT_SUPPORTED',
        501,
        'invalid_request_error',
        'model',
      ]);
      expect(error.message).toBe(`No engine that has the model "${model}" takes ${route}; ${others}.`);
      expect(looks).toEqual([]);
    },
  );

  test('that many engines speak is not told with all of them', async () => {
    const speakers = Array.from({ length: 12 }, (_, i) =>
      engineWith(`e${i}`, [], { routes: ['/v1/rerank'] }),
    );
    models.update([engineWith('one', ['a']), ...speakers]);
    const error = await errorOf(() => models.plan('a', '/v1/rerank', null));
    expect(error.message).toEndWith(
      'with another model, these engines may: e0, e1, e2, e3, e4, e5, e6, e7, e8, e9 and 2 more.',
    );
  });
});

describe('somebody with a list', () => {
  const guest =
    (...list: string[]) =>
    (candidate: Candidate | null, asked: string) =>
      mayUse(
        { kind: 'key', id: 'k', label: 'k', scopes: new Set(), models: list },
        candidate,
        asked,
        models.isAlias,
      );
  const told = async (list: string[], model: string, route: InferenceRoute = CHAT) => {
    looks = [];
    const error = await errorOf(async () => models.plan(model, route, guest(...list)));
    return [error.code, ...looks];
  };

  test.each<[string, string[], string]>([
    ['a model that is there', ['a'], 'org/c'],
    ['one that is not', ['a'], 'never-there'],
    ['a copy', ['flm://one/b'], 'flm://two/b'],
    ['an address of nothing', ['a'], 'flm://two/none'],
    ['of an engine that is not there', ['a'], 'flm://nobody/none'],
    ['of an engine that needs a key', ['a'], 'flm://locked/none'],
    ['a model whose engine is away', ['a'], 'sleepy'],
    ['an alias', ['a'], 'fast'],
    ['an alias of which nothing is there', ['a'], 'lost'],
    ['the model that an alias of the same name hides', ['hidden'], 'flm://two/hidden'],
  ])('is refused the same, after the same look: %s', async (_, list, model) => {
    const two = engineWith('two', ['b', 'org/c', 'hidden']);
    const away = engineWith('away', ['sleepy']);
    models.update([away]);
    found = [
      engineWith('one', ['a', 'b']),
      two,
      { ...away, status: 'error-network', models: [] },
      engineWith('locked', [], { status: 'needs-key' }),
    ];
    models.update(found);
    for (const [name, targets] of [
      ['fast', 'org/c'],
      ['lost', 'gone'],
      ['hidden', 'org/c'],
    ] as const)
      await models.setAlias(alias(name, targets));
    for (const route of [CHAT, '/v1/rerank'] as const)
      expect(await told(list, model, route)).toEqual(['MODEL_NOT_ALLOWED', 2_000]);
    looks = [];
    const error = await errorOf(() => models.openAiModel(model, guest(...list)));
    expect([error.code, error.meta, looks]).toEqual(['MODEL_NOT_ALLOWED', { model }, [2_000]]);
  });

  test('is told what became of models that are on it', async () => {
    await models.setAlias(alias('lost', 'gone'));
    found = STATES.map((state) => ({ ...state, status: 'error-network' as const, models: [] }));
    expect((await told(['later'], 'later'))[0]).toBe('MODEL_NOT_FOUND');
    expect((await told(['lost'], 'lost'))[0]).toBe('MODEL_NOT_FOUND');
    expect((await told(['flm://nobody/*'], 'flm://nobody/x'))[0]).toBe('ENGINE_NOT_FOUND');
    models.update(found);
    expect((await told(['a'], 'a'))[0]).toBe('MODEL_UNAVAILABLE');
    expect((await told(['flm://one/*'], 'a'))[0]).toBe('MODEL_UNAVAILABLE');
    expect((await told(['d:latest'], 'd'))[0]).toBe('MODEL_UNAVAILABLE');
  });

  test('is let in for what has appeared since', async () => {
    found = [engineWith('three', [modelNamed('new:latest', { otherNames: ['new'] })])];
    const plan = await models.plan('new', CHAT, guest('new:latest'));
    expect([namesOf(plan.candidates), looks]).toEqual([['three/new:latest'], [2_000]]);
  });

  test('hears only of engines that have something for it', async () => {
    models.update([
      engineWith('one', ['a']),
      engineWith('two', ['b'], { routes: ['/v1/rerank'] }),
      engineWith('internal', ['c'], { routes: ['/v1/rerank'] }),
    ]);
    const others = async (...list: string[]) =>
      (await errorOf(() => models.plan('a', '/v1/rerank', guest(...list)))).meta.others;
    expect(await others('a', 'b')).toBe('with another model, these engines may: two');
    expect(await others('a')).toBe('no running engine with a model for this key does');
    expect(await others('*')).toBe('with another model, these engines may: two, internal');

    found = ['three', 'four', 'internal'].map((id) => engineWith(id, [`of-${id}`], { kind: 'vllm' }));
    models.update(found);
    const hint = async (...list: string[]) =>
      (await errorOf(() => models.plan('flm://vllm/x', CHAT, guest('x', ...list)))).hint;
    expect(await hint('of-three', 'of-four')).toContain('that kind: three, four.');
    expect(await hint('of-three')).not.toContain('three');
  });

  test('has a copy that may be used and does not speak the route: 501, not who else may not', async () => {
    expect((await told(['flm://one/b'], 'b', '/v1/responses'))[0]).toBe('ROUTE_NOT_SUPPORTED');
  });
});

describe('an alias', () => {
  test('goes to its targets in their order, and the answer says what was asked for', async () => {
    await models.setAlias(alias('fast', 'flm://two/b, gone, d | a'));
    expect([planned('fast').requested, candidates('fast')]).toEqual([
      'fast',
      ['two/b', 'two/d:latest', 'one/a'],
    ]);
    // Nothing on a request's way reads the database.
    expect(loads).toBe(2);
  });

  test('lasts over a restart', async () => {
    await models.setAlias(alias('fast', 'a'));
    await open();
    expect(candidates('fast')).toEqual(['one/a']);
  });

  test('skips targets that do not speak the route, and is 501 where none does', async () => {
    await models.setAlias(alias('fast', 'a, b'));
    expect(candidates('fast', '/v1/responses')).toEqual(['two/b']);
    expect(await codeOf(() => models.plan('fast', '/v1/rerank', null))).toBe('ROUTE_NOT_SUPPORTED');
  });

  test('of which nothing is there is not found after one more look, and a client is not told what it stands for', async () => {
    await models.setAlias(alias('fast', 'gone=2 | lost, flm://nobody/x'));
    looks = [];
    const error = await errorOf(() => models.plan('fast', CHAT, null));
    expect([error.code, error.meta, looks]).toEqual(['MODEL_NOT_FOUND', { model: 'fast' }, [2_000]]);
    const unknown = await errorOf(() => models.plan('never-there', CHAT, null));
    expect(error.hint).toBe(unknown.hint);
    expect((await errorOf(() => models.openAiModel('fast', everything))).hint).toBe(unknown.hint);
  });

  test('with the name of a model shadows it, and says so; its own name is that model among its targets', async () => {
    expect(await models.setAlias(alias('a', 'a, org/c'))).toMatchObject({ shadows: true });
    expect(candidates('a')).toEqual(['one/a', 'two/org/c']);
    expect(candidates('flm://one/a')).toEqual(['one/a']);
    await models.removeAlias('a');
    expect(candidates('a')).toEqual(['one/a']);
  });

  test('with the other name of a model shadows that name alone', async () => {
    await models.setAlias(alias('d', 'a'));
    expect([candidates('d'), candidates('d:latest')]).toEqual([['one/a'], ['two/d:latest']]);
  });

  test.each([
    ['', 'a', 'it takes 1 to 200 characters'],
    ['x'.repeat(201), 'a', 'it takes 1 to 200 characters'],
    ['flm://x', 'a', 'flm:// is the beginning of an address, which means one engine'],
    ['a\nb', 'a', 'it holds characters that cannot be seen'],
    [' a', 'a', 'it begins or ends with a blank'],
    ['a ', 'a', 'it begins or ends with a blank'],
    ['x,y', 'a', 'it holds ",", which has a meaning in what aliases stand for'],
    ['x|y', 'a', 'it holds "|", which has a meaning in what aliases stand for'],
    ['x=3', 'a', 'it holds "=", which has a meaning in what aliases stand for'],
    ['*', 'a', 'it holds "*", which has a meaning in the lists of models of keys'],
    ['nested', 'other', '"other" is an alias itself, and aliases stand for models'],
    ['self', 'self', '"self" would stand for itself alone, and no engine has a model of that name'],
    [
      'x',
      'a=-1',
      '"-1" in "a=-1" is no weight, which is a whole number from 1 to 1000, and no engine has a model of that name',
    ],
    [
      'x',
      'b, a=abc',
      '"abc" in "a=abc" is no weight, which is a whole number from 1 to 1000, and no engine has a model of that name',
    ],
  ])('cannot be %p for %p', async (name, targets, reason) => {
    await models.setAlias(alias('other', 'a'));
    const error = await errorOf(() => models.setAlias(alias(name, targets)));
    expect([error.code, error.meta.reason]).toEqual(['INVALID_INPUT', reason]);
    expect([...rows.keys()]).toEqual(['other']);
  });

  test('cannot be made of a name that another one stands for', async () => {
    await models.setAlias(alias('one', 'later, a'));
    await models.setAlias(alias('two', 'later'));
    const error = await errorOf(() => models.setAlias(alias('later', 'a')));
    expect([error.code, error.meta]).toEqual([
      'INVALID_INPUT',
      { field: 'name', reason: '"one", "two" stand for it, and aliases stand for models, not for aliases' },
    ]);
    await models.removeAlias('one');
    expect((await errorOf(() => models.setAlias(alias('later', 'a')))).meta.reason).toStartWith(
      '"two" stands',
    );
    await models.removeAlias('two');
    await models.setAlias(alias('later', 'a'));
    expect(candidates('later')).toEqual(['one/a']);
  });

  test('goes on to stand for a model that a later one hides', async () => {
    await models.setAlias(alias('fast', 'a'));
    await models.setAlias(alias('a', 'org/c'));
    expect([candidates('fast'), candidates('a')]).toEqual([['one/a'], ['two/org/c']]);
  });

  test('may stand for a model whose name looks like a bad weight, also while its engine is away', async () => {
    found = [engineWith('one', ['m=x'])];
    await open();
    await models.setAlias(alias('fast', 'm=x'));
    expect(candidates('fast')).toEqual(['one/m=x']);
    found = [engineWith('one', [], { status: 'error-network' })];
    models.update(found);
    await models.setAlias(alias('faster', 'm=x'));
    expect([...rows.keys()]).toEqual(['fast', 'faster']);
  });

  test('is shown with its targets and how many have each', async () => {
    const view = await models.setAlias(alias('fast', 'b=3 | a, gone'));
    expect(view).toEqual({
      name: 'fast',
      places: [
        [
          { model: 'b', weight: 3, copies: 2 },
          { model: 'a', weight: 1, copies: 1 },
        ],
        [{ model: 'gone', weight: 1, copies: 0 }],
      ],
      strategy: 'manual',
      shadows: false,
      updated_at: new Date(clock.nowMs()).toISOString(),
    });
    expect(await models.aliases()).toEqual({ items: [view], next: null });
  });

  test('keeps its strategy when its targets change, and loses it when it is removed', async () => {
    await models.setAlias(alias('fast', 'a | b'));
    await models.setStrategy({ name: 'fast', strategy: 'highest-score' });
    expect((await models.setAlias(alias('fast', 'b'))).strategy).toBe('highest-score');
    expect(await models.unsetStrategy('fast')).toMatchObject({ strategy: 'manual', set: false, copies: 2 });
    await models.setStrategy({ name: 'fast', strategy: 'highest-score' });
    expect(await models.removeAlias('fast')).toEqual({ name: 'fast', removed: true });
    expect([rows.size, await codeOf(() => models.removeAlias('fast'))]).toEqual([0, 'ALIAS_NOT_FOUND']);
  });

  test('cannot be removed where the name has a strategy alone', async () => {
    await models.setStrategy({ name: 'b', strategy: 'manual' });
    expect(await codeOf(() => models.removeAlias('b'))).toBe('ALIAS_NOT_FOUND');
    expect((await models.aliases()).items).toEqual([]);
  });
});

describe('a strategy', () => {
  test('decides at once, for the name or for what the engine calls the same model', async () => {
    standings.one = { tokensPerSecond: 10 };
    standings.two = { tokensPerSecond: 90 };
    expect([candidates('b')[0], candidates('b')[0]]).toEqual(['one/b', 'two/b']);
    const set = await models.setStrategy({ name: 'b', strategy: 'highest-throughput' });
    expect(set).toEqual({ name: 'b', strategy: 'highest-throughput', set: true, copies: 2 });
    for (let i = 0; i < 3; i++) expect(candidates('b')[0]).toBe('two/b');
    found = [
      engineWith('one', [modelNamed('b', { otherNames: ['bee'] })]),
      engineWith('two', [modelNamed('b', { otherNames: ['bee'] })]),
    ];
    models.update(found);
    for (let i = 0; i < 3; i++) expect(candidates('bee')[0]).toBe('two/b');
  });

  test('back to the default is back to sharing; where nothing was set it is no error', async () => {
    await models.setStrategy({ name: 'b', strategy: 'manual' });
    for (let i = 0; i < 3; i++) expect(candidates('b')).toEqual(['one/b', 'two/b']);
    const unset = { name: 'b', strategy: 'least-busy', set: false, copies: 2 } as const;
    expect([await models.unsetStrategy('b'), await models.unsetStrategy('b')]).toEqual([unset, unset]);
    expect(rows.size).toBe(0);
    expect(new Set([candidates('b')[0], candidates('b')[0]]).size).toBe(2);
  });

  test('can be set for what is not there yet, and not for an address', async () => {
    expect((await models.setStrategy({ name: 'later', strategy: 'manual' })).copies).toBe(0);
    expect((await models.strategies()).items.map(({ name }) => name)).toEqual(['later']);
    const onAddress = () => models.setStrategy({ name: 'flm://one/b', strategy: 'manual' });
    expect(await codeOf(onAddress)).toBe('INVALID_INPUT');
  });
});

describe('the list for clients', () => {
  test('follows the engines and the aliases', async () => {
    const ids = () => models.openAiList(everything).map(({ id }) => id);
    expect(ids()).toEqual(['a', 'b', 'org/c', 'd:latest']);
    await models.setAlias(alias('fast', 'a'));
    expect(ids()).toEqual(['fast', 'a', 'b', 'org/c', 'd:latest']);
    models.update([engineWith('three', ['e'])]);
    expect(ids()).toEqual(['e']);
    expect(JSON.parse(models.openAiListJson(null))).toEqual({
      object: 'list',
      data: models.openAiList(everything),
    });
  });

  test('shows a client only what it may use, and the copy that it may use', () => {
    const list = models.openAiList((each) => each?.engine.id === 'two');
    expect(list.map(({ flm }) => flm.uri)).toEqual(['flm://two/b', 'flm://two/org/c', 'flm://two/d:latest']);
  });
});

describe('one model for a client', () => {
  const onTwo = (each: Candidate | null) => each?.engine.id === 'two';

  test('is shown under the name that was asked for', async () => {
    expect((await models.openAiModel('flm://two/b', everything)).id).toBe('flm://two/b');
    const allowed = await models.openAiModel('b', onTwo);
    expect([allowed.id, allowed.flm.engine]).toEqual(['b', 'two']);
    const other = await models.openAiModel('d', (_, asked) => asked === 'd');
    expect([other.id, other.flm.uri]).toEqual(['d', 'flm://two/d:latest']);
    const ofKind = await models.openAiModel('flm://openai/d', (_, asked) => asked === 'flm://openai/d');
    expect(ofKind.id).toBe('flm://openai/d');
  });

  test('can be an alias, for whoever may use it or one of its targets', async () => {
    await models.setAlias(alias('fast', 'a'));
    const byName = (_: Candidate | null, asked: string) => asked === 'fast';
    for (const allowed of [byName, (each: Candidate | null) => each?.model === 'a'])
      expect((await models.openAiModel('fast', allowed)).owned_by).toBe('flm');
    expect(await codeOf(() => models.openAiModel('fast', onTwo))).toBe('MODEL_NOT_ALLOWED');
  });

  test('is refused when it is there and not allowed, or not there', async () => {
    expect(await codeOf(() => models.openAiModel('a', () => false))).toBe('MODEL_NOT_ALLOWED');
    expect(await codeOf(() => models.openAiModel('none', everything))).toBe('MODEL_NOT_FOUND');
    found = [engineWith('three', ['new'])];
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
      'flm://two/d:latest',
    ]);
    expect([next, looks]).toEqual([null, [15_000]]);
  });

  test('tells all that the engine tells', async () => {
    const told = { contextLength: 2_048, loaded: true, family: 'llama', parameters: '3B', sizeBytes: 77 };
    found = [engineWith('e', [modelNamed('org/m', { ...told, quantization: 'Q8_0', otherNames: ['m'] })])];
    expect((await models.list(null)).items).toEqual([
      {
        id: 'org/m',
        other_names: ['m'],
        uri: 'flm://e/org/m',
        engine: 'e',
        kind: 'openai',
        loaded: true,
        context_length: 2_048,
        capabilities: [],
        family: 'llama',
        parameters: '3B',
        quantization: 'Q8_0',
        size_bytes: 77,
      },
    ]);
  });

  test('of one engine, by its id or its kind', async () => {
    const uris = async (name: string) => (await models.list(name)).items.map(({ uri }) => uri);
    expect(await uris('one')).toEqual(['flm://one/a', 'flm://one/b']);
    expect(await uris('openai')).toHaveLength(3);
    expect(await codeOf(() => models.list('nobody'))).toBe('ENGINE_NOT_FOUND');
  });

  test('of a kind that several engines are, shows them all; of one without a model, nothing', async () => {
    found = [engineWith('one', ['a']), engineWith('two', ['b']), engineWith('empty', [])];
    expect((await models.list('openai')).items).toHaveLength(2);
    expect((await models.list('empty')).items).toEqual([]);
  });

  test('of one that does not run at the moment: nothing, but it is known', async () => {
    found = [engineWith('down', [], { status: 'error-network' })];
    expect((await models.list('down')).items).toEqual([]);
    expect((await models.list('openai')).items).toEqual([]);
  });
});

describe('what a name means, for the owner', () => {
  test('is every copy in the order it would be asked in, and how it is doing; looking takes no turn', async () => {
    standings.one = { degraded: true, errorRate: 0.2, freeSlots: -1, tokensPerSecond: 12.5 };
    for (let i = 0; i < 2; i++) {
      const { copies, strategy, alias: none } = await models.show('b');
      expect([copies.map(({ uri }) => uri), strategy, none]).toEqual([
        ['flm://two/b', 'flm://one/b'],
        'least-busy',
        null,
      ]);
      expect(copies[1]?.standing).toEqual({
        available: true,
        degraded: true,
        reason: 'its recent requests for the model failed too often, or began too late',
        slots: null,
        free_slots: null,
        latency_ms: 10,
        error_rate: 0.2,
        tokens_per_second: 12.5,
      });
    }
  });

  test('tells the slots that are known, and why the engine is in trouble', async () => {
    const reason = 'it took 2000 ms to answer';
    found = [engineWith('one', ['a'], { slots: 4, status: 'running-degraded', reason })];
    standings.one = { degraded: true, freeSlots: -1 };
    expect((await models.show('a')).copies[0]?.standing).toMatchObject({ reason, slots: 4, free_slots: -1 });
  });

  test('of an alias is what it stands for, also while nothing of it is there', async () => {
    await models.setAlias(alias('fast', 'gone'));
    expect(await models.show('fast')).toMatchObject({
      alias: { name: 'fast' },
      strategy: 'manual',
      copies: [],
    });
  });

  test.each([
    ['org/cc', 'Did you mean org/c?'],
    ['flm://one/bb', 'Did you mean flm://one/b?'],
    ['fats', 'Did you mean fast?'],
  ])('that nobody has: %s', async (name, hint) => {
    await models.setAlias(alias('fast', 'a'));
    const error = await errorOf(() => models.show(name));
    expect([error.code, error.hint]).toEqual(['MODEL_NOT_FOUND', hint]);
  });

  test('that is far from everything has no suggestion', async () => {
    expect((await errorOf(() => models.show('something-else'))).hint).toContain('/v1/models');
    expect(await codeOf(() => models.show('flm://nobody/a'))).toBe('ENGINE_NOT_FOUND');
  });
});
