/**
 * A generic OpenAI-compatible server: routes of a vLLM behind uvicorn as recorded in test/golden/openai, without
 * /version, /metrics and the names by which an engine is recognised.
 */
import type { Answer, Dialect, EngineView, Recipe } from './answer';
import type { RecordedRequest } from './http';
import { findHeader } from './message';
import { doWork } from './openai-work';
import { astray, isAllowed, json, preflight, refuse, send, unauthorized, whole } from './uvicorn';

const CREATED = 1795444105;

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
  refuse,
};

function respond(request: RecordedRequest, view: EngineView, recipe: Recipe): Answer {
  const path = request.path.split('?')[0] ?? '';
  if (request.method === 'OPTIONS' && findHeader(request.headers, 'origin') !== null) {
    return preflight(request);
  }
  if (!isAllowed(path, request, view.apiKey)) return unauthorized(request);
  const method = ROUTES[path];
  if (method !== request.method) return astray(method, request);
  if (path === '/health') return whole(200, '', null, request);
  if (path === '/v1/models') return json(200, listModels(view, { owner: 'fake', root: '' }), request);
  const requestId = findHeader(request.headers, 'x-request-id');
  return send(doWork(path, request.body.toString(), requestId, view, recipe), request);
}

/** GET /v1/models: who owns them, and the folder that they were loaded from. */
export function listModels(view: EngineView, { owner, root }: { owner: string; root: string }): object {
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
  const data = view.catalogue.map(({ name, loadedContextLength }) => ({
    id: name,
    object: 'model',
    created: CREATED,
    owned_by: owner,
    root: `${root}${name}`,
    parent: null,
    max_model_len: loadedContextLength,
    permission: [permission],
  }));
  return { object: 'list', data };
}
