/** The Host header of a request (RFC 9110 §7.2), read the same way wherever FLM looks at it. */
import { parseIp } from './ip';

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?)(?::\d{1,5})?$/i;

/** The host without its port, in lower case, IPv6 in brackets; null when it is not exactly one host. */
export function hostIn(header: string): string | null {
  return HOST.exec(header)?.[1]?.toLowerCase() ?? null;
}

/** `localhost` and addresses are safe: DNS rebinding needs a name that somebody else controls. */
export function isLocalName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || parseIp(host) !== null;
}
