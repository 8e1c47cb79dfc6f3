/** Which hosts a tunnel is for: this machine never is, the owner's own network by choice. */
import { ipReach, parseIp } from '../../lib/ip';

/** `here`: this machine; `private`: an address of a private network; `away`: every other address, and every name. */
export type Place = 'here' | 'private' | 'away';

/** Where a host of a URL is, as far as can be told without looking its name up. Takes IPv6 with or without brackets. */
export function placeOfHost(hostname: string): Place {
  const ip = parseIp(hostname.replace(/^\[(.*)\]$/, '$1'));
  if (ip === null) return isLocalName(hostname) ? 'here' : 'away';
  const reach = ipReach(ip);
  if (reach === 'loopback') return 'here';
  return reach === 'private' || reach === 'link-local' ? 'private' : 'away';
}

/** Names that mean this machine everywhere (RFC 6761 §6.3). */
export function isLocalName(hostname: string): boolean {
  return /^(?:.+\.)?localhost\.?$/i.test(hostname);
}

/** Names of Tor's own, which no name server may be asked for (RFC 7686 §2). */
export function isOnionName(hostname: string): boolean {
  return /^(?:.+\.)?onion\.?$/i.test(hostname);
}
