/**
 * The names of this machine that a certificate can hold, and which names a private root may vouch for: those that mean
 * nothing outside the owner's own networks, this machine's own, and those the owner adds (ADR 0002).
 */
import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { parseIp, parseIpSet } from '../src/lib/ip';

/** What a root is limited to: DNS names stand for themselves and all below them; networks are CIDR. */
export interface Permitted {
  readonly dns: readonly string[];
  readonly networks: readonly string[];
}

/** What a machine is called, as far as it knows. */
export interface MachineNames {
  readonly hostname: string;
  /** The content of /etc/hosts, or "" where there is none. */
  readonly hosts: string;
  readonly addresses: readonly string[];
}

/** Names that no public name server answers for (RFC 6761, RFC 6762, RFC 8375, and those that ICANN and custom keep free). */
const LOCAL_DOMAINS = ['localhost', 'local', 'internal', 'lan', 'home.arpa'] as const;

/** Loopback, private, link-local and carrier-grade NAT, which Tailscale uses (RFC 1918, 3927, 4193, 4291, 6598). */
const LOCAL_NETWORKS = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '100.64.0.0/10',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
] as const;

/**
 * What FLM's own clients (`flm chat`) ask for: a name that only the private authority's certificates are shown for, whatever
 * the owner has brought for `localhost`. Nobody else has a reason to use it.
 */
export const OWN_NAME = 'cli.flm.localhost';

/** More than any client needs; a machine with thousands of container bridges must not get a certificate of a megabyte. */
const MAX_NAMES = 100;

const DNS_NAME =
  /^(?=.{1,253}$)(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** A DNS name in lower case without the dot at its end, or a canonical address; null for what is neither. */
export function parseName(text: string): string | null {
  const ip = parseIp(text);
  if (ip !== null) return ip;
  const name = text.trim().toLowerCase().replace(/\.$/, '');
  // Four numbers that are no address would be taken for one by somebody.
  return DNS_NAME.test(name) && !/^[\d.]+$/.test(name) ? name : null;
}

/** What this machine says of itself. */
export function thisMachine(): MachineNames {
  return {
    hostname: hostname(),
    hosts: readHosts(),
    addresses: Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).map(({ address }) => address),
    ),
  };
}

function readHosts(): string {
  try {
    return readFileSync('/etc/hosts', 'utf8');
  } catch {
    return '';
  }
}

/** Every name and address under which clients can reach this machine, the likeliest first, each once. */
export function namesOf(machine: MachineNames, configured: readonly string[]): string[] {
  const host = parseName(machine.hostname) ?? 'localhost';
  const [short = host] = host.split('.');
  const names = [
    'localhost',
    host,
    short,
    ...canonicalNames(machine.hosts, [host, short]),
    ...(short === 'localhost' ? [] : [`${short}.local`]),
    ...configured,
    '127.0.0.1',
    '::1',
    ...machine.addresses,
  ];
  const parsed = names.map(parseName).filter((name) => name !== null);
  return [...new Set(parsed)].slice(0, MAX_NAMES);
}

/** The other names on the lines of /etc/hosts that have one of `own`: that is where a machine keeps its full name. */
function canonicalNames(hosts: string, own: readonly string[]): string[] {
  return hosts
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().toLowerCase().split(/\s+/).slice(1))
    .filter((names) => names.some((name) => own.includes(name)))
    .flat()
    .filter((name) => own.some((short) => name === short || name.startsWith(`${short}.`)));
}

/**
 * What a root that is made now may vouch for. Public addresses are in it only when the owner names them, and so are host
 * names of letters alone: `box` stands for all of `.box`, which is, or may one day be, a part of the internet.
 */
export function permittedFor(machine: MachineNames, configured: readonly string[]): Permitted {
  const own = [
    ...namesOf({ ...machine, addresses: [] }, []).filter((name) => !mayBeTopLevel(name)),
    ...configured.map((name) => parseName(name.replace(/^\*\./, ''))).filter((name) => name !== null),
  ];
  const addresses = configured.map(parseIp).filter((ip) => ip !== null);
  const networks = parseIpSet(LOCAL_NETWORKS);
  const dns = own.filter((name) => parseIp(name) === null && !isBelow(name, LOCAL_DOMAINS));
  return {
    dns: [...new Set([...LOCAL_DOMAINS, ...dns])],
    networks: [
      ...LOCAL_NETWORKS,
      ...addresses
        .filter((ip) => !networks.has(ip))
        .map((ip) => `${ip}/${ipaddr.parse(ip).kind() === 'ipv4' ? 32 : 128}`),
    ],
  };
}

/** Whether it has the form of a top-level domain: letters, or punycode (RFC 1123 §2.1, RFC 5890). */
function mayBeTopLevel(name: string): boolean {
  return /^(?:[a-z]+|xn--[a-z0-9-]+)$/.test(name);
}

/** Parts names into those that a root may vouch for and those that it may not: one of the latter spoils a whole certificate. */
export function divide(
  names: readonly string[],
  permitted: Permitted,
): { readonly covered: string[]; readonly outside: string[] } {
  const networks = parseIpSet(permitted.networks);
  const isCovered = (name: string) =>
    parseIp(name) === null ? isBelow(name.replace(/^\*\./, ''), permitted.dns) : networks.has(name);
  return { covered: names.filter(isCovered), outside: names.filter((name) => !isCovered(name)) };
}

function isBelow(name: string, domains: readonly string[]): boolean {
  return domains.some((domain) => name === domain || name.endsWith(`.${domain}`));
}
