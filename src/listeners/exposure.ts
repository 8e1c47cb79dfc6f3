/** Exposure fails closed (design §3): an address that strangers can reach is not bound without TLS by accident. */
import { FlmError } from '../lib/errors';
import { ipReach } from '../lib/ip';
import { machineAddresses, UNSPECIFIED } from './endpoints';
import { isTls, type ProxyProfile } from './model';

export type Exposure = 'loopback' | 'private' | 'public';

/**
 * From where a bind address can be reached. `0.0.0.0` and `::` are as exposed as the most exposed address of the
 * machine, and `private` at least; `::` takes IPv4 too.
 */
export function exposureOf(
  bind: string,
  addresses: readonly string[],
): { exposure: Exposure; address: string } {
  const bound = UNSPECIFIED.has(bind) ? addresses.filter((ip) => bind === '::' || !ip.includes(':')) : [bind];
  const reaches = bound.map((address) => ({ address, reach: ipReach(address) }));
  const found = (wanted: string) => reaches.find(({ reach }) => reach === wanted)?.address;
  const open = found('public') ?? found('unusable');
  if (open !== undefined) return { exposure: 'public', address: open };
  const near = found('private') ?? found('link-local');
  if (near !== undefined) return { exposure: 'private', address: near };
  // A network that FLM was started before is listened on as soon as it is there.
  return { exposure: UNSPECIFIED.has(bind) ? 'private' : 'loopback', address: bind };
}

/** @throws EXPOSURE_REFUSED for a public address without TLS, unless the owner said so. */
export function checkExposure(
  bind: string,
  { mode, allowPlaintext }: Pick<ProxyProfile, 'mode' | 'allowPlaintext'>,
): Exposure {
  const { exposure, address } = exposureOf(bind, machineAddresses());
  if (exposure === 'public' && !allowPlaintext && !isTls(mode))
    throw new FlmError('EXPOSURE_REFUSED', { meta: { bind, address } });
  return exposure;
}

/** @throws EXPOSURE_WITHOUT_KEY for a proxy that other machines reach, by an address or through Tor, while nobody could use it */
export function requireKeyFor({ bind, onion = null }: ProxyProfile, hasKey: boolean): void {
  if (hasKey) return;
  const { exposure, address } = exposureOf(bind, machineAddresses());
  if (exposure !== 'loopback') throw new FlmError('EXPOSURE_WITHOUT_KEY', { meta: { bind, address } });
  if (onion !== null)
    throw new FlmError('EXPOSURE_WITHOUT_KEY', {
      meta: { bind: 'an onion address', address: 'through Tor' },
    });
}
