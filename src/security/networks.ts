/**
 * Addresses and networks as numbers, and maps of networks in which an address is found without walking them: one look-up
 * for each length of prefix that occurs.
 */
import ipaddr from 'ipaddr.js';
import { parseIp } from '../lib/ip';

interface Address {
  /** 32 or 128. */
  readonly width: number;
  readonly bits: bigint;
}

export interface Network extends Address {
  readonly prefix: number;
  /** Canonical: `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/64`. */
  readonly text: string;
}

/** How much of an IPv6 address tells one site from another (design §3). */
const SITE_PREFIX = 64;

/** An address, or a network with the bits of its hosts cleared; null when the text is neither. */
export function parseNetwork(text: string): Network | null {
  const [address = '', length, more] = text.trim().split('/');
  const parsed = parseAddress(address);
  if (parsed === null || more !== undefined) return null;
  const { width } = parsed;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return null;
  const prefix = length === undefined ? width : Number(length);
  return prefix > width ? null : networkOf(parsed, prefix);
}

/** As parseNetwork, but an IPv6 address alone stands for its /64: whoever has one has all of them. */
export function parseSource(text: string): Network | null {
  const network = parseNetwork(text);
  return network !== null && network.width === 128 && network.prefix > SITE_PREFIX
    ? networkOf(network, SITE_PREFIX)
    : network;
}

/** Whether all of `inner` lies in `outer`. */
export function contains(outer: Network, inner: Network): boolean {
  return (
    outer.width === inner.width &&
    outer.prefix <= inner.prefix &&
    masked(inner, outer.prefix) === masked(outer, outer.prefix)
  );
}

/** What stands for the networks of a list; entries that are none are left out: who wrote the list was told of them. */
export function networksIn(entries: readonly string[]): Network[] {
  return entries.flatMap((entry) => parseNetwork(entry) ?? []);
}

/** Values by network. The most specific network that holds an address counts. */
export class NetworkMap<Value> {
  readonly #levels: {
    readonly width: number;
    readonly prefix: number;
    readonly values: Map<bigint, Value>;
  }[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  set(network: Network, value: Value): void {
    let level = this.#levelOf(network);
    if (level === undefined) {
      level = { width: network.width, prefix: network.prefix, values: new Map() };
      this.#levels.push(level);
      this.#levels.sort((a, b) => b.prefix - a.prefix);
    }
    const bits = masked(network, network.prefix);
    if (!level.values.has(bits)) this.#size++;
    level.values.set(bits, value);
  }

  get(network: Network): Value | null {
    return this.#levelOf(network)?.values.get(masked(network, network.prefix)) ?? null;
  }

  delete(network: Network): void {
    const level = this.#levelOf(network);
    if (level === undefined || !level.values.delete(masked(network, network.prefix))) return;
    this.#size--;
    if (level.values.size === 0) this.#levels.splice(this.#levels.indexOf(level), 1);
  }

  /** What holds for an address or network as a whole, and `counts`; null when nothing does. */
  find(inner: Network, counts: (value: Value) => boolean = () => true): Value | null {
    for (const { width, prefix, values } of this.#levels) {
      if (width !== inner.width || prefix > inner.prefix) continue;
      const value = values.get(masked(inner, prefix));
      if (value !== undefined && counts(value)) return value;
    }
    return null;
  }

  *values(): Generator<Value> {
    for (const { values } of this.#levels) yield* values.values();
  }

  #levelOf({ width, prefix }: Network) {
    return this.#levels.find((level) => level.width === width && level.prefix === prefix);
  }
}

function parseAddress(text: string): Address | null {
  const ip = parseIp(text);
  if (ip === null) return null;
  const bytes = ipaddr.parse(ip).toByteArray();
  return { width: bytes.length * 8, bits: bytes.reduce((bits, byte) => (bits << 8n) | BigInt(byte), 0n) };
}

function masked({ width, bits }: Address, prefix: number): bigint {
  const hosts = BigInt(width - prefix);
  return (bits >> hosts) << hosts;
}

function networkOf(address: Address, prefix: number): Network {
  const { width } = address;
  const bits = masked(address, prefix);
  const bytes = Array.from({ length: width / 8 }, (_, index) =>
    Number((bits >> BigInt(width - 8 - index * 8)) & 0xffn),
  );
  const text = ipaddr.fromByteArray(bytes).toString();
  return { width, bits, prefix, text: prefix === width ? text : `${text}/${prefix}` };
}
