/**
 * The llama.cpp server's HTTP dialect as recorded in test/golden/llamacpp (xllamacpp 2026.10.11549): routes,
 * headers, key rules, frames. Its oddities are kept, because FLM has to live with them.
 */
import type { Answer, Dialect, EngineView, Recipe, StreamChunk } from './answer';
import { asFields, asList } from './generate';
import { readRecordedJson, readRecordedText } from './golden';
import type { RecordedRequest } from './http';
import { doWork } from './llamacpp-work';
import { findHeader, type HeaderPair } from './message';

const MAX_TURNS = 100;
const JSON_TYPE = 'application/json; charset=utf-8';

const STATUS: Record<number, string> = {
  200: '200 OK',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  404: '404 Not Found',
  415: '415 Unsupported Media Type',
  429: '429 Too Many Requests',
  500: '500 Internal Server Error',
  501: '501 Not Implemented',
  503: '503 Service Unavailable',
};

/** Messages and types that the server uses for statuses which do not come from reading the request. */
const REFUSALS: Record<number, { message: string; type: string }> = {
  401: { message: 'Invalid API Key', type: 'authentication_error' },
  404: { message: 'File Not Found', type: 'not_found_error' },
  // llama.cpp itself never sends a 429; a proxy in front of it does.
  429: { message: 'Too many requests', type: 'rate_limit_error' },
  500: { message: 'Something went wrong in the engine', type: 'server_error' },
  503: { message: 'Loading model', type: 'unavailable_error' },
};

export const llamacpp: Dialect = {
  models: ['smollm2-135m-instruct'],
  slots: 4,
  keepAliveMs: 5000,
  work: /^\/v1\/(chat\/completions|completions|embeddings|responses|messages|rerank)$/,
  respond,
  refuse: (status, request, extra = []) => {
    const { message, type } = REFUSALS[status] ?? { message: 'Refused', type: 'server_error' };
    const answer = json(status, { error: { message, type, code: status } }, request);
    return { ...answer, headers: [...answer.headers, ...extra] };
  },
};

function respond(request: RecordedRequest, view: EngineView, recipe: Recipe): Answer {
  const path = request.path.split('?')[0] ?? '';
  if (request.method === 'OPTIONS') return preflight(request);
  if (!isAllowed(path, request, view)) return llamacpp.refuse(401, request);
  if (request.method === 'HEAD') {
    const answer = respond({ ...request, method: 'GET' }, view, recipe);
    const headers: HeaderPair[] = [...answer.headers, ['Accept-Ranges', 'bytes']];
    return { ...answer, headers, body: { type: 'whole', bytes: Buffer.alloc(0), delayMs: 0 } };
  }
  switch (`${request.method} ${path}`) {
    case 'GET /health':
    case 'GET /v1/health':
      return json(200, { status: 'ok' }, request);
    case 'GET /props':
      return json(200, props(view), request);
    case 'GET /slots':
      return json(200, slots(view), request);
    case 'GET /models':
    case 'GET /v1/models':
      return json(200, models(view), request);
    case 'GET /metrics':
      return metrics(view, request);
    case 'POST /v1/chat/completions':
    case 'POST /v1/completions':
    case 'POST /v1/embeddings':
    case 'POST /v1/responses':
    case 'POST /v1/messages':
    case 'POST /v1/messages/count_tokens':
    case 'POST /v1/rerank':
      return work(path, request, view, recipe);
    default:
      return llamacpp.refuse(404, request);
  }
}

function isAllowed(path: string, request: RecordedRequest, view: EngineView): boolean {
  if (view.apiKey === null || path === '/health' || path === '/v1/health') return true;
  // The scheme's case matters here: `bearer` is refused.
  const key = findHeader(request.headers, 'authorization') ?? '';
  return key === `Bearer ${view.apiKey}` || findHeader(request.headers, 'x-api-key') === view.apiKey;
}

function work(path: string, request: RecordedRequest, view: EngineView, recipe: Recipe): Answer {
  if (findHeader(request.headers, 'content-encoding') !== null) return unsupportedEncoding();
  const outcome = doWork(path, request.body.toString(), view, recipe);
  if (outcome.type === 'stream') return stream(outcome.chunks, request);
  return outcome.type === 'json'
    ? json(200, outcome.body, request, outcome.delayMs)
    : json(outcome.status, outcome.body, request);
}

