/** Which addresses are this machine's own: what goes to them does not leave it. */
import { networkInterfaces } from 'node:os';
import { ipReach, parseIp } from '../lib/ip';

/** As things are at this moment. Takes IPv6 with or without brackets or a zone (`fe80::1%eth0`). */
export function isOwnAddress(host: string): boolean {
  const ip = parseIp(host.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, ''));
  if (ip === null) return false;
  if (ipReach(ip) === 'loopback') return true;
  return Object.values(networkInterfaces()).some((own) =>
    own?.some(({ address }) => parseIp(address) === ip),
  );
}
