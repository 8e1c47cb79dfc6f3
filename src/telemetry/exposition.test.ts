import { describe, expect, test } from 'bun:test';
import { metricsIn, numberOf } from '../../test/support/metrics';
import { exposition } from './exposition';
import { createRegistry } from './registry';

describe('the text for Prometheus', () => {
  test('is the text of the format, version 0.0.4', async () => {
    const registry = createRegistry();
    registry.counter('a_total', 'Things.\nTwo \\ lines.').add(3);
    registry.histograms('b_seconds', 'Times.', ['engine'], [0.1, 1]).of('x').observe(0.1);
    registry.read('gauge', 'c', 'Nothing yet.', () => null);
    expect(await exposition(registry.families())).toBe(
      [
        '# HELP a_total Things.\\nTwo \\\\ lines.',
        '# TYPE a_total counter',
        'a_total 3',
        '# HELP b_seconds Times.',
        '# TYPE b_seconds histogram',
        'b_seconds_bucket{engine="x",le="0.1"} 1',
        'b_seconds_bucket{engine="x",le="1"} 1',
        'b_seconds_bucket{engine="x",le="+Inf"} 1',
        'b_seconds_sum{engine="x"} 0.1',
        'b_seconds_count{engine="x"} 1',
        '# HELP c Nothing yet.',
        '# TYPE c gauge',
        '',
      ].join('\n'),
    );
  });

  test.each(['plain', 'a"b', 'a\\b', 'a\nb', '\\"\n', 'ünïcödé', '{}=,'])(
    'gives a model that is called %j back as it is',
    async (model) => {
      const registry = createRegistry();
      registry.counters('a_total', 'A.', ['model']).of(model).add(7);
      const text = await exposition(registry.families());
      expect(numberOf(metricsIn(text), 'a_total', { model })).toBe(7);
    },
  );

  test('counts what is larger than every bound', async () => {
    const registry = createRegistry();
    const child = registry.histograms('a', 'A.', [], [1, 2]).of();
    for (const value of [0, 1, 1.5, 2, 9]) child.observe(value);
    const lines = metricsIn(await exposition(registry.families()));
    const bucket = (le: string) => numberOf(lines, 'a_bucket', { le });
    expect([bucket('1'), bucket('2'), bucket('+Inf'), numberOf(lines, 'a_sum')]).toEqual([2, 4, 5, 13.5]);
  });

  test('lets others run while a long one is made', async () => {
    const registry = createRegistry();
    const family = registry.histograms('a', 'A.', ['model'], [1]);
    for (let each = 0; each < 1_000; each++) family.of(String(each));
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await exposition(registry.families());
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  test('cannot hold a name twice', () => {
    const registry = createRegistry();
    registry.counter('a', 'A.');
    expect(() => registry.counter('a', 'A.')).toThrow('there twice');
  });
});
