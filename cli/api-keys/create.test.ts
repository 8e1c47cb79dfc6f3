/** What is said of the models that a new key may use. */
import { describe, expect, test } from 'bun:test';
import type { AliasView, ModelView } from '../../src/models';
import { codeOf } from '../../test/support/thrown';
import { checkPattern, hasMatch, namesOf } from './create';

const model: ModelView = {
  id: 'llama3.2:latest',
  other_names: ['llama3.2'],
  uri: 'flm://ollama-default/llama3.2:latest',
  engine: 'ollama-default',
  kind: 'ollama',
  loaded: null,
  context_length: null,
  capabilities: [],
  family: null,
  parameters: null,
  quantization: null,
  size_bytes: null,
};
const alias: AliasView = { name: 'fast', places: [], strategy: 'manual', shadows: false, updated_at: '' };

test('a star counts at the end alone, and is refused elsewhere', async () => {
  for (const pattern of ['*', 'llama*', 'flm://e/*', 'plain']) checkPattern(pattern);
  for (const pattern of ['*x', 'a*b', '**', '*x*'])
    expect([pattern, await codeOf(() => checkPattern(pattern))]).toEqual([pattern, 'INVALID_INPUT']);
});

describe('a name in the list of a key', () => {
  const names = namesOf([model], [alias]);

  test.each([
    'llama3.2',
    'llama3.2:latest',
    'llama*',
    'fast',
    '*',
    'flm://ollama-default/llama3.2',
    'flm://ollama/*',
  ])('%s is one that there is', (pattern) => {
    expect(hasMatch(pattern, names)).toBe(true);
  });

  test.each(['nosuchmodel', 'llama', 'qwen*', 'flm://other/*', ''])('%p is none', (pattern) => {
    expect(hasMatch(pattern, names)).toBe(false);
  });
});
