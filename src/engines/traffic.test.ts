/** What engines showed lately: shares, speeds, and when a model counts as degraded. */
import { describe, expect, test } from 'bun:test';
import type { Candidate, LeaseOutcome, Seen } from '../contract';
import { manualClock } from '../lib/clock';
import { createTraffic } from './traffic';

const CANDIDATE: Candidate = {
  engine: { id: 'e', kind: 'openai', baseUrl: 'http://127.0.0.1:1', origin: 'manual' },
  model: 'm',
};

function fixture() {
  const clock = manualClock();
  const traffic = createTraffic(clock);
  const add = (outcome: LeaseOutcome, times = 1, firstTokenMs: number | null = null, tokens = 0) => {
    const usage = { promptTokens: 1, completionTokens: tokens, cachedTokens: null, reasoningTokens: null };
    const seen: Seen = { firstTokenMs, usage, status: outcome === 'failed' ? 503 : 200 };
    for (let i = 0; i < times; i++) traffic.add(CANDIDATE, outcome, (firstTokenMs ?? 0) + 1_000, seen);
  };
  return { clock, traffic, add, now: () => traffic.of('e', 'm') };
}

describe('traffic', () => {
  test('knows nothing of what was never asked', () => {
    const { traffic } = fixture();
    expect(traffic.of('nobody', 'm')).toEqual({
      requests: 0,
      errorRate: 0,
      tokensPerSecond: null,
      degraded: false,
    });
  });

  test('counts what failed and what did not, and nobody who left', () => {
    const { add, now } = fixture();
    add('done', 3);
    add('failed');
    add('aborted', 50);
    expect(now()).toMatchObject({ requests: 4, errorRate: 0.25 });
  });

  test('measures output per second after the first token', () => {
    const { add, now } = fixture();
    add('done', 5, 500, 21);
    expect(now().tokensPerSecond).toBe(20);
  });

  test('is degraded when more than 15 % fail, and says so only of enough requests', () => {
    const { add, now } = fixture();
    add('failed', 2);
    add('done', 4);
    expect(now().degraded).toBe(false);
    add('done', 1);
    expect(now().degraded).toBe(true);
    add('done', 7);
    expect(now().degraded).toBe(false);
  });

  test('is degraded when first tokens take three times as long as they used to', () => {
    const { add, now } = fixture();
    add('done', 40, 100);
    expect(now().degraded).toBe(false);
    add('done', 5, 900);
    expect(now().degraded).toBe(true);
  });

  test('forgets after two minutes, and when it is told to', () => {
    const { add, now, clock, traffic } = fixture();
    add('failed', 10);
    clock.advance(119_999);
    expect(now().requests).toBe(10);
    clock.advance(1);
    expect(now().requests).toBe(0);
    add('failed', 10);
    traffic.forget('e');
    expect(now().requests).toBe(0);
  });

  test('keeps the last 64, however many come', () => {
    const { add, now } = fixture();
    add('failed', 100);
    add('done', 64);
    expect(now()).toMatchObject({ requests: 64, errorRate: 0 });
  });
});
