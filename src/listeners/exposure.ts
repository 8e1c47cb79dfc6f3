/** Exposure fails closed (design §3): an address that strangers can reach is not bound without TLS by accident. */
import { networkInterfaces } from 'node:os';
import { FlmError } from '../lib/errors';
import { ipReach, parseIp } from '../lib/ip';

export type Exposure = 'loopback' | 'private' | 'public';

const UNSPECIFIED = new Set(['0.0.0.0', '::']);

/**
 * From where a bind address can be reached. `0.0.0.0` and `::` are as exposed as the most exposed address of the
 * machine; `::` takes IPv4 too.
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
  return { exposure: 'loopback', address: bind };
}

/** @throws EXPOSURE_REFUSED for a public address without TLS, unless the owner said so. */
export function checkExposure(bind: string, allowPlaintext: boolean): Exposure {
  const { exposure, address } = exposureOf(bind, machineAddresses());
  if (exposure === 'public' && !allowPlaintext)
    throw new FlmError('EXPOSURE_REFUSED', { meta: { bind, address } });
  return exposure;
}

/** The addresses of this machine's interfaces. */
export function machineAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .flatMap((entry) => parseIp(entry.address) ?? []);
}

/**
 * URLs a person can type for a listener (FLM-068): never 0.0.0.0 or ::, but localhost and the machine's own address in
 * the local network.
 */
export function endpointsOf(
  bind: string,
  port: number,
): { localhost: string | null; local_network: string | null } {
  const url = (host: string) => `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (!UNSPECIFIED.has(bind)) {
    return ipReach(bind) === 'loopback'
      ? { localhost: url(bind === '127.0.0.1' ? 'localhost' : bind), local_network: null }
      : { localhost: null, local_network: url(bind) };
  }
  const nearby = machineAddresses().filter(
    (ip) => ipReach(ip) === 'private' && (bind === '::' || !ip.includes(':')),
  );
  const lan = nearby.find((ip) => !ip.includes(':')) ?? nearby[0];
  return { localhost: url('localhost'), local_network: lan === undefined ? null : url(lan) };
}
