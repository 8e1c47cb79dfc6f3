/** Addresses of engines: cleaning up what people type, and telling whether two of them are the same place. */
import { FlmError } from '../lib/errors';
import { ipReach, parseIp } from '../lib/ip';

/**
 * The base URL behind what a person typed: scheme added, trailing slashes and `/v1` taken off.
 * @throws ENGINE_URL_REFUSED when it is no address.
 */
export function parseBaseUrl(text: string): string {
  const typed = text.trim();
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `http://${typed}`);
  // What cannot be parsed may still hold a key.
  const refuse = (reason: string, shown = typed.includes('@') ? 'that address' : typed): never => {
    throw new FlmError('ENGINE_URL_REFUSED', { meta: { url: shown, reason } });
  };
  if (url === null || url.hostname === '') return refuse('it is not a URL');
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return refuse(`it is ${url.protocol} and not http`);
  // Both may hold a secret, which an error must not repeat.
  if (url.username !== '' || url.password !== '')
    return refuse('a key belongs into --key-env, not into the URL', url.origin);
  if (url.search !== '' || url.hash !== '') return refuse('it has a query', url.origin);
  return url.origin + url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
}

/** Equal for two base URLs that lead to the same listener. */
export function placeOf(baseUrl: string): string {
  const url = new URL(baseUrl);
  const host = isHere(url.hostname) ? 'loopback' : url.hostname;
  return `${url.protocol}//${host}:${portOf(url)}${url.pathname.replace(/\/+$/, '')}`;
}

/** `localhost`, 127.0.0.1 and ::1 are one machine, however they are written; so is the address of nowhere. */
function isHere(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  if (host === 'localhost') return true;
  const ip = parseIp(host);
  return ip !== null && (ip === '0.0.0.0' || ip === '::' || ipReach(ip) === 'loopback');
}

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
