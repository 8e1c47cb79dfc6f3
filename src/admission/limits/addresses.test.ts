/** Limits of addresses: bounded memory, and no fresh minute for whoever fills it. */
import { describe, expect, test } from 'bun:test';
import { limit } from '../../../test/support/limit-model';
import { createAddresses } from './addresses';

const PER_MINUTE = limit(10);

describe('an address', () => {
  test('is let through as often as its limit says, and then told how long to wait', () => {
    const addresses = createAddresses({ seed: 1 });
    const waits = Array.from({ length: 12 }, () => addresses.take('192.0.2.1', PER_MINUTE, 0));
    expect(waits).toEqual([...Array(10).fill(0), 60_000, 60_000]);
    expect(addresses.take('192.0.2.2', PER_MINUTE, 0)).toBe(0);
  });

  test('FLM-110: what is refused counts, so that whoever does not wait gets nothing', () => {
    const addresses = createAddresses({ seed: 1 });
    let through = 0;
    // Ten times as often as it may, for five minutes.
    for (let ms = 0; ms < 300_000; ms += 600) if (addresses.take('a', PER_MINUTE, ms) === 0) through++;
    expect(through).toBe(10);
    expect(addresses.take('a', PER_MINUTE, 370_000)).toBe(0);
  });

  test('is told apart again once the minute is over', () => {
    const addresses = createAddresses({ seed: 1 });
    for (let i = 0; i < 11; i++) addresses.take('a', PER_MINUTE, 0);
    expect(addresses.take('a', PER_MINUTE, 60_000)).toBe(0);
  });
});

describe('HL-005: a full table', () => {
  test('lets go of the address that was seen longest ago', () => {
    const addresses = createAddresses({ seed: 1, capacity: 3 });
    for (const bucket of ['a', 'b', 'c', 'a', 'd']) addresses.take(bucket, PER_MINUTE, 0);
    expect(addresses.size).toBe(3);
    // `a` was used after `b`: it is still there, with two of its ten gone.
    const left = Array.from({ length: 9 }, () => addresses.take('a', PER_MINUTE, 0));
    expect(left.filter((waitMs) => waitMs === 0).length).toBe(8);
  });

  test('gives nobody a fresh minute who comes back after having been pushed out', () => {
    const addresses = createAddresses({ seed: 7, capacity: 100 });
    for (let i = 0; i < 10; i++) addresses.take('attacker', PER_MINUTE, 0);
    for (let i = 0; i < 1_000; i++) addresses.take(`other ${i}`, PER_MINUTE, 1_000);
    expect(addresses.take('attacker', PER_MINUTE, 2_000)).toBeGreaterThan(0);
    // An honest address that comes meanwhile shares its place with few, who have used little.
    expect(addresses.take('honest', PER_MINUTE, 2_000)).toBe(0);
    expect(addresses.take('attacker', PER_MINUTE, 60_000)).toBe(0);
  });

  test('stays as large as it is, however many come', () => {
    const addresses = createAddresses({ seed: 7 });
    for (let i = 0; i < 200_000; i++) addresses.take(`10.${i}`, PER_MINUTE, i >> 4);
    expect(addresses.size).toBe(65_536);
  });
});

test('only those that have used half of their limit are worth a row, and no more than a thousand of them', () => {
  const addresses = createAddresses({ seed: 1 });
  for (let i = 0; i < 2_000; i++) addresses.take(`light ${i}`, PER_MINUTE, 5);
  expect([...addresses.busy()]).toEqual([]);
  for (let i = 0; i < 6; i++) addresses.take('heavy', PER_MINUTE, 5 + i);
  expect([...addresses.busy()]).toEqual([['heavy', 5, 6]]);
  expect([...addresses.busy()]).toEqual([]);
  for (let i = 0; i < 2_000; i++) for (let n = 0; n < 6; n++) addresses.take(`h ${i}`, PER_MINUTE, 20);
  expect([...addresses.busy()].length).toBe(1_000);
});
