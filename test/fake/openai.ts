/**
 * A generic OpenAI-compatible server: routes, headers and key rules of a vLLM behind uvicorn as recorded in
 * test/golden/openai, without /version, /metrics and the names by which an engine is recognised.
 */
import type { Answer, Dialect, EngineView, Recipe } from './answer';
import type { RecordedRequest } from './http';
import { findHeader, type HeaderPair } from './message';
import { doWork } from './openai-work';

const CREATED = 1795444105;
const DATE = 'Mon, 23 Nov 2026 14:28:28 GMT';

const STATUS: Record<number, string> = {
  200: '200 OK',
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

const ROUTES: Record<string, string> = {
  '/health': 'GET',
  '/v1/models': 'GET',
  '/v1/chat/completions': 'POST',
  '/v1/completions': 'POST',
  '/v1/embeddings': 'POST',
};

export const openai: Dialect = {
  models: ['fake-model'],
  slots: 256,
  keepAliveMs: 5000,
  work: /^\/v1\/(chat\/completions|completions|embeddings)$/,
  respond,
  refuse: (status, request, extra = []) => {
    const { message, type } = REFUSALS[status] ?? { message: 'Refused', type: 'Bad Request' };
    return json(status, { error: { message, type, param: null, code: status } }, request, extra);
  },
};

function respond(request: RecordedRequest, view: EngineView, recipe: Recipe): Answer {
  const path = request.path.split('?')[0] ?? '';
  if (request.method === 'OPTIONS' && findHeader(request.headers, 'origin') !== null) {
    return preflight(request);
  }
  if (!isAllowed(path, request, view)) return unauthorized(request);
  const method = ROUTES[path];
  if (method === undefined) return json(404, { detail: 'Not Found' }, request);
  if (method !== request.method) {
    return json(405, { detail: 'Method Not Allowed' }, request, [['allow', method]]);
  }
  if (path === '/health') return whole(200, '', null, request);
  if (path === '/v1/models') return json(200, models(view), request);
  const requestId = findHeader(request.headers, 'x-request-id');
  const outcome = doWork(path, request.body.toString(), requestId, view, recipe);
  if (outcome.type === 'error') return json(outcome.status, outcome.body, request);
  if (outcome.type === 'json') return json(200, outcome.body, request, [], outcome.delayMs);
  const headers: HeaderPair[] = [
    ['date', DATE],
    ['server', 'uvicorn'],
    ['content-type', 'text/event-stream; charset=utf-8'],
    ['vary', 'Origin'],
    ['transfer-encoding', 'chunked'],
  ];
  return {
    status: '200 OK',
    headers,
    body: { type: 'stream', chunks: outcome.chunks, framing: 'sse' },
    ending: endingFor(request),
  };
}

function isAllowed(path: string, request: RecordedRequest, view: EngineView): boolean {
  // Only /v1 is guarded, and there the scheme's case does not matter.
  if (view.apiKey === null || !path.startsWith('/v1/')) return true;
  const [scheme, key] = (findHeader(request.headers, 'authorization') ?? '').split(' ');
  return scheme?.toLowerCase() === 'bearer' && key === view.apiKey;
}

function unauthorized(request: RecordedRequest): Answer {
  const answer = json(401, { error: 'Unauthorized' }, request);
  const headers = answer.headers.filter(([name]) => name !== 'vary');
  return { ...answer, headers: [...headers, ['x-request-id', 'fake000000000000000000000000000001']] };
}

/** The recorded server allowed no origin. */
function preflight(request: RecordedRequest): Answer {
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

function models(view: EngineView): object {
  const permission = {
    id: 'modelperm-fake00000001',
    object: 'model_permission',
    created: CREATED,
    allow_create_engine: false,
    allow_sampling: true,
    allow_logprobs: true,
    allow_search_indices: false,
    allow_view: true,
    allow_fine_tuning: false,
    organization: '*',
    group: null,
    is_blocking: false,
  };
  const data = view.models.map((id) => ({
    id,
    object: 'model',
    created: CREATED,
    owned_by: 'fake',
    root: id,
    parent: null,
    max_model_len: 2048,
    permission: [permission],
  }));
  return { object: 'list', data };
}

function json(
  status: number,
  body: unknown,
  request: RecordedRequest,
  extra: readonly HeaderPair[] = [],
  delayMs = 0,
): Answer {
  return whole(status, JSON.stringify(body), 'application/json', request, extra, delayMs);
}

function whole(
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
  // HEAD is answered with the GET's headers alone.
  const sent = request.method === 'HEAD' ? Buffer.alloc(0) : bytes;
  return {
    status: STATUS[status] ?? String(status),
    headers,
    body: { type: 'whole', bytes: sent, delayMs },
    ending: endingFor(request),
  };
}

function endingFor(request: RecordedRequest): 'keep-alive' | 'close' {
  const asked = /close/i.test(findHeader(request.headers, 'connection') ?? '');
  return asked || request.version === '1.0' ? 'close' : 'keep-alive';
}
