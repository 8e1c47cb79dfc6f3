/** Networks as numbers: the same as a library says, for any address and any list. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseIpSet } from '../lib/ip';
import { contains, NetworkMap, networksIn, parseNetwork, parseSource } from './networks';

const v4 = fc.ipV4();
const v6 = fc.ipV6();
const network = fc.oneof(
  fc.tuple(v4, fc.integer({ min: 0, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
  fc.tuple(v6, fc.integer({ min: 0, max: 128 })).map(([ip, bits]) => `${ip}/${bits}`),
  v4,
);

test('finds an address in a list exactly when the list holds it', () => {
  fc.assert(
    fc.property(fc.array(network, { maxLength: 20 }), fc.oneof(v4, v6), (entries, ip) => {
      const usable = entries.filter((entry) => parseNetwork(entry) !== null);
      const map = new NetworkMap<string>();
      for (const each of networksIn(usable)) map.set(each, each.text);
      const address = parseNetwork(ip);
      if (address === null) return true;
      return (map.find(address) !== null) === parseIpSet(usable).has(address.text);
    }),
    { numRuns: 2_000 },
  );
});

describe('parseNetwork', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7/32', '203.0.113.7'],
    ['203.0.113.7/24', '203.0.113.0/24'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8:0:1:2::/64', '2001:db8:0:1::/64'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    [' 10.0.0.1 ', '10.0.0.1'],
    ['10.0.0.1/33', null],
    ['10.0.0.1/', null],
    ['10.0.0.1/8/8', null],
    ['10.0.0', null],
    ['localhost', null],
    ['', null],
  ])('%s', (text, canonical) => {
    expect(parseNetwork(text)?.text ?? null).toBe(canonical);
  });

  test('as a source, an IPv6 address stands for its /64', () => {
    expect(parseSource('2001:db8::1:2:3:4')?.text).toBe('2001:db8::/64');
    expect(parseSource('2001:db8::/48')?.text).toBe('2001:db8::/48');
    expect(parseSource('203.0.113.7')?.text).toBe('203.0.113.7');
  });
});

test('the most specific network that counts is found, and none once it is deleted', () => {
  const [wide, narrow, address] = networksIn(['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3']);
  if (wide === undefined || narrow === undefined || address === undefined) throw new Error('no networks');
  const map = new NetworkMap<string>();
  map.set(wide, 'wide');
  map.set(narrow, 'narrow');
  expect(map.find(address)).toBe('narrow');
  expect(map.find(address, (value) => value === 'wide')).toBe('wide');
  map.delete(narrow);
  expect([map.find(address), map.size]).toEqual(['wide', 1]);
  expect([contains(wide, narrow), contains(narrow, wide)]).toEqual([true, false]);
});
