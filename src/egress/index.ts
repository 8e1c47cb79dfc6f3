/** The only room that opens outbound connections (held by test/arch). Hands out its own response shape. */
import type { Clock } from '../contract';
import { FlmError } from '../lib/errors';
import { readAtMost } from './body';
import { type Delivered, type Delivery, deliver } from './deliver';
import { directTransport } from './direct';
import { EgressError } from './errors';
import {
  type CheckedTarget,
  checkTarget,
  checkUnresolved,
  type Purpose,
  type Resolve,
  systemResolve,
} from './guard';
import { knock } from './knock';
import { isOwnAddress } from './own';
import { beforeAbort, type Found, pinned, type SendChecked } from './pinned';
import type { EgressRequest, EgressResponse, Transport } from './transport';
import { isLocalName, isOnionName } from './tunnel/places';
import type { Tunnel, Way } from './tunnel/tunnel';

export { readAtMost } from './body';
export type { Delivered, Delivery } from './deliver';
export { EgressError, type EgressFailure } from './errors';
export type { CheckedTarget, Resolve } from './guard';
export {
  type EgressApi,
  EgressLoginInput,
  EgressMode,
  EgressStatus,
  EgressTestInput,
  EgressTestReport,
} from './model';
export { createOnions, type Onions, type OnionView } from './onion';
export { createOnionStore, type OnionStore } from './onion/store';
export { createEgressApi, type EgressRoom } from './service';
export { type EgressSettings, endpointOf, endpointUrl } from './settings';
export { createLoginStore, type LoginStore } from './store';
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
export { placeOfHost } from './tunnel/places';
export { createTunnel, type Tunnel, type TunnelView, unusable, type Way } from './tunnel/tunnel';

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
  /**
   * Sends to an address that the owner chose: an engine, or FLM's own proxy.
   * @throws EgressError, of kind tunnel when everything is to leave through one that is down; the abort reason
   */
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
  /** The way straight out. */
  readonly transport?: Transport;
  /** What everything that leaves this machine goes through, where the owner wants that. */
  readonly tunnel?: Tunnel;
}

const MAX_REDIRECTS = 3;

export function createEgress(options: EgressOptions): Egress {
  const { tunnel = null } = options;
  const direct = options.transport ?? directTransport(options.clock);
  const resolve = options.resolve ?? systemResolve;

  /** The way to what a URL names. What is no URL fails the same on either. */
  function wayTo(url: string): Way {
    if (tunnel === null) return 'direct';
    return tunnel.wayTo(URL.parse(url)?.hostname ?? '');
  }

  async function check(url: string, purpose: Purpose): Promise<CheckedTarget> {
    const looksUpHere = tunnel === null || tunnel.looksUpHere();
    return looksUpHere ? checkTarget(url, purpose, resolve) : checkUnresolved(url, purpose);
  }

  /** Sends by the way that was chosen, or not at all. */
  async function sendBy(way: Way, request: EgressRequest): Promise<EgressResponse> {
    if (tunnel !== null && way === 'tunnel') return tunnel.send(request);
    // RFC 7686 §2: no name server is to hear of it.
    if (request.url.includes('.onion') && isOnionName(URL.parse(request.url)?.hostname ?? ''))
      throw new EgressError('unreachable', 'its name leads nowhere without Tor (egress.mode)');
    return direct.send(tunnel === null || tunnel.looksUpHere() ? request : withoutName(request));
  }

  async function send(request: EgressRequest): Promise<EgressResponse> {
    if (tunnel === null || request.unixSocket !== undefined) return direct.send(request);
    if (request.isOwn === true && isOwnAddress(URL.parse(request.url)?.hostname ?? ''))
      return direct.send(request);
    // The usual case, on the way of every request: nothing of the URL has to be looked at.
    if (tunnel.isOff()) return sendBy('direct', request);
    try {
      return await sendBy(wayTo(request.url), request);
    } catch (error) {
      // It was lost at this very moment: nothing was sent.
      if (!isLost(error) || !tunnel.isBypassed()) throw error;
      return sendBy('direct', request);
    }
  }

  /** Sends to what was checked. What goes around the tunnel after all is checked as what goes straight out is. */
  const sendChecked: SendChecked = async (text, purpose, signal, requestFor) => {
    const way = wayTo(text);
    const target = await beforeAbort(check(text, purpose), signal);
    // The look-up took its time, and meanwhile the owner has chosen another way, or the tunnel is back.
    if (wayTo(text) !== way) return sendChecked(text, purpose, signal, requestFor);
    try {
      return { url: target.url, response: await sendBy(way, requestFor(target)) };
    } catch (error) {
      if (way === 'direct' || !isLost(error) || tunnel?.isBypassed() !== true) throw error;
    }
    const checked = await beforeAbort(checkTarget(text, purpose, resolve), signal);
    return { url: checked.url, response: await sendBy('direct', requestFor(checked)) };
  };

  async function follow(text: string, signal: AbortSignal, redirects: number): Promise<Found> {
    const { url, response } = await sendChecked(text, 'public', signal, (target) =>
      pinned(target, 'download', signal),
    );
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
    send,

    deliver: (delivery) => deliver(delivery, sendChecked),

    async checkDeliveryUrl(url, allowPrivate) {
      await check(url, allowPrivate ? 'engine' : 'public');
    },

    knock,

    close() {
      direct.close();
      tunnel?.close();
    },

    checkEngineUrl: (url) => check(url, 'engine'),

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

/** The request by the one name of this machine that no name server is asked for; resolvers differ about `x.localhost`. */
function withoutName(request: EgressRequest): EgressRequest {
  const url = URL.parse(request.url);
  if (url === null || url.hostname === 'localhost' || !isLocalName(url.hostname)) return request;
  const { host, hostname: tlsName } = url;
  url.hostname = 'localhost';
  return { ...request, url: url.href, headers: { ...request.headers, host }, tlsName };
}

function isLost(error: unknown): boolean {
  return error instanceof EgressError && error.kind === 'tunnel';
}

function refused(url: URL, reason: string): FlmError {
  return new FlmError('EGRESS_REFUSED', { meta: { host: url.host, reason } });
}
