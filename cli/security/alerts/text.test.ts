import { describe, expect, test } from 'bun:test';
import { DEFAULT_RULES } from '../../../src/telemetry/alerts';
import { deliveriesText, rulesText, targetsText, testText } from './text';

describe('alerts in words', () => {
  test('rules', () => {
    expect(rulesText(DEFAULT_RULES.slice(1))).toBe(
      [
        'RULE              EVENT      SEVERITY  FROM  TARGETS  STATE',
        'intrusion-high    intrusion  high      70    log      on',
        'anomaly-critical  anomaly    critical  -     log      on',
      ].join('\n'),
    );
    expect(rulesText([])).toContain('flm security alerts set');
  });

  test('targets, with one that is gone', () => {
    const rest = { allow_private: false, public_key: null, updated_at: '2026-11-24T00:00:00.000Z' };
    const text = targetsText([
      { id: 'log', kind: 'log', url: null, enabled: true, ...rest },
      { id: 'ops', kind: 'webhook', url: 'https://hooks.example/…', enabled: false, ...rest },
    ]);
    expect(text).toBe(
      [
        'TARGET  KIND     STATE  URL',
        'log     log      on     -',
        'ops     webhook  gone   https://hooks.example/…',
      ].join('\n'),
    );
  });

  test('deliveries, with why one waits, and nothing that a terminal obeys', () => {
    const text = deliveriesText([
      {
        id: 'a',
        target: 'ops',
        type: 'alert.firing',
        message: 'Somebody\u001B[2J tries',
        state: 'waiting',
        attempts: 2,
        last_error: 'it answered 500',
        created_at: '2026-11-24T00:00:00.000Z',
        next_at: null,
      },
    ]);
    expect(text).toContain('ops     waiting  2      Somebody\uFFFD[2J tries\n  it answered 500');
  });

  test('what a test came to', () => {
    const rest = { id: 'a', answer: null, duration_ms: 12 };
    const text = testText([
      { target: 'log', ok: true, status: null, error: null, ...rest },
      { target: 'ops', ok: true, status: 204, error: null, ...rest },
      { target: 'old', ok: false, status: 410, error: 'it answered 410', ...rest },
    ]);
    expect(text.split('\n')).toEqual([
      '✓ log: it is in the log.',
      '✓ ops: it answered 204 (12 ms)',
      '✗ old: it answered 410 (12 ms)',
      '1 target did not take it.',
    ]);
  });
});
