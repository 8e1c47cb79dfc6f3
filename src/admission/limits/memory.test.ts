/**
 * Limits against a model that knows no shortcuts, and in processes that are stopped, killed and replaced: what they grant
 * together is never too much.
 */
import { describe, expect, test } from 'bun:test';
import { limit, schedule } from '../../../test/support/limit-model';
import { memoryRows } from '../../../test/support/limit-rows';
import { seededRandom } from '../../../test/support/random';
import { type ManualClock, manualClock } from '../../lib/clock';
import { silentLog } from '../../lib/log';
import { createMemoryStore, type MemoryStore } from './memory';
import type { Limit } from './meter';
import type { Demand } from './model';

const MINUTE = 60_000;

test('FLM-110: as the model has it, in 10,000 random schedules (test/slow has 100,000)', () => {
  for (let seed = 0; seed < 10_000; seed++) schedule(seed);
}, 60_000);

/* Processes that come and go. */

interface Grant {
  readonly atMs: number;
  readonly cost: number;
  /** When the window that it was counted in was opened. */
  readonly windowMs: number;
}

interface Process {
  readonly store: MemoryStore;
  readonly clock: ManualClock;
}

/** Begins at wall time `nowMs`; each process has a monotonic clock of its own. */
function processAt(nowMs: number, rows: ReturnType<typeof memoryRows>): Process {
  const clock = manualClock(nowMs);
  return { clock, store: createMemoryStore({ clock, rows, log: silentLog }) };
}

/** What the grants of all processes together break: a window that any of them had, or the bucket. */
function broken(grants: readonly Grant[], { perMinute, burst }: Limit): string | null {
  const sumOf = (some: readonly Grant[]) => some.reduce((sum, { cost }) => sum + cost, 0);
  for (const { windowMs } of grants) {
    const count = sumOf(grants.filter(({ atMs }) => atMs >= windowMs && atMs < windowMs + MINUTE));
    if (count > perMinute) return `${count} in the minute from ${windowMs}`;
  }
  for (const [index, first] of grants.entries()) {
    let sum = 0;
    for (const grant of grants.slice(index)) {
      sum += grant.cost;
      const elapsedMs = grant.atMs - first.atMs;
      if (sum * MINUTE > burst * MINUTE + elapsedMs * perMinute)
        return `${sum} within ${elapsedMs} ms from a bucket of ${burst}`;
    }
  }
  return null;
}

type End = 'close' | 'kill' | 'replace';

function lives(seed: number, ends: readonly [End, ...End[]]) {
  const random = seededRandom(seed);
  const unit = random.pick(['requests', 'tokens'] as const);
  const perMinute = 1 + random.int(40);
  const made = limit(perMinute, unit === 'tokens' ? perMinute : 1 + random.int(60));
  const rows = memoryRows();
  const grants: Grant[] = [];
  let wallMs = 1_760_000_000_000;
  let current = processAt(wallMs, rows);
  /** One that was replaced and still serves. */
  let elder: Process | null = null;

  function ask({ store, clock }: Process): void {
    const cost = unit === 'tokens' ? 1 + random.int(perMinute) : 1;
    const { refused, standings } = store.take([{ subject: 'k', unit, limit: made, cost }]);
    const window = standings[0]?.window ?? Number.NaN;
    if (refused === null)
      grants.push({ atMs: wallMs, cost, windowMs: wallMs - (clock.monotonicMs() - window) });
  }

  for (let step = 0; step < 60; step++) {
    const what = random.int(20);
    if (what < 11) ask(elder !== null && random.int(2) === 0 ? elder : current);
    else if (what < 17) {
      const ms = random.pick([1, 40, 900, 1_000, 4_000, 20_000, 61_000]);
      wallMs += ms;
      current.clock.advance(ms);
      elder?.clock.advance(ms);
    } else if (what === 17) current.store.flush();
    else {
      const end = random.pick(ends);
      if (end === 'close') current.store.close();
      if (end === 'replace') {
        current.store.pause();
        elder = current;
      }
      current = processAt(wallMs, rows);
    }
  }
  const wrong = broken(grants, made);
  if (wrong !== null)
    expect<unknown>({ seed, limit: made, wrong }).toEqual({ seed, limit: made, wrong: null });
  return grants.length;
}

