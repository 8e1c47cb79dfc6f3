/** Addresses against two simple references: networks as ranges of big integers, and the walk along X-Forwarded-For. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { clientIp, type IpReach, ipBucket, ipReach, isLoopback, parseIp, parseIpSet } from './ip';

/** The number behind a dotted quad or any spelling of an IPv6 address (RFC 4291 §2.2), which must be valid. */
function numberOf(text: string): bigint {
  if (!text.includes(':')) return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => BigInt(`0x${group}`)));
  if (dotted !== null) {
    const tail = numberOf(dotted[2] ?? '');
    return numberOf(`${dotted[1]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`);
  }
  const [head = '', tail] = text.split('::');
  const [front, back] = [groups(head), groups(tail ?? '')];
  const middle = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => 0n);
  return [...front, ...middle, ...back].reduce((sum, group) => sum * 65_536n + group, 0n);
}

const MAPPED = 0xffffn << 32n;

function quadOf(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
}

function groupsOf(value: bigint): string {
  return [112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n]
    .map((shift) => ((value >> shift) & 0xffffn).toString(16))
    .join(':');
}

const quad = fc.bigInt(0n, 2n ** 32n - 1n).map(quadOf);
/** Whole IPv6 addresses, many of them close to zero so that `::` and `::ffff:` come up. */
const wide = fc.oneof(
  fc.bigInt(0n, 2n ** 128n - 1n),
  fc.bigInt(0n, 2n ** 33n),
  fc.bigInt(MAPPED, MAPPED + 2n ** 32n - 1n),
);

