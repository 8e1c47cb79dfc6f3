/** Which copies are asked for a model or an alias, request after request. */
import { beforeEach, describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { engineWith, IDLE, namesOf } from '../../test/support/engine-states';
import type { Standing } from '../contract';
import { createCatalogue, type Entry } from './catalogue';
import { type Chooser, createChooser, type FoundPlace, type FoundTarget } from './chooser';
import { STRATEGIES } from './rank';

const ENGINES = ['a', 'b', 'c'];
const { entries } = createCatalogue(ENGINES.map((id) => engineWith(id, ['m', 'n'])));

const copiesOf = (model: string): readonly Entry[] => entries.filter((entry) => entry.model === model);
const copy = (name: string): Entry => {
  const [engine, model] = name.split('/');
  const found = entries.find((entry) => entry.engine.id === engine && entry.model === model);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
};
const target = (model: string, names: readonly string[], weight = 1): FoundTarget => ({
  model,
  weight,
  entries: names.map(copy),
  strategy: 'least-busy',
});

let standings: Record<string, Partial<Standing>>;
let chooser: Chooser;

beforeEach(() => {
  standings = {};
  chooser = createChooser((candidate) => ({ ...IDLE, ...standings[namesOf([candidate])[0] ?? ''] }));
});

describe('the copies of a model', () => {
  const ask = (mode: 'ask' | 'look' = 'ask') =>
    namesOf(chooser.copies('m', 'least-busy', copiesOf('m'), mode));

  test('take turns', () => {
    expect([ask()[0], ask()[0], ask()[0], ask()[0]]).toEqual(['a/m', 'b/m', 'c/m', 'a/m']);
  });

  test('take no turn where somebody only looks', () => {
    expect([ask('look')[0], ask('look')[0], ask()[0], ask('look')[0]]).toEqual(['a/m', 'a/m', 'a/m', 'b/m']);
  });

  test('of other models take their own', () => {
    ask();
    expect(namesOf(chooser.copies('n', 'least-busy', copiesOf('n'), 'ask'))[0]).toBe('a/n');
  });

  test('begin anew once the name was forgotten', () => {
    ask();
    chooser.prune((name) => name === 'm');
    expect(ask()[0]).toBe('b/m');
    chooser.prune(() => false);
    expect(ask()[0]).toBe('a/m');
  });

  test('one alone is not even looked at', () => {
    const alone = createChooser(() => {
      throw new Error('it was looked at');
    });
    expect(namesOf(alone.copies('m', 'least-busy', [copy('a/m')], 'ask'))).toEqual(['a/m']);
    expect(alone.copies('m', 'least-busy', [], 'ask')).toEqual([]);
  });
});

describe('the places of an alias', () => {
  const ask = (places: readonly FoundPlace[], strategy: (typeof STRATEGIES)[number] = 'manual') =>
    namesOf(chooser.places('fast', strategy, places, 'ask'));

  test('come in their order, each copy once', () => {
    const places = [[target('flm://b/m', ['b/m'])], [target('m', ['a/m', 'b/m'])], [target('n', ['c/n'])]];
    expect(ask(places)).toEqual(['b/m', 'a/m', 'c/n']);
  });

  test('share a place by weight, the others of the place following', () => {
    const places = [[target('x', ['a/m'], 3), target('y', ['b/m'], 1)], [target('n', ['c/n'])]];
    const asked = Array.from({ length: 4 }, () => ask(places));
    expect(asked.map(([first]) => first)).toEqual(['a/m', 'a/m', 'b/m', 'a/m']);
    expect(asked[0]).toEqual(['a/m', 'b/m', 'c/n']);
    expect(asked[2]).toEqual(['b/m', 'a/m', 'c/n']);
  });

  test('let the copies of one target take turns, as if it had been asked for itself', () => {
    const places = [[target('m', ['a/m', 'b/m'])]];
    expect([ask(places)[0], ask(places)[0]]).toEqual(['a/m', 'b/m']);
    expect(namesOf(chooser.copies('m', 'least-busy', [copy('a/m'), copy('b/m')], 'ask'))[0]).toBe('a/m');
  });

  test('give way where nothing of theirs can be asked, and take turns in the next place then', () => {
    standings['a/m'] = { available: false };
    const places = [[target('x', ['a/m'])], [target('y', ['b/m']), target('z', ['c/m'])]];
    expect([ask(places), ask(places)]).toEqual([
      ['b/m', 'c/m', 'a/m'],
      ['c/m', 'b/m', 'a/m'],
    ]);
    standings['a/m'] = {};
    expect(ask(places)[0]).toBe('a/m');
  });

  test('put a degraded copy behind the others of its place, not behind the next place', () => {
    standings['a/m'] = { degraded: true };
    const places = [[target('x', ['a/m']), target('y', ['b/m'])], [target('z', ['c/m'])]];
    expect([ask(places), ask(places)]).toEqual([
      ['b/m', 'a/m', 'c/m'],
      ['b/m', 'a/m', 'c/m'],
    ]);
    expect(ask([[target('x', ['a/m'])], [target('z', ['c/m'])]])).toEqual(['a/m', 'c/m']);
  });

  test('choose among all copies of a place where the owner set a strategy', () => {
    standings['a/m'] = { tokensPerSecond: 10 };
    standings['b/m'] = { tokensPerSecond: 50 };
    const places = [[target('x', ['a/m'], 100), target('y', ['b/m'], 1)], [target('z', ['c/m'])]];
    expect(ask(places, 'highest-throughput')).toEqual(['b/m', 'a/m', 'c/m']);
  });

  test('hold for any alias: each copy once, none that is left alone before one that is not', () => {
    const some = fc.subarray(
      entries.map(({ engine, model }) => `${engine.id}/${model}`),
      { minLength: 1 },
    );
    const places = fc.array(
      fc.array(fc.tuple(some, fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 3 }),
      { minLength: 0, maxLength: 3 },
    );
    const down = fc.subarray(entries.map(({ engine, model }) => `${engine.id}/${model}`));
    fc.assert(
      fc.property(
        fc.constantFrom(...STRATEGIES),
        places,
        fc.array(down, { maxLength: 4 }),
        (strategy, all, moments) => {
          const found = all.map((place, p) =>
            place.map(([names, weight], t) => target(`t${p}${t}`, names, weight)),
          );
          for (const gone of moments) {
            standings = Object.fromEntries(gone.map((name) => [name, { available: false }]));
            const order = ask(found, strategy);
            const expected = new Set(found.flat().flatMap((each) => namesOf(each.entries)));
            expect(order.toSorted()).toEqual([...expected].sort());
            const refused = order.map((name) => gone.includes(name));
            expect(refused).toEqual(refused.toSorted());
          }
        },
      ),
    );
  });
});
