/** Names of models, as clients write them (FLM-050). */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { errorOf } from '../../test/support/thrown';
import { addressOf, parseModelName } from './model-name';

describe('parseModelName', () => {
  test.each([
    ['gpt-4', null, 'gpt-4'],
    ['qwen2.5-coder:7b', null, 'qwen2.5-coder:7b'],
    ['meta-llama/Llama-3.1-8B', null, 'meta-llama/Llama-3.1-8B'],
    ['FLM://e/m', null, 'FLM://e/m'], // the prefix is written in one way
    ['flm:/e/m', null, 'flm:/e/m'],
    [' m', null, ' m'],
    ['x'.repeat(200), null, 'x'.repeat(200)],
    ['flm://e/m', 'e', 'm'],
    ['flm://llamacpp-default/org/model:7b', 'llamacpp-default', 'org/model:7b'],
    ['flm://E_1/flm://e/m', 'E_1', 'flm://e/m'],
    [`flm://${'e'.repeat(100)}/${'x'.repeat(200)}`, 'e'.repeat(100), 'x'.repeat(200)],
  ])('%s', (text, engine, model) => {
    const name = parseModelName(text);
    expect([name.kind === 'address' ? name.engine : null, name.model]).toEqual([engine, model]);
  });

  test.each([
    ['', 'it is empty'],
    ['x'.repeat(201), 'it is longer than 200 characters'],
    ['flm://', 'the engine after flm:// is missing or malformed'],
    ['flm://e', 'the engine after flm:// is missing or malformed'],
    ['flm:///m', 'the engine after flm:// is missing or malformed'],
    ['flm://e e/m', 'the engine after flm:// is missing or malformed'],
    ['flm://é/m', 'the engine after flm:// is missing or malformed'],
    ['flm://../m', 'the engine after flm:// is missing or malformed'],
    [`flm://${'e'.repeat(101)}/m`, 'the engine after flm:// is missing or malformed'],
    ['flm://e/', 'the model after the engine is missing or too long'],
    [`flm://e/${'x'.repeat(201)}`, 'the model after the engine is missing or too long'],
  ])('refuses %p', async (text, reason) => {
    const error = await errorOf(() => parseModelName(text));
    expect([error.code, error.param, error.meta]).toEqual(['INVALID_MODEL', 'model', { reason }]);
  });

  test('reads back every address it writes', () => {
    const engine = fc.stringMatching(/^[A-Za-z0-9_-]{1,100}$/);
    const model = fc.string({ minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(engine, model, (id, name) => {
        expect(parseModelName(addressOf(id, name))).toEqual({ kind: 'address', engine: id, model: name });
      }),
    );
  });
});
