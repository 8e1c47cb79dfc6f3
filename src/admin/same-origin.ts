/** Keeps pages of others away from the admin port: those that reach it under a name of their own, and those that say who they are. */
import { FlmError } from '../lib/errors';

/**
 * DNS rebinding gives a page of somebody else the address of this machine, but never its name.
 * @throws HOST_NOT_ALLOWED
 */
export function checkHost({ headers }: Request, port: number): void {
  const host = headers.get('host') ?? '';
  if ([`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`].includes(host.toLowerCase())) return;
  throw new FlmError('HOST_NOT_ALLOWED', {
    meta: { host: host.slice(0, 200) },
    hint: `Use http://127.0.0.1:${port}.`,
  });
}

/**
 * There is no CORS: a page may ask only from where it came.
 * @throws ORIGIN_REFUSED
 */
export function checkOrigin({ headers }: Request, url: URL): void {
  const origin = headers.get('origin');
  if (origin === null || origin === url.origin) return;
  throw new FlmError('ORIGIN_REFUSED', { meta: { reason: `this one is from ${origin.slice(0, 200)}` } });
}
