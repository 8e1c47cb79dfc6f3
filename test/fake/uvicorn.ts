/**
 * How a server behind uvicorn (vLLM, and the generic server modelled on it) puts answers on the wire: headers,
 * keys, CORS, wrong routes and methods. Which routes there are is the business of openai.ts and vllm.ts.
 */
import type { Answer, Outcome } from './answer';
import type { RecordedRequest } from './http';
import { findHeader, type HeaderPair } from './message';

const DATE = 'Mon, 23 Nov 2026 14:28:28 GMT';

const STATUS: Record<number, string> = {
  200: '200 OK',
  307: '307 Temporary Redirect',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  404: '404 Not Found',
  405: '405 Method Not Allowed',
  429: '429 Too Many Requests',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
};

const REFUSALS: Record<number, { message: string; type: string }> = {
  429: { message: 'Rate limit reached. Please try again later.', type: 'rate_limit_error' },
  500: {
    message: 'EngineCore encountered an issue. See stack trace (above) for the root cause.',
    type: 'InternalServerError',
  },
  503: {
    message:
      'The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.',
    type: 'Service Unavailable',
  },
};

/** An error that does not come from reading the request. */
export function refuse(status: number, request: RecordedRequest, extra: readonly HeaderPair[] = []): Answer {
  const { message, type } = REFUSALS[status] ?? { message: 'Refused', type: 'Bad Request' };
  return json(status, { error: { message, type, param: null, code: status } }, request, extra);
}

/** Sends what work came to. */
export function send(outcome: Outcome, request: RecordedRequest): Answer {
  if (outcome.type === 'error') return json(outcome.status, outcome.body, request);
  if (outcome.type === 'json') return json(200, outcome.body, request, [], outcome.delayMs);
  const headers: HeaderPair[] = [
    ['date', DATE],
    ['server', 'uvicorn'],
    ['content-type', 'text/event-stream; charset=utf-8'],
    ['vary', 'Origin'],
    ['transfer-encoding', 'chunked'],
  ];
  const body = { type: 'stream', chunks: outcome.chunks, framing: 'sse', errorJson: spaced } as const;
  return { status: '200 OK', headers, body, ending: endingFor(request) };
}

/** Whether the key is right: only /v1 is guarded, and there the scheme's case does not matter. */
export function isAllowed(path: string, request: RecordedRequest, apiKey: string | null): boolean {
  if (apiKey === null || !path.startsWith('/v1/')) return true;
  const [scheme, key] = (findHeader(request.headers, 'authorization') ?? '').split(' ');
  return scheme?.toLowerCase() === 'bearer' && key === apiKey;
}

/** The answer to a wrong key. */
export function unauthorized(request: RecordedRequest): Answer {
  const answer = json(401, { error: 'Unauthorized' }, request);
  const headers = answer.headers.filter(([name]) => name !== 'vary');
  return { ...answer, headers: [...headers, ['x-request-id', 'fake000000000000000000000000000001']] };
}

/** The answer to a route that does not exist, or not for this method. */
export function astray(allowed: string | undefined, request: RecordedRequest): Answer {
  return allowed === undefined
    ? json(404, { detail: 'Not Found' }, request)
    : json(405, { detail: 'Method Not Allowed' }, request, [['allow', allowed]]);
}

/** The answer to a preflight; the recorded server allowed no origin. */
export function preflight(request: RecordedRequest): Answer {
  const wanted = findHeader(request.headers, 'access-control-request-headers') ?? '';
  const varies =
    'Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network';
  const extra: HeaderPair[] = [
    ['vary', varies],
    ['access-control-allow-methods', 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY'],
    ['access-control-max-age', '600'],
    ['access-control-allow-headers', wanted],
  ];
  const answer = whole(400, 'Disallowed CORS origin', 'text/plain; charset=utf-8', request, extra);
  return { ...answer, headers: answer.headers.slice(0, -1) };
}

/** An answer in JSON. */
export function json(
  status: number,
  body: unknown,
  request: RecordedRequest,
  extra: readonly HeaderPair[] = [],
  delayMs = 0,
): Answer {
  return whole(status, JSON.stringify(body), 'application/json', request, extra, delayMs);
}

/** An answer of any type; HEAD gets the headers of GET alone. */
export function whole(
  status: number,
  text: string,
  type: string | null,
  request: RecordedRequest,
  extra: readonly HeaderPair[] = [],
  delayMs = 0,
): Answer {
  const bytes = Buffer.from(text);
  const headers: HeaderPair[] = [
    ['date', DATE],
    ['server', 'uvicorn'],
    ...extra,
    ['content-length', String(bytes.length)],
    ...(type === null ? [] : [['content-type', type] as const]),
    ['vary', 'Origin'],
  ];
  const sent = request.method === 'HEAD' ? Buffer.alloc(0) : bytes;
  return {
    status: STATUS[status] ?? String(status),
    headers,
    body: { type: 'whole', bytes: sent, delayMs },
    ending: endingFor(request),
  };
}

/** Python's json.dumps puts spaces into the errors within streams, and only there. */
function spaced(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|([:,])/g, (_, string, mark) => string ?? `${mark} `);
}

function endingFor(request: RecordedRequest): 'keep-alive' | 'close' {
  const asked = /close/i.test(findHeader(request.headers, 'connection') ?? '');
  return asked || request.version === '1.0' ? 'close' : 'keep-alive';
}
