/** What the old process does when another comes, when nobody comes, and when keys end behind its back. */
import { describe, expect, test } from 'bun:test';
import { eventually } from '../../test/support/eventually';
import { manualClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { silentLog } from '../lib/log';
import { createHandOver } from './hand-over';

interface World {
  /** After how many looks an heir answers; never, if null. */
  readonly heirAfter: number | null;
  /** Times that the data directory is found locked. */
  readonly locked?: number;
  readonly blind?: boolean;
  readonly stop?: boolean;
  /** Requests under way, look after look. */
  readonly busy?: readonly number[];
  /** Whether requests have ended that the heir has not heard of, look after look. */
  readonly news?: readonly boolean[];
}

async function handOver(world: World, until: 'over' | 'serving') {
  const clock = manualClock();
  const steps: string[] = [];
  let looks = 0;
  let locked = world.locked ?? 0;
  const busy = [...(world.busy ?? [0])];
  const news = [...(world.news ?? [])];
  const toldAtMs: number[] = [];
  const back = Promise.withResolvers<void>();
  const handing = createHandOver(
    {
      clock,
      log: silentLog,
      async pause() {
        steps.push('pause');
      },
      async resume() {
        steps.push('resume');
        if (locked-- > 0) throw new FlmError('DB_LOCKED');
        back.resolve();
      },
      heirAnswers: async () => world.heirAfter !== null && ++looks > world.heirAfter,
      leave: () => void steps.push('leave'),
      async refreshKeys() {
        steps.push('keys');
        if (world.blind === true) throw new Error('no such table');
      },
      hasNews: () => news.shift() ?? false,
      async tellHeir() {
        steps.push('tell');
        toldAtMs.push(clock.monotonicMs());
        return { stop: world.stop === true };
      },
      busy: () => (busy.length > 1 ? (busy.shift() ?? 0) : (busy[0] ?? 0)),
      async drain() {
        steps.push('drain');
      },
      async sleep(ms) {
        clock.advance(ms);
      },
    },
    2_000,
  );
  await handing.begin();
  const refused = await handing.begin().then(
    () => null,
    (error: unknown) => (error instanceof FlmError ? error.code : null),
  );
  expect(refused).toBe('HANDOVER_UNAVAILABLE');
  if (until === 'over') await handing.over;
  else {
    await back.promise;
    await eventually(() => handing.state() === 'serving');
  }
  return { steps, toldAtMs, state: handing.state(), elapsedMs: clock.monotonicMs() };
}

describe('the old process', () => {
  test('leaves once the new one answers, and ends when its last request and idle connections are gone', async () => {
    const { steps, state } = await handOver({ heirAfter: 3, busy: [2, 2, 2, 1, 0] }, 'over');
    expect(steps.slice(0, 2)).toEqual(['pause', 'leave']);
    expect(steps.filter((step) => step === 'keys').length).toBeGreaterThanOrEqual(2);
    expect([steps.at(-1), state]).toEqual(['tell', 'left']);
    expect(steps).not.toContain('drain');
  });

  test('goes on when nobody has come after three seconds', async () => {
    const { steps, state, elapsedMs } = await handOver({ heirAfter: null }, 'serving');
    expect([steps, state]).toEqual([['pause', 'resume'], 'serving']);
    expect(elapsedMs).toBe(3_000);
  });

  test('waits for as long as another process has the data directory', async () => {
    const { steps } = await handOver({ heirAfter: null, locked: 2 }, 'serving');
    expect(steps).toEqual(['pause', 'resume', 'resume', 'resume']);
    const late = await handOver({ heirAfter: 100, locked: 1_000 }, 'over');
    expect([late.steps.includes('leave'), late.state]).toEqual([true, 'left']);
  });

  test('ends its requests when it cannot know whose keys are good, and when FLM is stopped', async () => {
    const blind = await handOver({ heirAfter: 0, blind: true, busy: [1] }, 'over');
    expect(blind.steps).toEqual(['pause', 'leave', 'keys', 'tell', 'keys', 'tell', 'drain', 'tell']);
    const stopped = await handOver({ heirAfter: 0, stop: true, busy: [1] }, 'over');
    expect(stopped.steps).toEqual(['pause', 'leave', 'keys', 'tell', 'drain', 'tell']);
  });

  test('tells what has ended within 25 ms, and without news once a second', async () => {
    const quiet = await handOver({ heirAfter: 0 }, 'over');
    const apart = (times: readonly number[]) => times.slice(1).map((ms, at) => ms - (times[at] ?? 0));
    expect(apart(quiet.toldAtMs)).toEqual([1_000, expect.any(Number)]);
    // It is asked for news from the second look on: the first tells in any case.
    const busy = await handOver({ heirAfter: 0, news: [true, false, true, true] }, 'over');
    expect(apart(busy.toldAtMs).slice(0, 4)).toEqual([25, 50, 25, 900]);
    expect(busy.steps.filter((step) => step === 'keys').length).toBe(
      quiet.steps.filter((step) => step === 'keys').length,
    );
  });
});
