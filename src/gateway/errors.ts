/** Errors as OpenAI's clients know them: the JSON body, the last event of a stream that failed, and the headers. */
import { type FlmError, toFlmError } from '../lib/errors';
import { eventOf } from '../lib/sse';
import { ownHeaders } from './headers';

/** The body of an error: OpenAI's shape and the request's id (design §3). */
export function errorBody(
  error: FlmError,
  requestId: string,
): { readonly error: Readonly<Record<string, unknown>> } {
  const message = error.hint === null ? error.message : `${error.message} ${error.hint}`;
  return {
    error: { message, type: error.type, param: error.param, code: error.wireCode, request_id: requestId },
  };
}

/** The answer to a request that failed before any of its answer was sent. */
export function errorResponse(thrown: unknown, requestId: string): Response {
  const error = toFlmError(thrown);
  const headers = ownHeaders(requestId);
  headers['content-type'] = 'application/json';
  if (error.status === 401) headers['www-authenticate'] = 'Bearer realm="flm"';
  const { retryAfterSeconds, allow } = error.meta;
  if (typeof retryAfterSeconds === 'number') headers['retry-after'] = String(retryAfterSeconds);
  if (typeof allow === 'string') headers.allow = allow;
  return new Response(JSON.stringify(errorBody(error, requestId)), { status: error.status, headers });
}

/** The one event that ends a stream which failed. No `[DONE]` follows: a broken answer must not look complete. */
export function errorEvent(thrown: unknown, requestId: string): Uint8Array {
  return eventOf(JSON.stringify(errorBody(toFlmError(thrown), requestId)));
}
