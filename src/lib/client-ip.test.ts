/**
 * The client behind proxies (FLM-086 as overridden) against a reference that parses nothing: the generator knows which
 * address it has written down, and in which way.
 */
import { describe, expect, test } from 'bun:test';
import { often } from '../../test/support/often';
import { clientIp, parseIpSet } from './ip';

/** Numbers that come again in every run: mulberry32. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** An address somebody has written down, or something that is none. */
interface Written {
  readonly text: string;
  /** As FLM calls it; null when it is no address. */
  readonly ip: string | null;
  readonly isTrusted: boolean;
}

const TRUSTED = ['10.0.0.0/8', '192.168.7.0/24', '203.0.113.7', '::1', 'fd00::/8', '2001:db8:5::/48'];
const trusted = parseIpSet(TRUSTED);

/** Whether a proxy of ours has it, told from its bytes. */
function isOurs(bytes: readonly number[]): boolean {
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  if (bytes.length === 4)
    return a === 10 || (a === 192 && b === 168 && c === 7) || bytes.join('.') === '203.0.113.7';
  const isLoopback = bytes.every((byte, at) => byte === (at === 15 ? 1 : 0));
  return isLoopback || a === 0xfd || [a, b, c, d, bytes[4], bytes[5]].join() === '32,1,13,184,0,5';
}

const NETWORKS: readonly (readonly number[])[] = [
  [10],
  [10],
  [10, 1],
  [192, 168, 7],
  [192, 168, 7],
  [172, 16],
  [100, 64],
  [198, 18],
  [192, 168, 8],
  [203, 0, 113],
  [203, 0, 113, 7],
  [11],
  [127, 0, 0],
  [198, 51, 100],
  [0xfd],
  [0xfe, 0x80, 0, 0, 0, 0, 0, 0],
  [0x20, 0x01, 0x0d, 0xb8, 0, 5],
  [0x20, 0x01, 0x0d, 0xb8, 0, 6],
  [0x20, 0x01, 0x0d, 0xb8],
  [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];
const JUNK = [
  '',
  ' ',
  'unknown',
  '_hidden',
  'localhost',
  'example.com',
  'for=10.0.0.1',
  '"10.0.0.1"',
  '<10.0.0.1>',
  '10.0.0.1 10.0.0.2',
  '10.0.0.1;10.0.0.2',
  '10.0.0',
  '10.0.0.1.1',
  '10.0.0.256',
  '10.0.0.-1',
  '010.0.0.1',
  '0x0a.0.0.1',
  '167772161',
  '10.0.0.1/32',
  '10.0.0.1:',
  ':80',
  '10.0.0.1:http',
  '\u0661\u0660.0.0.1',
  '10.0.0.1\u0000',
  '::1::',
  ':::',
  'g::1',
  '12345::',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '[::1',
  '::1]',
  '[]',
  '[]:80',
  '[[::1]]',
  '::ffff:10.0.0.1.1',
  '::ffff:10.0.0.256',
  '::ffff:010.0.0.1',
  '-',
  'null',
  '[10.0.0.1',
];

function write(bytes: readonly number[], below: (n: number) => number): Written {
  const isTrusted = isOurs(bytes);
  const port = 1 + below(65_535);
  if (bytes.length === 4) {
    const ip = bytes.join('.');
    const [a = 0, b = 0, c = 0, d = 0] = bytes;
    const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    const ways = [
      ...Array<string>(12).fill(ip),
      `${ip}:${port}`,
      `${ip}:${port}`,
      `::ffff:${ip}`,
      `::FFFF:${ip}`,
      `[::ffff:${ip}]`,
      `[::ffff:${ip}]:${port}`,
      `::ffff:${groups}`,
      `0:0:0:0:0:ffff:${groups}`,
      `0000:0000:0000:0000:0000:FFFF:${groups.toUpperCase()}`,
    ];
    return { text: ways[below(ways.length)] ?? ip, ip, isTrusted };
  }
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0)).toString(16),
  );
  // RFC 5952, by a parser that FLM does not use.
  const ip = new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
  const ways = [
    ip,
    ip.toUpperCase(),
    groups.join(':'),
    groups.map((group) => group.padStart(4, '0')).join(':'),
    `[${ip}]`,
    `[${ip}]:${port}`,
    `${ip}%eth0`,
    `[${ip}%25eth0]`,
  ];
  return { text: ways[below(ways.length)] ?? ip, ip, isTrusted };
}

