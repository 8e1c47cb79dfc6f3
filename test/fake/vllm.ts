/**
 * vLLM's HTTP dialect as recorded in test/golden/vllm (0.32.0): the generic server's chats and completions under its
 * own names, the routes that only it has, and one that its key forgets.
 */
import type { Answer, Dialect, EngineView, Outcome, Recipe } from './answer';
import { countPromptTokens, type Fields } from './generate';
import { readRecordedText } from './golden';
import type { RecordedRequest } from './http';
import { findHeader } from './message';
import { answerNative, type NativeRoute, toChat } from './native';
import { listModels } from './openai';
import { readWork } from './openai-refuse';
import { doWork, type Persona } from './openai-work';
import { astray, isAllowed, json, preflight, refuse, send, unauthorized, whole } from './uvicorn';

const PERSONA: Persona = { fingerprint: 'vllm-0.32.0-844068ce', namedToolStops: true };

const ROUTES: Record<string, string> = {
  '/health': 'GET',
  '/ping': 'GET',
  '/load': 'GET',
  '/version': 'GET',
  '/metrics': 'GET',
  '/tokenize': 'POST',
  '/detokenize': 'POST',
  '/invocations': 'POST',
  '/v1/models': 'GET',
  '/v1/chat/completions': 'POST',
  '/v1/completions': 'POST',
  '/v1/responses': 'POST',
  '/v1/messages': 'POST',
  '/v1/messages/count_tokens': 'POST',
};

export const vllm: Dialect = {
  models: ['smollm2'],
  slots: 256,
  keepAliveMs: 5000,
  work: /^\/(invocations|v1\/(chat\/completions|completions|responses|messages))$/,
  respond(request, view, recipe) {
    const answer = route(request, view, recipe);
    // The recorded server with a key had been told to name requests, too.
    const named = view.apiKey === null || answer.headers.some(([name]) => name === 'x-request-id');
    const id = findHeader(request.headers, 'x-request-id') ?? 'fake000000000000000000000000000001';
    return named ? answer : { ...answer, headers: [...answer.headers, ['x-request-id', id]] };
  },
  refuse,
};

function route(request: RecordedRequest, view: EngineView, recipe: Recipe): Answer {
  const path = request.path.split('?')[0] ?? '';
  if (request.method === 'OPTIONS' && findHeader(request.headers, 'origin') !== null)
    return preflight(request);
  if (!isAllowed(path, request, view.apiKey)) return unauthorized(request);
  const method = ROUTES[path];
  const response = /^\/v1\/responses\/([^/]+)$/.exec(path)?.[1];
  if (response !== undefined && request.method === 'GET') return noResponse(response, request);
  if (path.endsWith('/') && ROUTES[path.slice(0, -1)] !== undefined) return elsewhere(path, request);
  if (method !== request.method) return astray(method, request);
  switch (path) {
    case '/health':
    case '/ping':
      return whole(200, '', null, request);
    case '/load':
      return json(200, { server_load: 0 }, request);
    case '/version':
      return json(200, { version: '0.32.0' }, request);
    case '/metrics':
      return whole(200, metrics(view), 'text/plain; version=1.0.0; charset=utf-8', request);
    case '/v1/models':
      return json(200, listModels(view, { owner: 'vllm', root: '/srv/vllm/' }), request);
    default: {
      const requestId = findHeader(request.headers, 'x-request-id');
      return send(work(path, request.body.toString(), requestId, view, recipe), request);
    }
  }
}

function work(path: string, text: string, id: string | null, view: EngineView, recipe: Recipe): Outcome {
  if (path === '/invocations') return doWork('/v1/chat/completions', text, id, view, recipe, PERSONA);
  if (/completions$/.test(path)) return doWork(path, text, id, view, recipe, PERSONA);
  const fields = readWork(path, text, view);
  return 'type' in fields ? fields : native(path, fields.fields, view, recipe);
}

function native(path: string, fields: Fields, view: EngineView, recipe: Recipe): Outcome {
  const done = (body: object): Outcome => ({ type: 'json', body, delayMs: 0 });
  const maxLength = view.catalogue[0]?.loadedContextLength;
  switch (path) {
    case '/v1/messages/count_tokens': {
      const count = countPromptTokens(toChat('messages', fields));
      return done({ input_tokens: count, context_management: { original_input_tokens: count } });
    }
    case '/tokenize': {
      const count = countPromptTokens(fields);
      const tokens = Array.from({ length: count }, (_, index) => 500 + index);
      return done({ count, max_model_len: maxLength, tokens, token_strs: null });
    }
    case '/detokenize':
      return done({ prompt: 'The capital' });
    default: {
      const model = fields.model ?? view.models[0];
      return answerNative('vllm', path.slice(4) as NativeRoute, fields, model, view, recipe);
    }
  }
}

function metrics(view: EngineView): string {
  const gauge = (text: string, name: string, value: number): string =>
    text.replace(new RegExp(`^(vllm:${name}\\{[^}]*\\}) .*$`, 'm'), `$1 ${value.toFixed(1)}`);
  const running = gauge(readRecordedText('vllm', 'metrics'), 'num_requests_running', view.busy);
  const model = `model_name="${view.models[0] ?? ''}"`;
  return gauge(running, 'num_requests_waiting', view.waiting).replaceAll('model_name="smollm2"', model);
}

function noResponse(id: string, request: RecordedRequest): Answer {
  const message = `Response with id '${id}' not found.`;
  const error = { message, type: 'invalid_request_error', param: 'response_id', code: 404 };
  return json(404, { error }, request);
}

function elsewhere(path: string, request: RecordedRequest): Answer {
  const host = findHeader(request.headers, 'host') ?? '';
  const answer = whole(307, '', null, request);
  const headers = [...answer.headers];
  headers.splice(-1, 0, ['location', `http://${host}${path.slice(0, -1)}`]);
  return { ...answer, headers };
}
