/**
 * Ollama's HTTP dialect as recorded in test/golden/ollama (0.17.4): routes, headers, who may ask. It has no keys of
 * its own; with `apiKey` the fake answers as if something in front of it wanted one.
 */
import type { Answer, Dialect, EngineView, Outcome, Recipe } from './answer';
import { asFields } from './generate';
import type { RecordedRequest } from './http';
import { findHeader, type HeaderPair } from './message';
import { findModel, listLoaded, listModels, listTags, oneModel, showModel } from './ollama-models';
import { doWork, goJson, type Refusal } from './ollama-work';

const DATE = 'Mon, 23 Nov 2026 19:15:14 GMT';
const GIN = 'application/json; charset=utf-8';
/** What Go answers with one length; longer bodies go out in chunks. */
const BUFFER = 2048;

const STATUS: Record<number, string> = {
  200: '200 OK',
  204: '204 No Content',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  403: '403 Forbidden',
  404: '404 Not Found',
  405: '405 Method Not Allowed',
  429: '429 Too Many Requests',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
};

const REFUSALS: Record<number, string> = {
  401: 'unauthorized',
  // Ollama itself never sends a 429; a proxy in front of it does.
  429: 'too many requests',
  500: 'llama runner process has terminated: exit status 2',
  503: 'server busy, please try again.  maximum pending requests exceeded',
};

/** Anthropic's names of errors, which only /v1/messages tells apart. */
const MESSAGE_TYPES: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  503: 'overloaded_error',
};

const ROUTES: Record<string, readonly string[]> = {
  '/': ['HEAD', 'GET'],
  '/api/version': ['HEAD', 'GET'],
  '/api/tags': ['HEAD', 'GET'],
  '/api/ps': ['GET'],
  '/api/show': ['POST'],
  '/api/chat': ['POST'],
  '/api/generate': ['POST'],
  '/api/embed': ['POST'],
  '/api/embeddings': ['POST'],
  '/v1/models': ['GET'],
  '/v1/chat/completions': ['POST'],
  '/v1/completions': ['POST'],
  '/v1/embeddings': ['POST'],
  '/v1/responses': ['POST'],
  '/v1/messages': ['POST'],
};

export const ollama: Dialect = {
  models: [
    { name: 'smollm2-tools:135m', capabilities: ['completion', 'tools'] },
    { name: 'smollm2-embed:latest', capabilities: ['embedding'] },
    { name: 'smollm2:latest', capabilities: ['completion'] },
  ],
  slots: 1,
  // 24 days, the longest that a timer can wait: idle connections are never closed.
  keepAliveMs: 2 ** 31 - 1,
  work: /^\/(v1\/(chat\/completions|completions|embeddings|responses|messages)|api\/(chat|generate|embed|embeddings))$/,
  loads(request, view) {
    const fields = readFields(request);
    const model = findModel(fields.model, view);
    return model ? { name: model.name, loaded: fields.keep_alive !== 0 } : null;
  },
  respond,
  refuse(status, request, extra = []) {
    const body: Refusal = { message: REFUSALS[status] ?? 'refused', foundBy: 'model' };
    return refusal(status, body, request, extra);
  },
};

