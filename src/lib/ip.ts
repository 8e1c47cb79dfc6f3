/** IP addresses: parsing, what kind of network they belong to, buckets, and the client behind trusted proxies. */
import ipaddr from 'ipaddr.js';

/** Where packets to an address end up, from nearest to furthest. */
export type IpReach = 'loopback' | 'private' | 'link-local' | 'unusable' | 'public';

const REACH: Readonly<Record<string, IpReach>> = {
  loopback: 'loopback',
  private: 'private',
  uniqueLocal: 'private',
  carrierGradeNat: 'private',
  linkLocal: 'link-local',
  unicast: 'public',
};

/** Of IPv6 45 characters, brackets and a zone. Strangers send more, in Host and X-Forwarded-For, and patterns look at all of it. */
const MAX_CHARS = 100;

/**
 * The canonical text of an address, or null when it is none. `::ffff:a.b.c.d` becomes `a.b.c.d`, zone ids and
 * brackets around IPv6 are dropped, and only dotted-quad IPv4 counts (`0177.1` and `2130706433` are how filters are
 * fooled).
 */
export function parseIp(text: string): string | null {
  if (text.length > MAX_CHARS) return null;
  if (!text.includes(':')) return ipaddr.IPv4.isValidFourPartDecimal(text) ? text : null;
  const bare = text.replace(/^\[(.*)\]$/, '$1').replace(/%[\w.~%-]+$/, '');
  const groups = withoutQuad(bare);
  return groups !== null && ipaddr.IPv6.isValid(groups) ? ipaddr.process(groups).toString() : null;
}

/** IPv6 text whose dotted end, if it has one, is written as two groups; null when that end is no proper quad. */
function withoutQuad(text: string): string | null {
  const quad = /[^:]*\.[^:]*$/.exec(text)?.[0];
  if (quad === undefined) return text;
  if (!ipaddr.IPv4.isValidFourPartDecimal(quad)) return null;
  const [a, b, c, d] = quad.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return `${text.slice(0, -quad.length)}${a}${b}:${c}${d}`;
}

/** What kind of network an address belongs to. @throws TypeError when it is no address: parse first. */
export function ipReach(ip: string): IpReach {
  const address = ipaddr.process(ip);
  if (address instanceof ipaddr.IPv6) {
    const embedded = embeddedIpv4(address);
    // 6to4, NAT64 and the like lead to an IPv4 host: what that host is decides.
    if (embedded !== null) return ipReach(embedded);
    // ::a.b.c.d without ffff leads nowhere any more (RFC 4291 §2.5.5.1).
    if (address.range() === 'unicast' && address.match(ipaddr.IPv6.parseCIDR('::/96'))) return 'unusable';
  }
  return REACH[address.range()] ?? 'unusable';
}

function embeddedIpv4(address: ipaddr.IPv6): string | null {
  const bytes = address.toByteArray();
  const quad = (from: number) => bytes.slice(from, from + 4).join('.');
  switch (address.range()) {
    case 'rfc6052': // NAT64 64:ff9b::/96
      return quad(12);
    case '6to4': // 2002:aabb:ccdd::/48
      return quad(2);
    default:
      return null;
  }
}

export function isLoopback(ip: string): boolean {
  return ipReach(ip) === 'loopback';
}

/** The unit in which sources are counted: one IPv4 address, or one IPv6 /64, which is what a site is given. */
export function ipBucket(ip: string): string {
  const address = ipaddr.process(ip);
  if (address instanceof ipaddr.IPv4) return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`).toString()}/64`;
}

/** A set of addresses and networks, parsed once. */
export interface IpSet {
  has(ip: string): boolean;
}

/**
 * Parses addresses and CIDR networks.
 * @throws TypeError naming the first entry that is neither.
 */
export function parseIpSet(entries: readonly string[]): IpSet {
  const networks = entries.map((entry) => {
    const [address, bits, more] = entry.split('/');
    const ip = parseIp(address ?? '');
    if (ip === null || more !== undefined || (bits !== undefined && !/^\d{1,3}$/.test(bits))) {
      throw new TypeError(`"${entry}" is neither an IP address nor a network such as 192.168.0.0/16`);
    }
    const parsed = ipaddr.parse(ip);
    const width = parsed.kind() === 'ipv4' ? 32 : 128;
    const prefix = bits === undefined ? width : Number(bits);
    if (prefix > width) throw new TypeError(`"${entry}": the prefix is longer than the address`);
    return { parsed, prefix };
  });
  return {
    has(ip) {
      const address = ipaddr.process(ip);
      return networks.some(
        ({ parsed, prefix }) => parsed.kind() === address.kind() && address.match(parsed, prefix),
      );
    },
  };
}

/**
 * The client's address: the socket's peer, unless that is a trusted proxy; then the right-most address of
 * X-Forwarded-For that is not itself trusted (FLM-086 as overridden: the left-most is the client's own claim).
 * A part that is no address ends the walk: what stands left of it proves nothing.
 */
export function clientIp(peer: string, forwardedFor: string | null, trusted: IpSet): string {
  let client = parsePeer(peer);
  if (client === null) return peer;
  if (forwardedFor === null) return client;
  // From the right, and no further than needed: a stranger's thousand addresses are not even looked at.
  for (let end = forwardedFor.length; end >= 0 && trusted.has(client); ) {
    const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(',', end - 1);
    const hop = parseIp(
      forwardedFor
        .slice(comma + 1, end)
        .trim()
        .replace(/^(\d+(?:\.\d+){3}|\[.*\]):\d+$/, '$1'),
    );
    if (hop === null) break;
    client = hop;
    end = comma;
  }
  return client;
}

/** Peers as they were parsed: few of them send most requests. */
const peers = new Map<string, string | null>();
const MAX_PEERS = 4_096;

function parsePeer(peer: string): string | null {
  let ip = peers.get(peer);
  if (ip === undefined) {
    ip = parseIp(peer);
    if (peers.size >= MAX_PEERS) peers.clear();
    peers.set(peer, ip);
  }
  return ip;
}

/** An address that tells the network and not who is in it: without the last octet, or without the last 64 bits (FLM-118). */
export function maskIp(ip: string): string {
  const lastDot = ip.lastIndexOf('.');
  if (!ip.includes(':') && lastDot !== -1) return `${ip.slice(0, lastDot)}.***`;
  if (parseIp(ip) === null) return '***';
  const address = ipaddr.process(ip);
  if (address instanceof ipaddr.IPv4) return maskIp(address.toString());
  const network = address.parts.slice(0, 4).map((part) => part.toString(16));
  return `${network.join(':')}:***`;
}
