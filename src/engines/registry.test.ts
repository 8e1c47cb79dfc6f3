/** The registry: every kind has an adapter, the particular is asked before the general. */
import { expect, test } from 'bun:test';
import { ADAPTERS, ENGINE_KINDS, findKind, RECOGNITION } from './registry';

test('every adapter says its own kind, and every kind takes part in recognition, once', () => {
  for (const kind of ENGINE_KINDS) expect(ADAPTERS[kind].kind).toBe(kind);
  expect(RECOGNITION.map(({ kind }) => kind).sort()).toEqual([...ENGINE_KINDS].sort());
  // Everything that speaks OpenAI's API would be taken for that alone.
  expect(RECOGNITION.at(-1)?.kind).toBe('openai');
});

test.each([
  ['llamacpp', 'llamacpp'],
  ['llama-cpp', 'llamacpp'],
  ['llama.cpp', 'llamacpp'],
  ['LlamaCpp', 'llamacpp'],
  ['OpenAI', 'openai'],
  ['gpt', null],
  ['', null],
  ['toString', null],
  ['constructor', null],
  ['__proto__', null],
] as const)('the kind %p is %p (FLM-014)', (name, kind) => {
  expect(findKind(name)).toBe(kind);
});