function respond(request: RecordedRequest, view: EngineView, recipe: Recipe): Answer {
  const path = request.path.split('?')[0] ?? '';
  const origin = findHeader(request.headers, 'origin');
  const oneName = /^\/v1\/models\/([^/]+)$/.exec(path)?.[1];
  const methods = oneName === undefined ? ROUTES[path] : ['GET'];
  if (origin !== null && !isLocalOrigin(origin)) return forbidden(request, methods);
  if (request.method === 'OPTIONS' && origin !== null) return preflight(request, origin, methods);
  if (!isLocalHost(request, view)) return forbidden(request);
  if (!methods) return text(404, '404 page not found', 'text/plain', request);
  if (!methods.includes(request.method)) {
    const allow: HeaderPair[] = [['Allow', methods.join(', ')]];
    return text(405, '405 method not allowed', 'text/plain', request, allow);
  }
  if (view.apiKey !== null && findHeader(request.headers, 'authorization') !== `Bearer ${view.apiKey}`) {
    return ollama.refuse(401, request);
  }
  if (oneName !== undefined) return findOne(decodeURIComponent(oneName), request, view);
  switch (path) {
    case '/':
      return text(200, 'Ollama is running', 'text/plain; charset=utf-8', request);
    case '/api/version':
      return text(200, goJson({ version: '0.17.4' }), GIN, request);
    case '/api/tags':
      return text(200, goJson(listTags(view)), GIN, request);
    case '/api/ps':
      return text(200, goJson(listLoaded(view)), GIN, request);
    case '/v1/models':
      return text(200, `${goJson(listModels(view))}\n`, 'application/json', request);
    case '/api/show':
      return show(request, view);
    default:
      return send(doWork(path, request.body.toString(), view, recipe), path, request);
  }
}

function show(request: RecordedRequest, view: EngineView): Answer {
  const { model, name = model } = readFields(request);
  if (name === undefined) {
    return refusal(400, { message: 'model is required', foundBy: 'model' }, request);
  }
  const found = findModel(name, view);
  if (found) return text(200, goJson(showModel(found)), GIN, request);
  return refusal(404, { message: `model '${String(name)}' not found`, foundBy: 'model' }, request);
}

function findOne(name: string, request: RecordedRequest, view: EngineView): Answer {
  if (findModel(name, view)) return text(200, `${goJson(oneModel(name))}\n`, 'application/json', request);
  return refusal(404, { message: `model '${name}' not found`, foundBy: 'model' }, request);
}

function send(outcome: Outcome, path: string, request: RecordedRequest): Answer {
  if (outcome.type === 'error') return refusal(outcome.status, outcome.body as Refusal, request);
  if (outcome.type === 'json') {
    const json = goJson(outcome.body);
    return path.startsWith('/api/')
      ? text(200, json, GIN, request, [], outcome.delayMs)
      : text(200, `${json}\n`, 'application/json', request, [], outcome.delayMs);
  }
  const framing = outcome.framing ?? 'sse';
  const native = /\/(responses|messages)$/.test(path);
  const headers: HeaderPair[] = [
    ...cors(request),
    ...(native
      ? ([
          ['Cache-Control', 'no-cache'],
          ['Connection', 'keep-alive'],
        ] as const)
      : []),
    ['Content-Type', framing === 'sse' ? 'text/event-stream' : 'application/x-ndjson'],
    ...varies(request),
    ['Date', DATE],
    ['Transfer-Encoding', 'chunked'],
  ];
  const body = { type: 'stream', chunks: outcome.chunks, framing } as const;
  return { status: '200 OK', headers, body, ending: endingFor(request) };
}

/** Each API has its own shape of an error, and Go's two ways of writing JSON differ by a line feed. */
function refusal(
  status: number,
  { message, foundBy }: Refusal,
  request: RecordedRequest,
  extra: readonly HeaderPair[] = [],
): Answer {
  const [type, end] = foundBy === 'before' ? [GIN, ''] : ['application/json', '\n'];
  if (request.path.startsWith('/v1/messages')) {
    const error = { type: MESSAGE_TYPES[status] ?? 'api_error', message };
    const body = { type: 'error', error, request_id: 'req_2c5439f49b7ea3277f7e9e90' };
    return text(status, goJson(body) + end, type, request, extra);
  }
  if (request.path.startsWith('/v1/')) {
    const kind = foundBy === 'before' ? 'invalid_request_error' : 'api_error';
    const body = { error: { message, type: kind, param: null, code: null } };
    return text(status, goJson(body) + end, type, request, extra);
  }
  return text(status, goJson({ error: message }), GIN, request, extra);
}

