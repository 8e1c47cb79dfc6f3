/**
 * The SSRF guard: which addresses FLM connects to for which purpose. A name is resolved first, and every address it
 * has must be allowed; the connection then goes to the address that was checked, not to the name again.
 */
import { FlmError, reasonOf } from '../lib/errors';
import { type IpReach, ipReach, parseIp } from '../lib/ip';

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
  /** The first allowed address, to connect to. */
  readonly address: string;
}

/**
 * Checks where a URL leads.
 * @throws EGRESS_REFUSED when it is not http(s), carries credentials, or leads to an address of the wrong kind;
 * ENGINE_NETWORK_ERROR is left to the caller: a name that does not resolve is EGRESS_REFUSED too, with that reason.
 */
export async function checkTarget(text: string, purpose: Purpose, resolve: Resolve): Promise<CheckedTarget> {
  const url = parseHttpUrl(text);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const literal = parseIp(host);
  const addresses = literal === null ? await resolveHost(host, resolve) : [literal];
  for (const address of addresses) {
    const ip = parseIp(address);
    const reach = ip === null ? 'unusable' : OWN_HOST.has(ip) ? 'link-local' : ipReach(ip);
    if (!ALLOWED[purpose].has(reach)) {
      throw refused(
        host,
        reach === 'unusable' ? `${address} is no usable address` : `${address} is ${reach}`,
      );
    }
  }
  const [address] = addresses;
  if (address === undefined) throw refused(host, 'its name has no address');
  return { url, address };
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
