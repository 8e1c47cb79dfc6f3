/** Whose turn it is: the plan's order, nobody twice, and nobody whose engine failed as a whole. */
import { expect, test } from 'bun:test';
import type { Candidate } from '../contract';
import { Turns } from './candidates';

function candidate(address: string): Candidate {
  const [id = '', model = ''] = address.split('/');
  return { engine: { id, kind: 'openai', baseUrl: `http://${id}`, origin: 'manual' }, model };
}

/** The order in which they are asked when each of `dead` fails as a whole and the others merely decline. */
function order(addresses: readonly string[], dead: readonly string[] = []): string[] {
  const turns = new Turns(addresses.map(candidate));
  const asked: string[] = [];
  for (let next = turns.take(); next !== null; next = turns.take()) {
    asked.push(`${next.engine.id}/${next.model}`);
    if (dead.includes(next.engine.id)) turns.dismiss(next.engine);
  }
  expect(turns.remain()).toBe(false);
  return asked;
}

test.each([
  ['all, in their order', ['a/m', 'b/m', 'c/m'], [], ['a/m', 'b/m', 'c/m']],
  ['nobody twice', ['a/m', 'b/m', 'a/m', 'b/m'], [], ['a/m', 'b/m']],
  ['another model of an engine that answered', ['a/big', 'a/small'], [], ['a/big', 'a/small']],
  [
    'no other model of an engine that is dead',
    ['a/big', 'a/small', 'b/m', 'a/tiny'],
    ['a'],
    ['a/big', 'b/m'],
  ],
  ['only dead ones', ['a/1', 'a/2', 'b/1', 'b/2'], ['a', 'b'], ['a/1', 'b/1']],
  ['nobody', [], [], []],
] as const)('%s', (_, addresses, dead, asked) => {
  expect(order(addresses, dead)).toEqual([...asked]);
});

test('tells whether anybody is left, as of now', () => {
  const turns = new Turns(['a/1', 'a/2', 'b/1'].map(candidate));
  const first = turns.take();
  expect(turns.remain()).toBe(true);
  if (first !== null) turns.dismiss(first.engine);
  expect(turns.take()?.engine.id).toBe('b');
  expect([turns.remain(), turns.take()]).toEqual([false, null]);
});

test('three get the request and no more; those that it does not reach do not count', () => {
  const turns = new Turns(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => candidate(`${id}/m`)));
  const reached: string[] = [];
  for (let next = turns.take(); next !== null; next = turns.take()) {
    turns.asked();
    if (['a', 'c'].includes(next.engine.id)) turns.unreached();
    else reached.push(next.engine.id);
    expect(turns.remain()).toBe(reached.length < 3);
  }
  expect(reached).toEqual(['b', 'd', 'e']);
});