function props(view: EngineView): object {
  const recorded = asFields(readRecordedJson('llamacpp', 'props')) ?? {};
  return { ...recorded, total_slots: view.slots, model_alias: view.models[0] };
}

function slots(view: EngineView): object[] {
  const recorded = asList(readRecordedJson('llamacpp', 'slots-fresh'))[0];
  return Array.from({ length: view.slots }, (_, id) => ({
    ...asFields(recorded),
    id,
    is_processing: id < view.busy,
  }));
}

function models(view: EngineView): object {
  const recorded = asFields(readRecordedJson('llamacpp', 'models')) ?? {};
  const [native] = asList(recorded.models).map(asFields);
  const [entry] = asList(recorded.data).map(asFields);
  return {
    models: view.models.map((name) => ({ ...native, name, model: name })),
    object: 'list',
    data: view.models.map((id) => ({ ...entry, id, aliases: [id] })),
  };
}

function metrics(view: EngineView, request: RecordedRequest): Answer {
  const text = readRecordedText('llamacpp', 'metrics')
    .replace(/^(llamacpp:requests_processing) .*$/m, `$1 ${view.busy}`)
    .replace(/^(llamacpp:requests_deferred) .*$/m, `$1 ${view.waiting}`);
  const answer = whole(200, Buffer.from(text), 'text/plain; version=0.0.4', request, 0);
  const headers = [...answer.headers];
  headers.splice(2, 0, ['Process-Start-Time-Unix', '1295907397']);
  return { ...answer, headers };
}

function preflight(request: RecordedRequest): Answer {
  const headers: HeaderPair[] = [
    ...cors(request),
    ['Access-Control-Allow-Credentials', 'true'],
    ['Access-Control-Allow-Methods', 'GET, POST, DELETE, OPTIONS'],
    ['Access-Control-Allow-Headers', '*'],
    ['Content-Type', 'text/html'],
    ['Keep-Alive', 'timeout=5, max=100'],
    ['Content-Length', '0'],
  ];
  const body = { type: 'whole', bytes: Buffer.alloc(0), delayMs: 0 } as const;
  return { status: '200 OK', headers, body, ending: 'keep-alive' };
}

function unsupportedEncoding(): Answer {
  const headers: HeaderPair[] = [
    ['Server', 'llama.cpp'],
    ['Access-Control-Allow-Origin', ''],
    ['Connection', 'close'],
    ['Content-Length', '0'],
  ];
  const body = { type: 'whole', bytes: Buffer.alloc(0), delayMs: 0 } as const;
  return { status: STATUS[415] ?? '415', headers, body, ending: 'close' };
}

function json(status: number, body: unknown, request: RecordedRequest, delayMs = 0): Answer {
  return whole(status, Buffer.from(JSON.stringify(body)), JSON_TYPE, request, delayMs);
}

function whole(
  status: number,
  bytes: Buffer,
  type: string,
  request: RecordedRequest,
  delayMs: number,
): Answer {
  // Every refusal ends the connection, and so does its hundredth answer.
  const asked = /close/i.test(findHeader(request.headers, 'connection') ?? '') || request.version === '1.0';
  const closes = status >= 400 || asked || request.turn >= MAX_TURNS;
  const headers: HeaderPair[] = [
    ...cors(request),
    ['Content-Type', type],
    ['Content-Length', String(bytes.length)],
    closes ? ['Connection', 'close'] : ['Keep-Alive', 'timeout=5, max=100'],
  ];
  const body = { type: 'whole', bytes, delayMs } as const;
  return { status: STATUS[status] ?? String(status), headers, body, ending: closes ? 'close' : 'keep-alive' };
}

function stream(chunks: readonly StreamChunk[], request: RecordedRequest): Answer {
  const headers: HeaderPair[] = [
    ...cors(request),
    ['X-Accel-Buffering', 'no'],
    ['Content-Type', 'text/event-stream'],
    ['Transfer-Encoding', 'chunked'],
    ['Keep-Alive', 'timeout=5, max=100'],
  ];
  // It closes after every stream although Keep-Alive says otherwise.
  return { status: '200 OK', headers, body: { type: 'stream', chunks, framing: 'sse' }, ending: 'close' };
}

function cors(request: RecordedRequest): HeaderPair[] {
  const origin = findHeader(request.headers, 'origin') ?? '';
  return [
    ['Server', 'llama.cpp'],
    ['Access-Control-Allow-Origin', origin],
  ];
}
