/**
 * LM Studio's HTTP dialect from its documentation and from answers that its users have published
 * (test/golden/lmstudio/README.md): routes, headers, tokens. What it does not know it answers with 200.
 */
import type { Answer, Dialect, EngineView, Outcome, Recipe } from './answer';
import { asFields } from './generate';
import type { RecordedRequest } from './http';
import { describeV0, findModel, listModels, listV0, listV1 } from './lmstudio-models';
import { doWork } from './lmstudio-work';
import { findHeader, type HeaderPair } from './message';

const DATE = 'Mon, 23 Nov 2026 14:28:28 GMT';

const STATUS: Record<number, string> = {
  200: '200 OK',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  404: '404 Not Found',
  429: '429 Too Many Requests',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
};

const KEY_MISSING =
  "An LM Studio API token is required to make requests to this server, but none was provided using the Authorization header using the 'Bearer' scheme (i.e., 'Authorization: Bearer $LM_API_TOKEN'). Learn more at: https://lmstudio.ai/docs/developer/core/authentication.";

const WORK =
  /^\/(v1\/(chat\/completions|completions|embeddings|responses|messages)|api\/v0\/(chat\/completions|completions|embeddings))$/;

export const lmstudio: Dialect = {
  models: [
    { name: 'smollm2-135m-instruct' },
    {
      name: 'text-embedding-nomic-embed-text-v1.5',
      capabilities: ['embedding'],
      contextLength: 2048,
      family: 'nomic-bert',
      quantization: 'Q4_0',
    },
  ],
  slots: 4,
  keepAliveMs: 5000,
  work: WORK,
  loads(request, view) {
    let name: unknown;
    try {
      name = asFields(JSON.parse(request.body.toString()))?.model;
    } catch {
      return null;
    }
    const model = findModel(name, view);
    return model ? { name: model.name, loaded: true } : null;
  },
  respond,
  refuse(status, request, extra = []) {
    const error = {
      message: 'The model has crashed without additional information.',
      type: 'internal_error',
    };
    return json(status, { error: { ...error, param: null, code: null } }, request, extra);
  },
};

function respond(request: RecordedRequest, view: EngineView, recipe: Recipe): Answer {
  const path = request.path.split('?')[0] ?? '';
  if (!isAllowed(path, request, view)) {
    const error = { type: 'invalid_request', code: 'invalid_api_key', message: KEY_MISSING };
    return json(401, { error }, request);
  }
  const oneName = /^\/api\/v0\/models\/(.+)$/.exec(path)?.[1];
  if (request.method === 'GET' && oneName !== undefined)
    return findOne(decodeURIComponent(oneName), request, view);
  switch (`${request.method} ${path}`) {
    case 'GET /v1/models':
      return json(200, listModels(view), request);
    case 'GET /api/v0/models':
      return json(200, listV0(view), request);
    case 'GET /api/v1/models':
      return json(200, listV1(view), request);
  }
  if (request.method === 'POST' && WORK.test(path)) {
    return send(doWork(path, request.body.toString(), view, recipe), request);
  }
  return json(200, { error: `Unexpected endpoint or method. (${request.method} ${request.path})` }, request);
}

function isAllowed(path: string, request: RecordedRequest, view: EngineView): boolean {
  if (view.apiKey === null) return true;
  const bearer = findHeader(request.headers, 'authorization') === `Bearer ${view.apiKey}`;
  return bearer || (path === '/v1/messages' && findHeader(request.headers, 'x-api-key') === view.apiKey);
}

function findOne(name: string, request: RecordedRequest, view: EngineView): Answer {
  const model = view.catalogue.find((each) => each.name === name);
  if (model) return json(200, describeV0(model), request);
  return json(404, { error: `Model "${name}" not found` }, request);
}

function send(outcome: Outcome, request: RecordedRequest): Answer {
  if (outcome.type === 'error') return json(outcome.status, outcome.body, request);
  if (outcome.type === 'json') return json(200, outcome.body, request, [], outcome.delayMs);
  const headers: HeaderPair[] = [
    ['X-Powered-By', 'Express'],
    ['Content-Type', 'text/event-stream'],
    ['Cache-Control', 'no-cache'],
    ['Connection', 'keep-alive'],
    ['Date', DATE],
    ['Keep-Alive', 'timeout=5'],
    ['Transfer-Encoding', 'chunked'],
  ];
  const body = { type: 'stream', chunks: outcome.chunks, framing: 'sse' } as const;
  return { status: '200 OK', headers, body, ending: endingFor(request) };
}

function json(
  status: number,
  value: unknown,
  request: RecordedRequest,
  extra: readonly HeaderPair[] = [],
  delayMs = 0,
): Answer {
  const bytes = Buffer.from(JSON.stringify(value));
  const ending = endingFor(request);
  const kept: HeaderPair[] = [
    ['Connection', 'keep-alive'],
    ['Keep-Alive', 'timeout=5'],
  ];
  const headers: HeaderPair[] = [
    ['X-Powered-By', 'Express'],
    ...extra,
    ['Content-Type', 'application/json; charset=utf-8'],
    ['Content-Length', String(bytes.length)],
    ['ETag', `W/"${bytes.length.toString(16)}-fake"`],
    ['Date', DATE],
    ...(ending === 'close' ? [['Connection', 'close'] as const] : kept),
  ];
  const sent = request.method === 'HEAD' ? Buffer.alloc(0) : bytes;
  const body = { type: 'whole', bytes: sent, delayMs } as const;
  return { status: STATUS[status] ?? String(status), headers, body, ending };
}

function endingFor(request: RecordedRequest): 'keep-alive' | 'close' {
  const asked = /close/i.test(findHeader(request.headers, 'connection') ?? '');
  return asked || request.version === '1.0' ? 'close' : 'keep-alive';
}
