/** The answer to a request that failed before any of its answer was sent, as clients of its route know errors. */
import { toFlmError } from '../lib/errors';
import { errorBodyAt } from './dialects';
import { ownHeaders } from './headers';

/** `request` tells the route; it may be one that no route would take. */
export function errorResponse(thrown: unknown, requestId: string, request: Request): Response {
  const error = toFlmError(thrown);
  const headers = ownHeaders(requestId);
  headers['content-type'] = 'application/json';
  if (error.status === 401) headers['www-authenticate'] = 'Bearer realm="flm"';
  const { retryAfterSeconds, allow } = error.meta;
  if (typeof retryAfterSeconds === 'number') headers['retry-after'] = String(retryAfterSeconds);
  if (typeof allow === 'string') headers.allow = allow;
  const body = errorBodyAt(pathOf(request))(error, requestId);
  return new Response(JSON.stringify(body), { status: error.status, headers });
}

/** The path of a request whose URL may be anything the runtime lets through (edge.ts). */
function pathOf({ url }: Request): string {
  return URL.parse(url, 'http://localhost')?.pathname ?? '/';
}
