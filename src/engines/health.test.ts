/** From looks to a status: the transitions of FLM-044, one table each. */
import { describe, expect, test } from 'bun:test';
import type { EngineModel } from '../contract';
import type { Look } from './examine';
import { type Health, judge } from './health';

const LIMITS = { latencyThresholdMs: 1_500, maxFailures: 3 };
const MODEL: EngineModel = {
  id: 'm',
  otherNames: [],
  ownedBy: 'o',
  createdSeconds: 0,
  contextLength: null,
  loaded: null,
  capabilities: [],
  family: null,
  parameters: null,
  quantization: null,
  sizeBytes: null,
};

function look(found: Look['found'], latencyMs: number | null = 10): Look {
  return {
    ref: { id: 'e', kind: 'openai', baseUrl: 'http://127.0.0.1:1', origin: 'manual' },
    found,
    reason: found === 'running' ? null : `because ${found}`,
    version: found === 'running' ? '1' : null,
    latencyMs,
    slots: found === 'running' ? 4 : null,
    routes: [],
    models: found === 'running' ? [MODEL] : [],
  };
}

/** `slow` is an answer over the threshold. */
function statesAfter(...finds: (Look['found'] | 'slow')[]): string[] {
  let health: Health | null = null;
  return finds.map((found) => {
    health = judge(health, found === 'slow' ? look('running', 1_500) : look(found), LIMITS);
    const { status, consecutiveFailures, models } = health.state;
    return `${status} ${consecutiveFailures} ${models.length}`;
  });
}

describe('judge', () => {
  test.each<[string, (Look['found'] | 'slow')[], string[]]>([
    ['an engine that answers is healthy at once', ['running'], ['running-healthy 0 1']],
    [
      'late answers make it degraded, three in time healthy again',
      ['running', 'slow', 'running', 'running', 'running'],
      [
        'running-healthy 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-healthy 0 1',
      ],
    ],
    [
      'a late answer starts the three anew',
      ['slow', 'running', 'running', 'slow', 'running', 'running', 'running'],
      [
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-healthy 0 1',
      ],
    ],
    [
      'two looks without an answer leave it in use with its models, the third does not',
      ['running', 'silent', 'silent', 'silent', 'silent'],
      [
        'running-healthy 0 1',
        'running-degraded 1 1',
        'running-degraded 2 1',
        'error-network 3 0',
        'error-network 4 0',
      ],
    ],
    [
      'an engine that takes no requests is left alone after three looks',
      ['running', 'faulty', 'faulty', 'faulty'],
      ['running-healthy 0 1', 'running-degraded 1 1', 'running-degraded 2 1', 'error-api 3 0'],
    ],
    [
      'nobody there is no matter of counting, and whoever comes back is healthy',
      ['running', 'gone', 'gone', 'running'],
      ['running-healthy 0 1', 'error-network 1 0', 'error-network 2 0', 'running-healthy 0 1'],
    ],
    [
      'something else there: three good looks until it is trusted',
      ['running', 'other', 'running', 'running', 'running'],
      [
        'running-healthy 0 1',
        'error-api 1 0',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-healthy 0 1',
      ],
    ],
    [
      'a key is no trouble of the engine',
      ['needs-key', 'needs-key', 'running'],
      ['needs-key 0 0', 'needs-key 0 0', 'running-healthy 0 1'],
    ],
    [
      'one that does not answer because it works stays in use for as long as that takes',
      ['running', 'working', 'working', 'working', 'working', 'silent'],
      [
        'running-healthy 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-degraded 0 1',
        'running-degraded 1 1',
      ],
    ],
    ['an engine never seen is not in use because it is silent', ['silent'], ['error-network 1 0']],
  ])('%s', (_, finds, expected) => {
    expect(statesAfter(...finds)).toEqual(expected);
  });

  test('keeps what was known while a look is missed, and says why', () => {
    const before = judge(null, look('running', 20), LIMITS);
    const { state } = judge(before, look('silent', null), LIMITS);
    expect(state).toMatchObject({ version: '1', slots: 4, latencyMs: 20, reason: 'because silent' });
  });
});
