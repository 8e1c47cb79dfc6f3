/** The only room that opens outbound connections (held by test/arch). Hands out its own response shape. */
import type { Clock } from '../contract';
import { FlmError } from '../lib/errors';
import { type CheckedTarget, checkTarget, type Resolve, systemResolve } from './guard';
import { directTransport, type EgressRequest, type EgressResponse, type Transport } from './transport';

export { EgressError, type EgressFailure } from './errors';
export type { CheckedTarget, Resolve } from './guard';
export type {
  BodyFlow,
  BodySink,
  ChunkReader,
  EgressBody,
  EgressHeaders,
  EgressRequest,
  EgressResponse,
  Transport,
} from './transport';

export interface DownloadOptions {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

export interface Download {
  readonly bytes: Uint8Array;
  /** The media type without parameters, lower case; empty when the server names none. */
  readonly contentType: string;
}

export interface Egress {
  /** Sends to an address that the owner chose: an engine, or FLM's own proxy. @throws EgressError; the abort reason. */
  send(request: EgressRequest): Promise<EgressResponse>;
  /** Checks an engine's address without connecting. @throws EGRESS_REFUSED */
  checkEngineUrl(url: string): Promise<CheckedTarget>;
  /**
   * Fetches something from the public internet: private addresses are refused, before the first connection and after
   * each of at most three redirects.
   * @throws EGRESS_REFUSED, EgressError
   */
  download(url: string, options: DownloadOptions): Promise<Download>;
  /** Closes connections that are kept for later. */
  close(): void;
}

export interface EgressOptions {
  readonly clock: Clock;
  readonly resolve?: Resolve;
  readonly transport?: Transport;
}

const MAX_REDIRECTS = 3;

export function createEgress(options: EgressOptions): Egress {
  const transport = options.transport ?? directTransport(options.clock);
  const resolve = options.resolve ?? systemResolve;

  async function follow(text: string, signal: AbortSignal, redirects: number): Promise<EgressResponse> {
    const { url, address } = await checkTarget(text, 'public', resolve);
    const response = await transport.send(pinned(url, address, signal));
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) return response;
    response.body.reader().cancel();
    if (redirects === 0) throw refused(url, `it redirects more than ${MAX_REDIRECTS} times`);
    const next = URL.parse(location, url);
    if (next === null) throw refused(url, 'it redirects to something that is not a URL');
    if (url.protocol === 'https:' && next.protocol !== 'https:') throw refused(next, 'a redirect left HTTPS');
    return follow(next.href, signal, redirects - 1);
  }

  return {
    send: (request) => transport.send(request),

    close: () => transport.close(),

    checkEngineUrl: (url) => checkTarget(url, 'engine', resolve),

    async download(url, { maxBytes, timeoutMs }) {
      const response = await follow(url, AbortSignal.timeout(timeoutMs), MAX_REDIRECTS);
      if (response.status !== 200) {
        response.body.reader().cancel();
        throw refused(new URL(url), `it answered ${response.status}`);
      }
      const contentType = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
      return { bytes: await readAtMost(response, maxBytes, new URL(url)), contentType };
    },
  };
}

/** The request for `url` that goes to the address that was checked; Host and the certificate keep the name. */
function pinned(url: URL, address: string, signal: AbortSignal): EgressRequest {
  const target = new URL(url);
  target.hostname = address.includes(':') ? `[${address}]` : address;
  return {
    url: target.href,
    method: 'GET',
    headers: { host: url.host, accept: '*/*', 'accept-encoding': 'identity' },
    body: null,
    signal,
    ...(url.protocol === 'https:' ? { tlsName: url.hostname } : {}),
  };
}

/** Reads a body that may claim any length, or none. @throws EGRESS_REFUSED as soon as it is over `maxBytes`. */
async function readAtMost(response: EgressResponse, maxBytes: number, url: URL): Promise<Uint8Array> {
  const reader = response.body.reader();
  const chunks: Uint8Array[] = [];
  let size = Number(response.headers.get('content-length') ?? 0);
  if (size <= maxBytes) {
    size = 0;
    for (let chunk = await reader.read(); chunk !== null; chunk = await reader.read()) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) break;
    }
  }
  if (size <= maxBytes) return Buffer.concat(chunks);
  reader.cancel();
  throw refused(url, `it is larger than ${maxBytes} bytes`);
}

function refused(url: URL, reason: string): FlmError {
  return new FlmError('EGRESS_REFUSED', { meta: { host: url.host, reason } });
}
