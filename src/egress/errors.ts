/** Why an outbound request failed, in words that do not depend on the runtime's error codes. */
import type { Cancel } from '../contract';
import { reasonOf } from '../lib/errors';

/**
 * `refused`: nobody listens; `unreachable`: no route or no such name; `closed`: the connection broke off;
 * `malformed`: the answer is not HTTP; `tls`: the certificate does not verify; `timeout`: the caller's deadline.
 */
export type EgressFailure = 'refused' | 'unreachable' | 'closed' | 'malformed' | 'tls' | 'timeout' | 'other';

export class EgressError extends Error {
  override readonly name = 'EgressError';
  readonly kind: EgressFailure;

  constructor(kind: EgressFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

const KINDS: Readonly<Record<string, readonly [EgressFailure, string]>> = {
  ConnectionRefused: ['refused', 'nothing listens there'],
  ECONNREFUSED: ['refused', 'nothing listens there'],
  FailedToOpenSocket: ['unreachable', 'no connection could be opened'],
  ENOTFOUND: ['unreachable', 'its name cannot be resolved'],
  EHOSTUNREACH: ['unreachable', 'there is no route to it'],
  ENETUNREACH: ['unreachable', 'there is no route to it'],
  ECONNRESET: ['closed', 'the connection was closed'],
  ConnectionClosed: ['closed', 'the connection was closed'],
  EPIPE: ['closed', 'the connection was closed'],
  Malformed_HTTP_Response: ['malformed', 'it does not speak HTTP'],
  InvalidHTTPResponse: ['malformed', 'its HTTP framing is broken'],
  ETIMEDOUT: ['timeout', 'it did not answer in time'],
};

/**
 * What to throw for whatever fetch threw: an EgressError, or the signal's own reason when it was aborted, so that
 * callers can tell a client that left from a deadline and both from a failure of the other side.
 */
export function translateFailure(error: unknown, signal: Cancel | null): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof EgressError) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = KINDS[code];
  if (known !== undefined) return new EgressError(known[0], known[1], error);
  if (/CERT|TLS|SSL|SELF_SIGNED|ALTNAME/.test(code)) {
    return new EgressError('tls', `its certificate does not verify (${code})`, error);
  }
  return new EgressError('other', code === '' ? reasonOf(error) : code, error);
}
