/** Limits at full length: the model over 100,000 schedules, and ten million sources in memory of a fixed size. */
import { expect, test } from 'bun:test';
import { createAddresses } from '../../src/admission/limits/addresses';
import { limit, schedule } from '../support/limit-model';

test('FLM-110: as the model has it, in 100,000 random schedules', () => {
  for (let seed = 0; seed < 100_000; seed++) schedule(seed);
}, 300_000);

test('HL-005: ten million sources take no more memory than the table has', () => {
  const addresses = createAddresses({ seed: 1 });
  const perMinute = limit(1_000);
  const fill = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      const bucket = `2001:db8:${(i >>> 16).toString(16)}:${(i & 0xffff).toString(16)}::/64`;
      addresses.take(bucket, perMinute, Math.floor(i / 300));
    }
  };
  fill(0, 100_000);
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const startedMs = performance.now();
  fill(100_000, 10_000_000);
  const tookMs = performance.now() - startedMs;
  Bun.gc(true);
  const grownBytes = process.memoryUsage.rss() - before;
  console.log(`${(tookMs / 9.9).toFixed(0)} ns each, ${(grownBytes / 1e6).toFixed(1)} MB more`);
  expect(addresses.size).toBe(65_536);
  expect(grownBytes).toBeLessThan(50e6);
}, 300_000);
