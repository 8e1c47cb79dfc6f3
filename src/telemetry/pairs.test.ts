import { describe, expect, test } from 'bun:test';
import { createPairs, OTHER, UNKNOWN } from './pairs';
import { createRegistry } from './registry';

function setUp(isKnown = (_engine: string, _model: string) => true) {
  const registry = createRegistry();
  const pairs = createPairs({ registry, isKnown });
  const labels = () =>
    registry
      .families()
      .filter(({ name }) => name === 'flm_request_duration_seconds')
      .flatMap((family) => (family.type === 'histogram' ? family.distributions() : []))
      .map((each) => each.labels);
  return { pairs, labels };
}

describe('series by engine and model', () => {
  test('are the same for the same pair', () => {
    const { pairs, labels } = setUp();
    expect(pairs.of('e', 'm')).toBe(pairs.of('e', 'm'));
    expect(labels()).toEqual([['e', 'm']]);
  });

  test('are one for all that the catalogue does not have', () => {
    const { pairs, labels } = setUp((_, model) => model === 'm');
    for (const model of ['m', 'x', 'y']) pairs.of('e', model);
    expect(labels()).toEqual([
      ['e', 'm'],
      ['e', UNKNOWN],
    ]);
  });

  test('are bounded, whatever 20 engines with 200 models each are asked for', () => {
    const { pairs, labels } = setUp();
    for (let model = 0; model < 200; model++)
      for (let engine = 0; engine < 20; engine++) pairs.of(`e${engine}`, `m${model}`);
    expect(labels().length).toBe(220);
    expect(labels().filter(([, model]) => model === OTHER).length).toBe(20);
  });

  test('are bounded for engines, too', () => {
    const { pairs, labels } = setUp();
    for (let engine = 0; engine < 500; engine++) pairs.of(`e${engine}`, 'm');
    expect(new Set(labels().map(([engine]) => engine)).size).toBe(101);
  });

  test('go with their engine, and make room', () => {
    const { pairs, labels } = setUp();
    for (let model = 0; model < 200; model++) pairs.of('old', `m${model}`);
    pairs.forget('old');
    pairs.forget('never-was');
    expect(labels()).toEqual([]);
    pairs.of('new', 'm');
    expect(labels()).toEqual([['new', 'm']]);
  });
});
