/** Addresses of engines: cleaning up what people type, and telling whether two of them are the same place. */
import { FlmError } from '../lib/errors';

/**
 * The base URL behind what a person typed: scheme added, trailing slashes and `/v1` taken off.
 * @throws ENGINE_URL_REFUSED when it is no address.
 */
export function parseBaseUrl(text: string): string {
  const typed = text.trim();
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `http://${typed}`);
  const refuse = (reason: string, shown = typed): never => {
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

/** `localhost`, 127.0.0.1 and ::1 are one machine. */
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]', '0.0.0.0', '[::]']);

/** Equal for two base URLs that lead to the same listener. */
export function placeOf(baseUrl: string): string {
  const url = new URL(baseUrl);
  const host = LOOPBACK.has(url.hostname) ? 'loopback' : url.hostname;
  return `${url.protocol}//${host}:${portOf(url)}${url.pathname.replace(/\/+$/, '')}`;
}

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
