/** Which bodies are too slow, by a clock that only the test moves. */
import { expect, test } from 'bun:test';
import { manualClock } from '../lib/clock';
import { Intake } from './intake';

const RATE = 1_000;
const SWEEP_MS = 250;

/** Sends `bytes(second)` in each second of `seconds`; returns after how many of them it was given up, null for never. */
function run(
  seconds: number,
  bytes: (second: number) => number,
  { rate = RATE as number | null, expected = null as number | null } = {},
): number | null {
  const clock = manualClock();
  const intake = new Intake({ clock, minBodyBytesPerSecond: () => rate });
  if (expected !== null) intake.expect(expected);
  for (let second = 0; second < seconds; second++) {
    if (expected === null) intake.came(bytes(second));
    for (let ms = 0; ms < 1_000; ms += SWEEP_MS) {
      clock.advance(SWEEP_MS);
      if (intake.isTooSlow(clock.monotonicMs())) return second + 1;
    }
  }
  return null;
}

test.each<[string, number, (second: number) => number, number | null]>([
  ['nothing', 60, () => 0, 15],
  ['a byte a second', 60, () => 1, 16],
  ['half of the rate', 60, () => RATE / 2, 29],
  ['the rate', 600, () => RATE, null],
  ['20 MB at 100 kB/s', 200, () => 100_000, null],
  ['all of a second’s bytes every ten seconds', 600, (second) => (second % 10 === 0 ? 10 * RATE : 0), null],
  // Nobody buys an hour of silence with a fast start.
  ['10 MB at once and then a byte a second', 3_600, (second) => (second === 0 ? 10_000_000 : 1), 16],
])('%s', (_, seconds, bytes, end) => {
  expect(run(seconds, bytes)).toBe(end);
});

test('a body that is read at once has the time that it would take at the slowest rate', () => {
  expect(run(600, () => 0, { expected: 60 * RATE })).toBe(75);
  expect(run(600, () => 0, { expected: 10 })).toBe(16);
});

test('without a rate a body may take its time', () => {
  expect(run(10_000, () => 0, { rate: null })).toBe(null);
});

test('a pause of FLM itself is not the client’s', () => {
  const clock = manualClock();
  const intake = new Intake({ clock, minBodyBytesPerSecond: () => RATE });
  clock.advance(60_000);
  expect(intake.isTooSlow(clock.monotonicMs())).toBe(false);
});
