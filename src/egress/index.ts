/** The only room that opens outbound connections (held by test/arch). Hands out its own response shape. */
import type { Clock } from '../contract';
import { FlmError } from '../lib/errors';
import { readAtMost } from './body';
import { type Delivered, type Delivery, deliver } from './deliver';
import { directTransport } from './direct';
import { EgressError } from './errors';
import { type CheckedTarget, checkTarget, type Resolve, systemResolve } from './guard';
import { knock } from './knock';
import { beforeAbort, pinned } from './pinned';
import type { EgressRequest, EgressResponse, Transport } from './transport';

export { readAtMost } from './body';
export type { Delivered, Delivery } from './deliver';
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
  /**
   * Posts a message to an address that somebody gave for it. Follows no redirect, and reads no more of the answer than is
   * wanted. @throws EGRESS_REFUSED, EgressError; the abort reason
   */
  deliver(delivery: Delivery): Promise<Delivered>;
  /** Checks such an address without connecting. @throws EGRESS_REFUSED */
  checkDeliveryUrl(url: string, allowPrivate: boolean): Promise<void>;
  /** Whether anything takes a TCP connection at an address of this machine. */
  knock(ip: string, port: number, timeoutMs: number): Promise<boolean>;
  /** Closes connections that are kept for later. */
  close(): void;
}

export interface EgressOptions {
  readonly clock: Clock;
  readonly resolve?: Resolve;
  readonly transport?: Transport;
}

const MAX_REDIRECTS = 3;

/** Where a download led, and what is there. */
interface Found {
  readonly url: URL;
  readonly response: EgressResponse;
}

export function createEgress(options: EgressOptions): Egress {
  const transport = options.transport ?? directTransport(options.clock);
  const resolve = options.resolve ?? systemResolve;

  async function follow(text: string, signal: AbortSignal, redirects: number): Promise<Found> {
    const { url, address } = await beforeAbort(checkTarget(text, 'public', resolve), signal);
    const response = await transport.send(pinned(url, address, signal));
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) return { url, response };
    response.body.reader().cancel();
    if (redirects === 0) throw refused(url, `it redirects more than ${MAX_REDIRECTS} times`);
    const next = URL.parse(location, url);
    if (next === null) throw refused(url, 'it redirects to something that is not a URL');
    if (url.protocol === 'https:' && next.protocol !== 'https:') throw refused(next, 'a redirect left HTTPS');
    return follow(next.href, signal, redirects - 1);
  }

  async function fetchPublic(text: string, maxBytes: number, signal: AbortSignal): Promise<Download> {
    const { url, response } = await follow(text, signal, MAX_REDIRECTS);
    const reader = response.body.reader();
    if (response.status !== 200) {
      reader.cancel();
      throw refused(url, `it answered ${response.status}`);
    }
    const announced = Number(response.headers.get('content-length') ?? 0);
    const bytes = announced > maxBytes ? null : await readAtMost(reader, maxBytes);
    if (bytes === null) {
      reader.cancel();
      throw refused(url, `it is larger than ${maxBytes} bytes`);
    }
    const contentType = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
    return { bytes, contentType };
  }

  return {
    send: (request) => transport.send(request),

    deliver: (delivery) => deliver(delivery, transport, resolve),

    async checkDeliveryUrl(url, allowPrivate) {
      await checkTarget(url, allowPrivate ? 'engine' : 'public', resolve);
    },

    knock,

    close: () => transport.close(),

    checkEngineUrl: (url) => checkTarget(url, 'engine', resolve),

    async download(url, { maxBytes, timeoutMs }) {
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        return await fetchPublic(url, maxBytes, signal);
      } catch (error) {
        if (signal.aborted) throw new EgressError('timeout', 'it did not answer in time', error);
        throw error;
      }
    },
  };
}

function refused(url: URL, reason: string): FlmError {
  return new FlmError('EGRESS_REFUSED', { meta: { host: url.host, reason } });
}
