/**
 * What the plain HTTP port of a proxy with TLS answers (FLM-089): where HTTPS is, and the page that teaches people to trust
 * it. Nothing else, so that no key and no prompt has a reason to cross the network in the open.
 */
import type { TlsContextSource, TrustPage } from '../../contract';
import { FlmError } from '../../lib/errors';
import { hostIn, isLocalName } from '../../lib/host';
import { parseIp } from '../../lib/ip';
import type { Handler } from '../proxy';

export interface RedirectOptions {
  readonly httpsPort: () => number;
  readonly source: TlsContextSource;
  readonly trustPage: TrustPage;
  /** Names that the owner allowed besides those of certificates. */
  readonly allowedHosts: () => readonly string[];
}

/** Not kept by browsers: the proxy may be started without TLS one day, and this answer would outlive that. */
const HEADERS = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' } as const;

export function createRedirect({ httpsPort, source, trustPage, allowedHosts }: RedirectOptions): Handler {
  /** @throws INVALID_REQUEST */
  function requireHost(header: string): string {
    const host = hostIn(header);
    if (host === null)
      throw new FlmError('INVALID_REQUEST', { meta: { reason: 'its Host header is not one host name' } });
    return host;
  }

  /** Whoever names any other host would be sent there with what they have, and to a certificate that is not for it. */
  function isKnown(host: string): boolean {
    const { names } = source.contextFor(host, null);
    return covers(names, parseIp(host) ?? host) || allowedHosts().includes(host);
  }

  function answer(request: Request): Response {
    const url = /^https?:\/\//.test(request.url) ? URL.parse(request.url) : null;
    if (url === null || request.method === 'CONNECT')
      throw new FlmError('INVALID_REQUEST', { meta: { reason: 'its target is not a path' } });
    const host = requireHost(request.headers.get('host') ?? '');
    const isCertified = isKnown(host);
    // The page says how to trust what there is, and an address cannot be somebody else's name (DNS rebinding).
    const page = isCertified || isLocalName(host) ? trustPage.answer(request, url.pathname) : null;
    if (page !== null) return page;
    if (!isCertified) throw new FlmError('HOST_NOT_CERTIFIED', { meta: { host } });
    const port = httpsPort();
    const location = `https://${host}${port === 443 ? '' : `:${port}`}${url.pathname}${url.search}`;
    const text = `FLM speaks HTTPS: ${location}\nHow to trust its certificate: ${url.origin}/ca\n`;
    return new Response(text, { status: 308, headers: { ...HEADERS, location } });
  }

  return {
    async fetch(request) {
      const response = answered(() => answer(request));
      // The rest of a body is not worth reading.
      if (request.body !== null || request.method === 'CONNECT') response.headers.set('connection', 'close');
      return response;
    },
  };
}

function answered(answer: () => Response): Response {
  try {
    return answer();
  } catch (error) {
    if (!(error instanceof FlmError)) throw error;
    const text = `${error.message}${error.hint === null ? '' : ` ${error.hint}`}\n`;
    return new Response(text, { status: error.status, headers: HEADERS });
  }
}

/** Whether a certificate's names hold `host`; `*.` stands for one label (RFC 9525 §6.3). */
function covers(names: readonly string[], host: string): boolean {
  const above = host.slice(host.indexOf('.'));
  return names.some((name) => name === host || (name.startsWith('*.') && name.slice(1) === above));
}
