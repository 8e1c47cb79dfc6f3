/** Who may read /metrics (design §3): programs on this machine as they come, everybody else with a key for it. */
import { FlmError } from '../lib/errors';
import { isLoopback, parseIp, parseIpSet } from '../lib/ip';
import type { RequestContext } from './edge';
import { type GatewayDeps, identify } from './infer';

/** What proxies and browsers add. From this machine, each says that somebody else may be asking. */
const BETWEEN =
  /^(?:forwarded|via|origin|sec-fetch-site|x-real-ip|x-forwarded-.+|x-original-.+|x-envoy-.+|cf-.+|.*client-?ip)$/;

/** @throws INVALID_API_KEY, NO_API_KEYS, FORBIDDEN when it is for neither reason open to them */
export function admitToMetrics(context: RequestContext, deps: GatewayDeps): void {
  const { request } = context;
  // Whoever shows a key is who the key says, also here.
  if (request.headers.get('authorization') === null && isFromHere(context, deps)) return;
  const { scopes } = identify(context, deps);
  if (!scopes.has('metrics')) throw new FlmError('FORBIDDEN', { meta: { scope: 'metrics' } });
}

/**
 * Whether a program of this machine asks for itself. Behind a reverse proxy on the same machine everybody comes from
 * loopback: it gives itself away by what it adds, by the public name it passes on, or because the owner named it.
 */
function isFromHere({ request, peer, door }: RequestContext, { config }: GatewayDeps): boolean {
  const settings = config();
  const ip = parseIp(peer.address);
  if (!settings['metrics.open_to_loopback'] || ip === null || !isLoopback(ip)) return false;
  const proxies = [...settings['proxy.trusted_proxies'], ...(door.trustedProxies ?? [])];
  if (parseIpSet(proxies).has(ip)) return false;
  for (const name of request.headers.keys()) if (BETWEEN.test(name)) return false;
  // An nginx that nobody configured says nothing else. Neither Prometheus nor curl says it.
  if (/\bclose\b/i.test(request.headers.get('connection') ?? '')) return false;
  const { hostname } = new URL(request.url);
  const host = parseIp(hostname);
  return host === null ? hostname === 'localhost' : isLoopback(host);
}
