/** The breaker: what opens it, who may try, what closes it; and that it never lets two try at once. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { LeaseOutcome } from '../contract';
import { manualClock } from '../lib/clock';
import { Breaker } from './breaker';

const LIMITS = { failuresToOpen: 5, openMs: 30_000 };

function fixture(limits = LIMITS) {
  const clock = manualClock();
  const breaker = new Breaker(clock, () => limits);
  const end = (outcome: LeaseOutcome, times = 1) => {
    for (let i = 0; i < times; i++) {
      expect(breaker.enter()).toBe(true);
      breaker.leave(outcome);
    }
  };
  return { clock, breaker, end };
}

describe('Breaker', () => {
  test('opens after five failures in a row, and not after five with a success between', () => {
    const { breaker, end } = fixture();
    end('failed', 4);
    end('done');
    end('failed', 4);
    expect(breaker.state).toBe('closed');
    end('failed');
    expect([breaker.state, breaker.enter(), breaker.retryAfterMs]).toEqual(['open', false, 30_000]);
  });

  test('counts a client that left for nothing', () => {
    const { breaker, end } = fixture();
    end('failed', 4);
    end('aborted', 100);
    expect(breaker.state).toBe('closed');
    end('failed');
    expect(breaker.state).toBe('open');
  });

  test('lets one request try after its time, and two that succeed close it', () => {
    const { clock, breaker, end } = fixture();
    end('failed', 5);
    clock.advance(29_999);
    expect(breaker.enter()).toBe(false);
    clock.advance(1);
    expect(breaker.state).toBe('half-open');
    expect([breaker.enter(), breaker.enter()]).toEqual([true, false]);
    breaker.leave('done');
    expect(breaker.state).toBe('half-open');
    end('done');
    expect(breaker.state).toBe('closed');
    end('failed', 4);
    expect(breaker.state).toBe('closed');
  });

  test('opens again at once when the try fails, and tries again when the client of it left', () => {
    const { clock, breaker, end } = fixture();
    end('failed', 5);
    clock.advance(30_000);
    end('failed');
    expect([breaker.state, breaker.retryAfterMs]).toEqual(['open', 30_000]);
    clock.advance(30_000);
    end('aborted');
    expect([breaker.state, breaker.enter()]).toEqual(['half-open', true]);
  });

  test('is not opened for longer by requests that went out before it opened', () => {
    const { clock, breaker } = fixture();
    for (let i = 0; i < 10; i++) breaker.enter();
    for (let i = 0; i < 5; i++) breaker.leave('failed');
    clock.advance(20_000);
    for (let i = 0; i < 5; i++) breaker.leave('failed');
    expect(breaker.retryAfterMs).toBe(10_000);
  });

  test('is tried by the next one when whoever tries it takes too long', () => {
    const { clock, breaker, end } = fixture();
    end('failed', 5);
    clock.advance(30_000);
    expect([breaker.enter(), breaker.retryAfterMs]).toEqual([true, 30_000]);
    clock.advance(29_999);
    expect(breaker.enter()).toBe(false);
    clock.advance(1);
    expect(breaker.enter()).toBe(true);
  });

  test('is not closed by what went out before it opened and ends well', () => {
    const { clock, breaker } = fixture();
    for (let i = 0; i < 8; i++) breaker.enter();
    for (let i = 0; i < 5; i++) breaker.leave('failed');
    for (let i = 0; i < 3; i++) breaker.leave('done');
    expect(breaker.state).toBe('open');
    clock.advance(30_000);
    breaker.enter();
    breaker.leave('done');
    expect(breaker.state).toBe('half-open');
  });

  test('never opens where the owner says so', () => {
    const { breaker, end } = fixture({ failuresToOpen: 0, openMs: 30_000 });
    end('failed', 1_000);
    expect(breaker.state).toBe('closed');
  });

  test('whatever happens: one at a time while it is half open, and closed again after two successes', () => {
    const step = fc.oneof(
      fc.constantFrom<LeaseOutcome>('done', 'failed', 'aborted'),
      fc.integer({ min: 1, max: 40_000 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, breaker } = fixture();
        for (const each of steps) {
          if (typeof each === 'number') clock.advance(each);
          else if (breaker.enter()) {
            if (breaker.state === 'half-open') expect(breaker.enter()).toBe(false);
            breaker.leave(each);
          }
        }
        clock.advance(30_000);
        for (let i = 0; i < 2; i++) {
          expect(breaker.enter()).toBe(true);
          breaker.leave('done');
        }
        expect(breaker.state).toBe('closed');
      }),
    );
  });
});