describe('processes one after the other never grant more than the limit', () => {
  test.each([
    ['stopped', ['close']] as const,
    ['killed', ['kill']] as const,
    ['replaced while they serve', ['replace']] as const,
    ['stopped, killed and replaced', ['close', 'kill', 'replace']] as const,
  ])('%s', (_, ends) => {
    let granted = 0;
    for (let seed = 0; seed < 10_000; seed++) granted += lives(seed, ends);
    // They do grant something.
    expect(granted).toBeGreaterThan(50_000);
  });
});

describe('a restart', () => {
  const demand = (cost = 1, made = limit(100)): Demand => ({
    subject: 'k',
    unit: 'requests',
    limit: made,
    cost,
  });

  test('in good order: window and bucket as they stood', () => {
    const rows = memoryRows();
    const first = processAt(0, rows);
    for (let i = 0; i < 30; i++) first.store.take([demand()]);
    // The bucket has 70 + 10 by then; what it would have gained until the next start it does not.
    first.clock.advance(6_000);
    first.store.close();
    const second = processAt(20_000, rows);
    expect(second.store.take([demand(0)]).standings[0]?.remaining).toBe(70);
    second.clock.advance(39_999);
    expect(second.store.take([demand(0)]).standings[0]?.remaining).toBe(70);
    second.clock.advance(1);
    expect(second.store.take([demand(0)]).standings[0]?.remaining).toBe(100);
  });

  test.each(['close', 'kill', 'replace'] as const)(
    '%s: takes nothing from those who asked for nothing',
    (end) => {
      const rows = memoryRows();
      const first = processAt(0, rows);
      if (end === 'close') first.store.close();
      if (end === 'replace') first.store.pause();
      const second = processAt(1_000, rows);
      const small = limit(30, 2);
      // One that was replaced may still serve a connection that it has kept.
      const left = end === 'replace' ? 1 : 2;
      expect(second.store.take([demand(0, small)]).standings[0]?.remaining).toBe(left);
      expect(second.store.take([demand(1, small)]).refused).toBeNull();
    },
  );

  test('the bucket fills while nobody asks (FLM-110)', () => {
    const rows = memoryRows();
    const first = processAt(0, rows);
    for (let i = 0; i < 100; i++) first.store.take([demand()]);
    first.store.close();
    const second = processAt(1_000, rows);
    second.clock.advance(85_000);
    expect(second.store.take([demand()])).toMatchObject({ refused: null });
    expect(second.store.take([demand(0)]).standings[0]?.remaining).toBe(99);
  });

  test('the first of a minute is written, and then one in twenty', () => {
    const rows = memoryRows();
    const { store, clock } = processAt(0, rows);
    for (let i = 0; i < 12; i++) store.take([demand()]);
    store.flush();
    expect(rows.writes.count).toBe(1);
    for (let i = 0; i < 88; i++) {
      store.take([demand()]);
      clock.advance(10);
    }
    expect(rows.writes.count).toBeLessThanOrEqual(5);
  });

  test('a larger bucket is there at once', () => {
    const { store } = processAt(0, memoryRows());
    for (let i = 0; i < 2; i++) store.take([demand(1, limit(60, 2))]);
    expect(store.take([demand(1, limit(60, 2))]).refused).toBe(0);
    expect(store.take([demand(0, limit(60, 10))]).standings[0]?.remaining).toBe(8);
  });

  test('with a full disk everybody is served, by what is in memory', () => {
    const rows = memoryRows();
    rows.isFull = true;
    const { store } = processAt(0, rows);
    let granted = 0;
    for (let i = 0; i < 200; i++) if (store.take([demand()]).refused === null) granted++;
    expect(granted).toBe(100);
  });

  test('a clock that was set back in between makes the window no longer than a minute', () => {
    const rows = memoryRows();
    const first = processAt(1_000_000_000, rows);
    for (let i = 0; i < 100; i++) first.store.take([demand()]);
    first.store.close();
    const second = processAt(500_000_000, rows);
    expect(second.store.take([demand()]).refused).toBe(0);
    second.clock.advance(60_000);
    expect(second.store.take([demand()]).refused).toBe(null);
  });
});

test('what is idle is forgotten', () => {
  const rows = memoryRows();
  const { store, clock } = processAt(0, rows);
  for (let i = 0; i < 1_000; i++)
    store.take([{ subject: `k${i}`, unit: 'requests', limit: limit(10), cost: 1 }]);
  expect(store.size).toBe(1_000);
  clock.advance(60_000);
  for (let i = 0; i < 60; i++) store.flush();
  expect(store.size).toBe(0);
});
