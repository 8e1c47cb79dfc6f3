/** Which onion service a command means. */
import type { AdminClient } from '../../../src/admin/client';
import { FlmError } from '../../../src/lib/errors';
import { parsePort } from '../selector';

/** The id of the proxy on `port`, or of the only one that has an onion service. @throws INVALID_INPUT, NO_ONION */
export async function onionProxy({ proxies }: AdminClient, port: string | undefined): Promise<string> {
  if (port !== undefined) return `proxy-${parsePort(port)}`;
  const { items } = await proxies.list();
  const [first, ...others] = items.filter(({ onion }) => onion !== null);
  if (first === undefined) throw new FlmError('NO_ONION', { meta: { proxy: 'of this FLM' } });
  if (others.length === 0) return first.id;
  throw new FlmError('INVALID_INPUT', {
    meta: { field: '--port', reason: 'several proxies have one; say which' },
  });
}
