/** Why an outbound request failed, in words that do not depend on the runtime's error codes. */
import type { Cancel } from '../contract';
import { reasonOf } from '../lib/errors';

/**
 * `refused`: nobody listens; `unreachable`: no route or no such name; `closed`: the connection broke off;
 * `malformed`: the answer is not HTTP, or larger than any answer; `tls`: no TLS there, or a certificate that does not
 * verify; `timeout`: it took too long; `tunnel`: the way out itself is lost, and nothing was sent.
 */
export type EgressFailure =
  | 'refused'
  | 'unreachable'
  | 'closed'
  | 'malformed'
  | 'tls'
  | 'timeout'
  | 'tunnel'
  | 'other';

export class EgressError extends Error {
  override readonly name = 'EgressError';
  readonly kind: EgressFailure;

  constructor(kind: EgressFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** The failure of an answer that is not read to its end because it has none in sight. */
export function tooLarge(): EgressError {
  return new EgressError('malformed', 'its answer is larger than FLM reads whole');
}

const KINDS = new Map<string, readonly [EgressFailure, string]>([
  ['ConnectionRefused', ['refused', 'nothing listens there']],
  ['ECONNREFUSED', ['refused', 'nothing listens there']],
  ['ENOENT', ['refused', 'there is no such socket']],
  ['FailedToOpenSocket', ['unreachable', 'no connection could be opened']],
  ['ENOTFOUND', ['unreachable', 'its name cannot be resolved']],
  ['EAI_AGAIN', ['unreachable', 'its name cannot be resolved now']],
  ['ESERVFAIL', ['unreachable', 'its name cannot be resolved now']],
  ['ETIMEOUT', ['unreachable', 'its name cannot be resolved now']],
  ['EHOSTUNREACH', ['unreachable', 'there is no route to it']],
  ['ENETUNREACH', ['unreachable', 'there is no route to it']],
  ['ECONNRESET', ['closed', 'the connection was closed']],
  ['ConnectionClosed', ['closed', 'the connection was closed']],
  ['EPIPE', ['closed', 'the connection was closed']],
  ['EPROTO', ['tls', 'it does not speak TLS']],
  ['Malformed_HTTP_Response', ['malformed', 'it does not speak HTTP']],
  ['InvalidHTTPResponse', ['malformed', 'its HTTP framing is broken']],
  ['ETIMEDOUT', ['timeout', 'it did not answer in time']],
]);

/** What the TLS library says of certificates; codes such as UNABLE_TO_VERIFY_LEAF_SIGNATURE and HOSTNAME_MISMATCH. */
const CERTIFICATE = /CERT|TLS|SSL|ALTNAME|UNABLE_TO_|HOSTNAME|INVALID_CA|PURPOSE|PATH_LENGTH|CRL/;

/**
 * What to throw for whatever fetch threw: an EgressError, or the signal's own reason when it was aborted, so that
 * callers can tell a client that left from a deadline and both from a failure of the other side.
 */
export function translateFailure(error: unknown, signal: Cancel | null): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof EgressError) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = KINDS.get(code);
  if (known !== undefined) return new EgressError(known[0], known[1], error);
  if (CERTIFICATE.test(code)) {
    return new EgressError('tls', `its certificate does not verify (${code})`, error);
  }
  return new EgressError('other', code === '' ? reasonOf(error) : code, error);
}
