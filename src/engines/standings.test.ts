/** What ends of requests are to an engine's breaker: no client may shut an engine for everybody. */
import { describe, expect, test } from 'bun:test';
import { codeOf } from '../../test/support/thrown';
import type { Candidate, LeaseOutcome, Seen } from '../contract';
import { manualClock } from '../lib/clock';
import { createStandings } from './standings';

const CANDIDATE: Candidate = {
  engine: { id: 'e', kind: 'openai', baseUrl: 'http://127.0.0.1:1', origin: 'manual' },
  model: 'm',
};

function fixture() {
  const clock = manualClock();
  const standings = createStandings(clock, () => ({ failuresToOpen: 5, openMs: 30_000 }));
  const end = (outcome: LeaseOutcome, status: number | null, times = 5) => {
    for (let i = 0; i < times; i++) {
      standings.enter(CANDIDATE);
      const seen: Seen | null = status === null ? null : { firstTokenMs: null, usage: null, status };
      standings.leave(CANDIDATE, outcome, 1, seen, false);
    }
  };
  return { clock, standings, end };
}

describe('the breaker of an engine', () => {
  test.each<[string, LeaseOutcome, number | null, boolean]>([
    ['no answer at all', 'failed', null, true],
    ['502: what stands before it finds nobody', 'failed', 502, true],
    ['503', 'failed', 503, true],
    ['504', 'failed', 504, true],
    ['a stream that broke off', 'failed', 200, true],
    ['500, which engines answer to requests they cannot read', 'failed', 500, false],
    ['clients that left', 'aborted', null, false],
    ['answers', 'done', 200, false],
  ])('five times %s', async (_, outcome, status, opens) => {
    const { standings, end } = fixture();
    end(outcome, status);
    expect(standings.breakerOf('e')).toBe(opens ? 'open' : 'closed');
    if (opens) expect(await codeOf(() => standings.enter(CANDIDATE))).toBe('ENGINE_UNAVAILABLE');
    else standings.enter(CANDIDATE);
  });

  test('500 counts for the model all the same: it is asked last', () => {
    const { standings, end } = fixture();
    end('failed', 500, 8);
    expect(standings.recent('e', 'm')).toMatchObject({ errorRate: 1, degraded: true });
  });

  test('a stream that tries it lets others in with its first words, not with its last', async () => {
    const { standings, end, clock } = fixture();
    end('failed', null);
    clock.advance(30_000);
    standings.enter(CANDIDATE);
    expect(await codeOf(() => standings.enter(CANDIDATE))).toBe('ENGINE_UNAVAILABLE');
    standings.answered(CANDIDATE);
    standings.enter(CANDIDATE);
    standings.answered(CANDIDATE);
    expect(standings.breakerOf('e')).toBe('closed');
    // Their ends are no news.
    standings.leave(CANDIDATE, 'done', 1, { firstTokenMs: 1, usage: null, status: 200 }, true);
    expect(standings.works('e')).toBe(true);
    standings.leave(CANDIDATE, 'failed', 1, { firstTokenMs: 1, usage: null, status: 200 }, true);
    expect([standings.works('e'), standings.breakerOf('e')]).toEqual([false, 'closed']);
  });
});
