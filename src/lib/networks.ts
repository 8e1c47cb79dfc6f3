/** Addresses and networks as an owner writes them: what is wrong with one, and how it is written by the book. */
import ipaddr from 'ipaddr.js';
import { parseIp } from './ip';

export type NetworkReading =
  | { readonly network: string; readonly problem: null }
  | { readonly network: null; readonly problem: string };

/** Bits before an IPv4 address within `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2). */
const MAPPED_BITS = 96;

/**
 * Reads an address or a CIDR network: its canonical text (`10.0.0.0/8`, `2001:db8::7`), or what is wrong with it. Host
 * bits have to be 0 (FLM-109): whoever writes 10.1.2.3/8 may have meant one address or sixteen million.
 */
export function readNetwork(text: string): NetworkReading {
  const [address = '', bits, more] = text.split('/');
  const ip = parseIp(address);
  if (ip === null || more !== undefined || address !== address.trim() || /[[\]%]/.test(address))
    return wrong(`"${text}" is neither an address nor a network such as 192.168.0.0/16`);
  const width = ip.includes(':') ? 128 : 32;
  if (bits === undefined) return { network: ip, problem: null };
  if (!/^(?:0|[1-9]\d{0,2})$/.test(bits))
    return wrong(`"${text}": after the / comes a number from 0 to ${width}`);
  if (width === 32 && address.includes(':')) return wrong(mappedProblem(text, ip, Number(bits)));
  const prefix = Number(bits);
  if (prefix > width) return wrong(`"${text}": after the / comes at most ${width}`);
  const network = `${firstOf(ip, prefix)}/${prefix}`;
  if (network !== `${ip}/${prefix}`)
    return wrong(`"${text}" has host bits: the network is ${network}, the address alone ${ip}`);
  return { network: prefix === width ? ip : network, problem: null };
}

/** The same for what takes several. @throws TypeError naming the first that is not by the book */
export function checkNetworks(entries: readonly string[]): void {
  for (const entry of entries) {
    const { problem } = readNetwork(entry);
    if (problem !== null) throw new TypeError(problem);
  }
}

function mappedProblem(text: string, ip: string, bits: number): string {
  const prefix = bits - MAPPED_BITS;
  const written = prefix >= 0 && prefix <= 32 ? `${firstOf(ip, prefix)}/${prefix}` : `${ip}/32`;
  return `"${text}" is a network of IPv4: write ${written}`;
}

function firstOf(ip: string, prefix: number): string {
  const kind = ip.includes(':') ? ipaddr.IPv6 : ipaddr.IPv4;
  return kind.networkAddressFromCIDR(`${ip}/${prefix}`).toString();
}

function wrong(problem: string): NetworkReading {
  return { network: null, problem };
}