describe('parseIp', () => {
  test('reads every spelling of an IPv6 address as the same number', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.boolean(), fc.boolean(), (text, upper, bracketed) => {
        const written = upper ? text.toUpperCase() : text;
        const ip = parseIp(bracketed ? `[${written}]` : written) ?? '';
        const value = numberOf(text.toLowerCase());
        // ::ffff:a.b.c.d is the IPv4 address it holds.
        expect(ip.includes(':')).toBe(value >> 32n !== 0xffffn);
        expect(numberOf(ip)).toBe(value >> 32n === 0xffffn ? value & 0xffff_ffffn : value);
      }),
      { numRuns: 2_000 },
    );
  });

  test('gives one text for one address, however it came', () => {
    fc.assert(
      fc.property(wide, (value) => {
        const once = parseIp(groupsOf(value)) ?? '';
        expect(parseIp(once)).toBe(once);
        expect(parseIp(groupsOf(value).toUpperCase())).toBe(once);
      }),
    );
  });

  test.each([
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['[::1]', '::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25en0]', 'fe80::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0a00:0001', '10.0.0.1'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1.2.3.4', '::102:304'],
  ])('%s is %s', (text, ip) => {
    expect(parseIp(text)).toBe(ip);
  });

  test.each([
    // How filters are fooled: octal, hexadecimal, one number, too few parts, leading zeros.
    '0177.0.0.1',
    '0x7f.0.0.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '127.1',
    '127.0.1',
    '127.0.0.01',
    '::ffff:0177.0.0.1',
    '::ffff:0x7f.0.0.1',
    '::ffff:127.1',
    '::ffff:1.2.3.256',
    '1.2.3.256',
    '1.2.3.4.5',
    '1.2.3.4.',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '1.2.3.4:80',
    '1.2.3.4/32',
    // Brackets and zones belong to IPv6 alone.
    '[1.2.3.4]',
    '1.2.3.4%eth0',
    '[::1',
    '::1]',
    'fe80::1%',
    '::1%a b',
    '[::1]:80',
    '1::2::3',
    ':::',
    '12345::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:1.2.3.4',
    'localhost',
    '',
    '１２７.0.0.1',
  ])('refuses %p', (text) => {
    expect(parseIp(text)).toBeNull();
  });

  test('never throws, whatever it is given', () => {
    const pieces = fc.constantFrom(':', '::', '.', '%', '[', ']', '0x', '1', '255', 'ffff', 'g', '/', ' ');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((list) => list.join('')),
        ),
        (text) => {
          const ip = parseIp(text);
          if (ip !== null) expect(parseIp(ip)).toBe(ip);
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

describe('ipReach', () => {
  test.each<[string, IpReach]>([
    ['127.0.0.1', 'loopback'],
    ['127.255.0.9', 'loopback'],
    ['::1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['172.32.0.1', 'public'],
    ['192.168.0.1', 'private'],
    ['100.64.0.1', 'private'], // Tailscale, and carriers
    ['fd12:3456::1', 'private'],
    ['169.254.169.254', 'link-local'], // the metadata service of clouds
    ['fe80::1', 'link-local'],
    ['8.8.8.8', 'public'],
    ['2606:4700::1111', 'public'],
    ['0.0.0.0', 'unusable'],
    ['::', 'unusable'],
    ['224.0.0.1', 'unusable'],
    ['ff02::1', 'unusable'],
    ['255.255.255.255', 'unusable'],
    ['2001:db8::1', 'unusable'],
    // IPv4 inside IPv6: what is inside decides.
    ['64:ff9b::7f00:1', 'loopback'],
    ['64:ff9b::808:808', 'public'],
    ['2002:7f00:1::', 'loopback'],
    ['2002:a00:1::5', 'private'],
    // IPv4-compatible addresses are long gone (RFC 4291 §2.5.5.1).
    ['::7f00:1', 'unusable'],
    ['::102:304', 'unusable'],
  ])('%s is %s', (ip, reach) => {
    expect(ipReach(ip)).toBe(reach);
    expect(isLoopback(ip)).toBe(reach === 'loopback');
  });

  test('is the same for an IPv4 address in its IPv6 clothes', () => {
    fc.assert(fc.property(quad, (ip) => expect(ipReach(`::ffff:${ip}`)).toBe(ipReach(ip))));
  });
});

describe('ipBucket', () => {
  test('is the address itself for IPv4, mapped or not', () => {
    expect(ipBucket('192.0.2.7')).toBe('192.0.2.7');
    expect(ipBucket('::ffff:192.0.2.7')).toBe('192.0.2.7');
  });

  test('is one bucket for a whole /64 and another for the next', () => {
    const half = fc.bigInt(0n, 2n ** 64n - 1n);
    fc.assert(
      fc.property(fc.bigInt(2n ** 32n, 2n ** 64n - 1n), half, half, (site, one, other) => {
        const at = (network: bigint, host: bigint) => ipBucket(groupsOf((network << 64n) + host));
        expect(at(site, one)).toBe(at(site, other));
        expect(at(site, one)).toEndWith('/64');
        expect(at(site, one)).not.toBe(at(site ^ 1n, one));
      }),
    );
  });
});

describe('parseIpSet', () => {
  const network = fc.oneof(
    fc.record({ text: quad, bits: fc.integer({ min: 0, max: 32 }), width: fc.constant(32) }),
    fc.record({
      text: fc.bigInt(2n ** 64n, 2n ** 128n - 1n).map(groupsOf),
      bits: fc.integer({ min: 0, max: 128 }),
      width: fc.constant(128),
    }),
  );

  test('holds exactly the addresses whose first bits are those of the network', () => {
    fc.assert(
      fc.property(
        network,
        fc.bigInt(0n, 2n ** 128n - 1n),
        fc.nat(200),
        ({ text, bits, width }, noise, keep) => {
          // An address that shares some of its first bits with the network, so that both answers come up.
          const shift = BigInt(width - Math.min(width, keep));
          const near = ((numberOf(text) >> shift) << shift) | (noise & ((1n << shift) - 1n));
          const ip = width === 32 ? quadOf(near) : groupsOf(near);
          const cut = BigInt(width - bits);
          expect(parseIpSet([`${text}/${bits}`]).has(ip)).toBe(near >> cut === numberOf(text) >> cut);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test('takes a bare address as that one address', () => {
    const set = parseIpSet(['10.0.0.1', '2001:db8::1']);
    expect(['10.0.0.1', '::ffff:10.0.0.1', '2001:db8:0::1'].map((ip) => set.has(ip))).toEqual([
      true,
      true,
      true,
    ]);
    expect(['10.0.0.2', '2001:db8::2'].map((ip) => set.has(ip))).toEqual([false, false]);
  });

  test('keeps IPv4 and IPv6 apart, so that 0.0.0.0/0 trusts no IPv6 address', () => {
    expect(parseIpSet(['0.0.0.0/0']).has('2001:db8::1')).toBe(false);
    expect(parseIpSet(['::/0']).has('10.0.0.1')).toBe(false);
    expect(parseIpSet(['0.0.0.0/0']).has('::ffff:10.0.0.1')).toBe(true);
  });

  test('is empty without entries', () => {
    expect(parseIpSet([]).has('127.0.0.1')).toBe(false);
  });

  test.each([
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/8/9',
    '10.0.0.0/-1',
    '10.0.0.0/8x',
    '10/8',
    'all',
  ])('refuses %p and names it', (entry) => {
    expect(() => parseIpSet(['127.0.0.1', entry])).toThrow(entry);
  });
});

describe('clientIp', () => {
  const TRUSTED = parseIpSet(['10.0.0.0/8', 'fd00::/8']);

  /** Right to left: whoever a trusted hop names is the next to look at; the first untrusted one is the client. */
  function reference(peer: string, parts: readonly string[]): string {
    if (!TRUSTED.has(peer) || parts.length === 0) return peer;
    const hop = parseIp((parts.at(-1) ?? '').trim());
    return hop === null ? peer : reference(hop, parts.slice(0, -1));
  }

  test('is what a simple reference makes of the header', () => {
    const known = fc.constantFrom('10.0.0.1', '10.9.9.9', 'fd00::1', '::ffff:10.0.0.3');
    const stranger = fc.constantFrom('203.0.113.9', '198.51.100.7', '2001:db8::9', '11.0.0.1');
    const junk = fc.constantFrom('unknown', '', ' ', '_hidden', '0x0a.1', '10.0.0', '"10.0.0.1"');
    const part = fc.oneof({ weight: 5, arbitrary: known }, { weight: 3, arbitrary: stranger }, junk);
    const spaced = fc.tuple(fc.constantFrom('', ' ', '  '), part).map(([space, text]) => space + text);
    fc.assert(
      fc.property(fc.oneof(known, stranger), fc.array(spaced, { maxLength: 6 }), (peer, parts) => {
        const header = parts.length === 0 ? null : parts.join(',');
        expect(clientIp(peer, header, TRUSTED)).toBe(reference(parseIp(peer) ?? '', parts));
      }),
      { numRuns: 3_000 },
    );
  });

  test.each([
    // [peer, header, client]
    ['203.0.113.5', '1.2.3.4', '203.0.113.5'], // a stranger's claim
    ['10.0.0.1', null, '10.0.0.1'],
    ['10.0.0.1', '1.2.3.4', '1.2.3.4'],
    ['::ffff:10.0.0.1', '1.2.3.4', '1.2.3.4'], // the peer as a dual-stack socket names it
    ['10.0.0.1', '6.6.6.6, 1.2.3.4', '1.2.3.4'], // the left part is the client's own invention
    ['10.0.0.1', '6.6.6.6, 1.2.3.4, 10.0.0.2', '1.2.3.4'],
    ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'], // all of them trusted: the furthest
    ['10.0.0.1', '1.2.3.4, nonsense', '10.0.0.1'],
    ['10.0.0.1', '1.2.3.4:5678', '1.2.3.4'], // Azure writes ports
    ['10.0.0.1', '[2001:db8::7]:5678, 10.0.0.2:1', '2001:db8::7'],
    ['10.0.0.1', '[2001:db8::7]', '2001:db8::7'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['not an address', '1.2.3.4', 'not an address'],
  ] as const)('peer %p with %p is %p', (peer, header, client) => {
    expect(clientIp(peer, header, TRUSTED)).toBe(client);
  });
});

test('what is far too long for an address is none at once', () => {
  const startMs = performance.now();
  for (const long of [`[${'.'.repeat(2_000)}:]`, `${'1.1'.repeat(700)}:x`, `::1%${'a'.repeat(9_000)}`])
    expect([parseIp(long), clientIp('127.0.0.1', long, parseIpSet(['127.0.0.1']))]).toEqual([
      null,
      '127.0.0.1',
    ]);
  expect(performance.now() - startMs).toBeLessThan(100);
});