/** Thousands of addresses in all the ways that they are written in, most of them in networks that matter here. */
function manyWritten(below: (n: number) => number): readonly Written[] {
  const addresses = Array.from({ length: 6_000 }, () => {
    const start = NETWORKS[below(NETWORKS.length)] ?? [];
    const isV6 = start.length > 4 || start[0] === 0xfd || start.join() === '32,1,13,184';
    const rest = Array.from({ length: (isV6 ? 16 : 4) - start.length }, () => below(256));
    return write([...start, ...rest], below);
  });
  const loopback = Array.from({ length: 100 }, () => write([...Array<number>(15).fill(0), 1], below));
  const junk = JUNK.map((text) => ({ text, ip: null, isTrusted: false }));
  return [...addresses, ...loopback, ...junk, ...junk, ...junk];
}

/** The right-most that no proxy of ours has, as far as what is written there are addresses. */
function reference(peer: Written, hops: readonly Written[]): string {
  let client = peer;
  for (const hop of [...hops].reverse()) {
    if (!client.isTrusted || hop.ip === null) break;
    client = hop;
  }
  return client.ip ?? peer.text;
}

const SEPARATORS = [', ', ',', ' ,', ' , ', '\t,\t', ',  '];

describe('the client of a request', () => {
  const below = numbers(86);
  const written = manyWritten(below);
  const pick = () => written[below(written.length)] ?? { text: '', ip: null, isTrusted: false };
  // A socket tells neither port nor brackets.
  const peers = written.filter(({ text }) => !/\]|\.\d+:\d+$/.test(text));
  const pickPeer = () => peers[below(peers.length)] ?? pick();
  const header = (hops: readonly Written[]) =>
    hops.map(({ text }, at) => (at === 0 ? '' : SEPARATORS[below(SEPARATORS.length)]) + text).join('');

  test('is who the reference says, in so many cases as nobody writes down', () => {
    const rounds = often(100_000, 1_000_000);
    const seen = { peer: 0, first: 0, deep: 0 };
    for (let round = 0; round < rounds; round++) {
      const peer = pickPeer();
      const hops = Array.from({ length: below(6) }, pick);
      const forwardedFor = hops.length === 0 ? null : header(hops);
      const client = clientIp(peer.text, forwardedFor, trusted);
      const expected = reference(peer, hops);
      if (client !== expected)
        expect({ peer, forwardedFor, client }).toEqual({ peer, forwardedFor, client: expected });
      if (expected === peer.ip) seen.peer++;
      else if (expected === hops.at(-1)?.ip) seen.first++;
      else seen.deep++;
    }
    // A property that never met a case says nothing about it.
    for (const [kind, count] of Object.entries(seen))
      expect([kind, count > rounds / 20]).toEqual([kind, true]);
  }, 60_000);

  test('costs a stranger nothing to claim a thousand addresses', () => {
    let looks = 0;
    const counting = { has: (ip: string) => ++looks > 0 && trusted.has(ip) };
    const claims = '::1,'.repeat(4_000);
    expect(clientIp('198.51.100.1', claims, counting)).toBe('198.51.100.1');
    expect(clientIp('10.0.0.1', `${claims}198.51.100.1`, counting)).toBe('198.51.100.1');
    expect(looks).toBe(3);
  });

  test('is the peer itself unless that is a proxy of ours, whatever it says', () => {
    for (let round = 0; round < 50_000; round++) {
      const peer = pickPeer();
      if (peer.isTrusted || peer.ip === null) continue;
      expect(clientIp(peer.text, header([pick(), pick(), pick()]), trusted)).toBe(peer.ip);
    }
  });

  test('is not moved by what a client puts in front of what proxies add', () => {
    const proxy = peers.filter(({ isTrusted }) => isTrusted);
    const ours = () => proxy[below(proxy.length)] ?? pickPeer();
    for (let round = 0; round < 50_000; round++) {
      const client = pick();
      if (client.isTrusted || client.ip === null) continue;
      const added = [client, ...Array.from({ length: below(3) }, ours)];
      const claimed = Array.from({ length: 1 + below(4) }, pick);
      expect(clientIp(ours().text, header([...claimed, ...added]), trusted)).toBe(client.ip);
    }
  });
});
