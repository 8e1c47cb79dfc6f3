/** Networks of a policy: by the book, or with what to write instead. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseIp, parseIpSet } from './ip';
import { readNetwork } from './networks';

describe('a network', () => {
  test.each([
    ['192.168.0.0/16', '192.168.0.0/16'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['203.0.113.9', '203.0.113.9'],
    ['203.0.113.9/32', '203.0.113.9'],
    ['2001:DB8::/32', '2001:db8::/32'],
    ['2001:db8:0:0::7', '2001:db8::7'],
    ['::/0', '::/0'],
    ['::1/128', '::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
  ])('%s is %s', (text, network) => {
    expect(readNetwork(text)).toEqual({ network, problem: null });
  });

  test.each([
    ['10.1.2.3/8', 'the network is 10.0.0.0/8, the address alone 10.1.2.3'],
    ['2001:db8::7/64', 'the network is 2001:db8::/64'],
    ['::ffff:10.0.0.0/104', 'write 10.0.0.0/8'],
    ['::ffff:10.1.2.3/104', 'write 10.0.0.0/8'],
    ['::ffff:10.0.0.1/8', 'write 10.0.0.1/32'],
    ['10.0.0.0/33', 'at most 32'],
    ['::/129', 'at most 128'],
    ['10.0.0.0/', 'a number from 0 to 32'],
    ['10.0.0.0/08', 'a number from 0 to 32'],
    ['10.0.0.0/-1', 'a number from 0 to 32'],
    ['10.0.0.0/8/8', 'neither an address nor a network'],
    ['', 'neither an address nor a network'],
    [' 10.0.0.1', 'neither an address nor a network'],
    ['10.0.0', 'neither an address nor a network'],
    ['0177.0.0.1', 'neither an address nor a network'],
    ['[::1]', 'neither an address nor a network'],
    ['fe80::1%eth0', 'neither an address nor a network'],
    ['example.com', 'neither an address nor a network'],
  ])('%p is refused: %s', (text, words) => {
    expect(readNetwork(text).problem).toContain(words);
  });

  test('that is read here is understood by who asks it, and holds its own address', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const v4 = fc.tuple(byte, byte, byte, byte).map((parts) => parts.join('.'));
    const v6 = fc.ipV6();
    fc.assert(
      fc.property(fc.oneof(v4, v6), fc.integer({ min: 0, max: 140 }), (ip, bits) => {
        const { network, problem } = readNetwork(`${ip}/${bits}`);
        // What is refused for its host bits names the network that is not.
        const named = network ?? /the network is (\S+),/.exec(problem)?.[1];
        if (named === undefined) return;
        expect(readNetwork(named).problem).toBeNull();
        expect(parseIpSet([named]).has(parseIp(ip) ?? '')).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
