/** A request to an address that was checked, whatever its name leads to by then. */
import type { CheckedTarget, Purpose } from './guard';
import type { EgressRequest, EgressResponse } from './transport';

/** Sends what `requestFor` makes of a URL once it is known where that leads, by the way that it takes. */
export type SendChecked = (
  url: string,
  purpose: Purpose,
  signal: AbortSignal,
  requestFor: (target: CheckedTarget) => EgressRequest,
) => Promise<Found>;

/** Where a request led, and what is there. */
export interface Found {
  readonly url: URL;
  readonly response: EgressResponse;
}

/** What the promise comes to, unless the signal aborts before: a name server may take longer than anybody waits. */
export function beforeAbort<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return Promise.race([promise, aborted]);
}

/** The request for `url` that goes to the address that was checked; Host and the certificate keep the name. */
export function pinned({ url, address }: CheckedTarget, purpose: string, signal: AbortSignal): EgressRequest {
  const target = new URL(url);
  target.hostname = address.includes(':') ? `[${address}]` : address;
  // Certificates name hosts without the dot that ends a full name; an address verifies as what it is.
  const name = url.hostname === target.hostname ? null : url.hostname.replace(/\.$/, '');
  return {
    url: target.href,
    method: 'GET',
    headers: { host: url.host, accept: '*/*', 'accept-encoding': 'identity' },
    body: null,
    signal,
    purpose,
    ...(url.protocol === 'https:' && name !== null ? { tlsName: name } : {}),
  };
}
