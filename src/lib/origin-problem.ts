/** Entries of cors.allowed_origins: whether a browser could ever send such an origin (RFC 6454 §6.2), and if not, why. */
import { parseIp } from './ip';

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
/** Names of containers and machines have them, too: http://open_webui:3000 */
const LOOSE_LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** What is wrong with an entry, or null when it is `*`, `localhost`, a domain or scheme://host[:port]. */
export function originProblem(entry: string): string | null {
  if (entry === '*' || entry.toLowerCase() === 'localhost') return null;
  if (entry === 'null')
    return '"null" is the origin of every page in a sandbox, so it would allow everybody: name the page, or write *';
  if (/\s/.test(entry)) return `"${entry}" holds a space`;
  if (entry.includes('*'))
    return `"${entry}": * stands alone and means every page; name each of the pages otherwise`;
  const [, scheme, rest = ''] = SCHEME.exec(entry) ?? [];
  if (scheme !== undefined) return urlProblem(entry, scheme.toLowerCase(), rest);
  if (/^[^/:]+:\d+$/.test(entry)) return `"${entry}": with a port goes a scheme, as in http://${entry}`;
  if (entry.includes('/')) return `"${entry}" is no origin: it takes a scheme, such as https://, and no path`;
  return hostProblem(entry, entry, LABEL);
}

function urlProblem(entry: string, scheme: string, rest: string): string | null {
  const isWeb = scheme === 'http' || scheme === 'https';
  if (scheme === 'file') return `"${entry}": pages of files have no origin that could be allowed`;
  const path = rest.search(/[/?#]/);
  if (path !== -1) return `"${entry}": an origin has no path; write ${scheme}://${rest.slice(0, path)}`;
  if (rest.includes('@')) return `"${entry}": an origin has no user name`;
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(rest) ?? [];
  if (host === '') return `"${entry}" has no host`;
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535 || port.startsWith('0')))
    return `"${entry}": a port is a number from 1 to 65535`;
  if ((scheme === 'http' && port === '80') || (scheme === 'https' && port === '443'))
    return `"${entry}": browsers leave out the port of the scheme; write ${scheme}://${host}`;
  // Of extensions and desktop apps, what stands there is theirs to choose: chrome-extension://abcdef, app://obsidian.md
  return isWeb ? hostProblem(host, entry, LOOSE_LABEL) : appHostProblem(host, entry);
}

function appHostProblem(host: string, entry: string): string | null {
  return /^[\w.-]+$/.test(host) ? null : `"${entry}" has no valid host`;
}

function hostProblem(host: string, entry: string, label: RegExp): string | null {
  if (host.startsWith('[')) {
    const ip = parseIp(host);
    if (ip === null || host.includes('%')) return `"${entry}" has no valid address`;
    const [, written = ''] = URL.parse(`http://${host}`)?.origin.split('//') ?? [];
    return written === host.toLowerCase() ? null : `"${entry}": browsers write that address as ${written}`;
  }
  if (host.includes(':')) return `"${entry}": an IPv6 address stands in brackets, as in http://[::1]:3000`;
  // All digits in the last label: an address, or nothing (WHATWG URL §3.5).
  if (/(?:^|\.)\d+\.?$/.test(host)) return parseIp(host) === null ? `"${entry}" has no valid address` : null;
  const ascii = URL.parse(`http://${host}`)?.hostname ?? null;
  if (ascii !== null && ascii !== host.toLowerCase())
    return `"${entry}": browsers write that name as ${ascii}`;
  const isDomain = host.length <= 253 && host.split('.').every((part) => label.test(part));
  return isDomain ? null : `"${entry}" has no valid domain`;
}
