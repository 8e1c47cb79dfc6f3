/**
 * The SSRF guard: which addresses FLM connects to for which purpose. A name is resolved first, and every address it
 * has must be allowed; the connection then goes to the address that was checked, not to the name again. What goes through
 * a tunnel is resolved at its end, where only that end can refuse: here the names are refused that mean a private network.
 */
import { FlmError, reasonOf } from '../lib/errors';
import { type IpReach, ipReach, parseIp } from '../lib/ip';
import { isLocalName, isOnionName } from './tunnel/places';

/** `engine`: an address the owner gave; `public`: an address that came from somebody else, such as an image URL. */
export type Purpose = 'engine' | 'public';

/** Link-local holds the metadata services of clouds; nobody runs an engine there. */
const ALLOWED: Readonly<Record<Purpose, ReadonlySet<IpReach>>> = {
  engine: new Set<IpReach>(['loopback', 'private', 'public']),
  public: new Set<IpReach>(['public']),
};

/** Services that hand out a machine's secrets behind addresses that look like others: of Azure, of AWS, of Alibaba. */
const OWN_HOST: ReadonlySet<string> = new Set(['168.63.129.16', 'fd00:ec2::254', '100.100.100.200']);

export type Resolve = (host: string) => Promise<readonly string[]>;

export const systemResolve: Resolve = async (host) => {
  const records = await Bun.dns.lookup(host);
  return records.map((record) => record.address);
};

export interface CheckedTarget {
  readonly url: URL;
  /** The first allowed address, to connect to; through a tunnel the name itself. */
  readonly address: string;
}

/** Endings of names that lead into somebody's own network (RFC 6761, RFC 6762, RFC 8375), and those that people use for it. */
const PRIVATE_NAME = /\.(?:local|internal|intranet|private|corp|home|lan|localdomain|home\.arpa)$/i;

/**
 * Checks where a URL leads.
 * @throws EGRESS_REFUSED when it is not http(s), carries credentials, or leads to an address of the wrong kind;
 * ENGINE_NETWORK_ERROR is left to the caller: a name that does not resolve is EGRESS_REFUSED too, with that reason.
 */
export async function checkTarget(text: string, purpose: Purpose, resolve: Resolve): Promise<CheckedTarget> {
  const { url, host, literal } = partsOf(text);
  // RFC 7686 §2: no name server is to hear of it.
  if (isOnionName(host)) throw refused(host, 'its name cannot be resolved without Tor (egress.mode)');
  const addresses = literal === null ? await resolveHost(host, resolve) : [literal];
  for (const address of addresses) requireAllowed(host, address, purpose);
  const [address] = addresses;
  if (address === undefined) throw refused(host, 'its name has no address');
  return { url, address };
}

/**
 * Checks where a URL leads that is asked for through a tunnel, without looking its name up.
 * @throws EGRESS_REFUSED as checkTarget does, as far as the URL itself tells
 */
export function checkUnresolved(text: string, purpose: Purpose): CheckedTarget {
  const { url, host, literal } = partsOf(text);
  if (literal !== null) {
    requireAllowed(host, literal, purpose);
    return { url, address: literal };
  }
  const name = host.replace(/\.$/, '');
  const isPrivate = isLocalName(name) || !name.includes('.') || PRIVATE_NAME.test(name);
  if (purpose === 'public' && isPrivate) throw refused(host, 'its name is one of a private network');
  return { url, address: host };
}

function partsOf(text: string): {
  readonly url: URL;
  readonly host: string;
  readonly literal: string | null;
} {
  const url = parseHttpUrl(text);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { url, host, literal: parseIp(host) };
}

function requireAllowed(host: string, address: string, purpose: Purpose): void {
  const ip = parseIp(address);
  const reach = ip === null ? 'unusable' : OWN_HOST.has(ip) ? 'link-local' : ipReach(ip);
  if (ALLOWED[purpose].has(reach)) return;
  throw refused(host, reach === 'unusable' ? `${address} is no usable address` : `${address} is ${reach}`);
}

function parseHttpUrl(text: string): URL {
  const url = URL.parse(text);
  // What cannot be parsed may still hold credentials.
  if (url === null) throw refused(text.includes('@') ? 'that address' : text, 'it is not a URL');
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw refused(url.host, `it is ${url.protocol}, not http`);
  if (url.username !== '' || url.password !== '')
    throw refused(url.host, 'credentials do not belong into a URL');
  return url;
}

async function resolveHost(host: string, resolve: Resolve): Promise<readonly string[]> {
  try {
    return await resolve(host);
  } catch (error) {
    throw refused(host, `its name cannot be resolved (${reasonOf(error)})`);
  }
}

function refused(host: string, reason: string): FlmError {
  return new FlmError('EGRESS_REFUSED', { meta: { host, reason } });
}