function text(
  status: number,
  body: string,
  type: string | null,
  request: RecordedRequest,
  extra: readonly HeaderPair[] = [],
  delayMs = 0,
): Answer {
  const bytes = Buffer.from(body);
  const ending = endingFor(request);
  const framing: HeaderPair =
    bytes.length > BUFFER && request.method !== 'HEAD'
      ? ['Transfer-Encoding', 'chunked']
      : ['Content-Length', String(bytes.length)];
  const headers: HeaderPair[] = [
    ...cors(request),
    ...extra,
    ...(type === null ? [] : [['Content-Type', type] as const]),
    ...varies(request),
    ['Date', DATE],
    framing,
    ...(ending === 'close' ? [['Connection', 'close'] as const] : []),
  ];
  const sent = request.method === 'HEAD' ? Buffer.alloc(0) : bytes;
  return {
    status: STATUS[status] ?? String(status),
    headers,
    body: { type: 'whole', bytes: sent, delayMs },
    ending,
  };
}

function forbidden(request: RecordedRequest, allowed?: readonly string[]): Answer {
  const allow: HeaderPair[] = request.method === 'OPTIONS' && allowed ? [['Allow', allowed.join(', ')]] : [];
  const { origin: _, ...rest } = { origin: null, ...request };
  const headers = rest.headers.filter(([name]) => name.toLowerCase() !== 'origin');
  return text(403, '', null, { ...rest, headers }, allow);
}

function preflight(request: RecordedRequest, origin: string, allowed: readonly string[] = []): Answer {
  const stainless = 'Arch,Async,Custom-Poll-Interval,Helper-Method,Lang,Os,Package-Version,Poll-Helper';
  const sdk = `${stainless},Retry-Count,Runtime,Runtime-Version,Timeout`.split(',');
  const named = ['Authorization', 'Content-Type', 'User-Agent', 'Accept', 'X-Requested-With', 'Openai-Beta'];
  const headers: HeaderPair[] = [
    ['Access-Control-Allow-Headers', [...named, ...sdk.map((name) => `X-Stainless-${name}`)].join(',')],
    ['Access-Control-Allow-Methods', 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS'],
    ['Access-Control-Allow-Origin', origin],
    ['Access-Control-Max-Age', '43200'],
    ['Allow', allowed.join(', ')],
    ['Vary', 'Origin'],
    ['Vary', 'Access-Control-Request-Method'],
    ['Vary', 'Access-Control-Request-Headers'],
    ['Date', DATE],
  ];
  const body = { type: 'whole', bytes: Buffer.alloc(0), delayMs: 0 } as const;
  return { status: STATUS[204] ?? '204', headers, body, ending: endingFor(request) };
}

function isLocalOrigin(origin: string): boolean {
  return /^(https?:\/\/(localhost|127\.0\.0\.1|0\.0\.0\.0)(:\d+)?|(app|file|tauri|vscode-webview|vscode-file):\/\/.*)$/.test(
    origin,
  );
}

/** Bound to loopback, it refuses names that are not of this machine or network: a guard against DNS rebinding. */
function isLocalHost(request: RecordedRequest, view: EngineView): boolean {
  if (!/^(127\.|::1$|localhost$)/.test(view.hostname)) return true;
  const host = (findHeader(request.headers, 'host') ?? '').replace(/:\d+$/, '').toLowerCase();
  return /^(|localhost|[\d.]+|\[.*\]|.*\.(localhost|local|internal))$/.test(host);
}

function cors(request: RecordedRequest): HeaderPair[] {
  const origin = findHeader(request.headers, 'origin');
  return origin === null ? [] : [['Access-Control-Allow-Origin', origin]];
}

function varies(request: RecordedRequest): HeaderPair[] {
  return findHeader(request.headers, 'origin') === null ? [] : [['Vary', 'Origin']];
}

function readFields(request: RecordedRequest): Record<string, unknown> {
  try {
    return { ...asFields(JSON.parse(request.body.toString())) };
  } catch {
    return {};
  }
}

function endingFor(request: RecordedRequest): 'keep-alive' | 'close' {
  const asked = /close/i.test(findHeader(request.headers, 'connection') ?? '');
  return asked || request.version === '1.0' ? 'close' : 'keep-alive';
}
