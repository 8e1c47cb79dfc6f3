/**
 * What Ollama makes of a request for work: its own API and the three others, key by key as recorded in
 * test/golden/ollama. Headers and routes are ollama.ts's.
 */
import type { EngineView, Outcome, Recipe, StreamChunk } from './answer';
import {
  asFields,
  asList,
  asTexts,
  countPromptTokens,
  embed,
  type Fields,
  type Speech,
  speak,
  toBase64,
} from './generate';
import type { KnownModel } from './models';
import { answerNative, type NativeRoute } from './native';
import { findModel, longName } from './ollama-models';
import { type PlainStyle, plainChat, plainCompletion } from './plain-openai';

const CREATED = 1795461314;
const CREATED_AT = '2026-11-23T19:15:14.123456789Z';
const CALL_ID = 'call_fake0001';

const STYLE: PlainStyle = {
  chatId: 'chatcmpl-395',
  completionId: 'cmpl-878',
  frame({ object, id, model, streamed }, choices, usage) {
    const named = { model, system_fingerprint: 'fp_ollama' };
    const first = { id, object, created: CREATED };
    const last = usage ? { usage } : {};
    return object === 'text_completion' && streamed
      ? { ...first, choices, ...named, ...last }
      : { ...first, ...named, choices, ...last };
  },
  choice: (said, finish, logprobs) => ({
    ...('text' in said ? { ...said, index: 0 } : { index: 0, ...said }),
    finish_reason: finish,
    ...(logprobs ? { logprobs } : {}),
  }),
  message: (speech, content) =>
    speech.tool
      ? { role: 'assistant', content: '', tool_calls: [toolCall(speech)] }
      : { role: 'assistant', content },
  delta: (content) => ({ role: 'assistant', content }),
  // A call comes in one piece, once it is complete.
  toolDeltas: (speech) => [{ role: 'assistant', content: '', tool_calls: [toolCall(speech)] }],
  lastDelta: { role: 'assistant', content: '' },
  endsTogether: true,
  logprobs: true,
  zeroUsage: true,
};

/** Answers the POST routes that take a slot. */
export function doWork(path: string, text: string, view: EngineView, recipe: Recipe): Outcome {
  let fields: Fields | null = null;
  try {
    fields = asFields(JSON.parse(text));
  } catch {
    // Refused below.
  }
  if (fields === null) return refuse(400, refuseJson(path, text), 'before');
  const refused = refuseFields(path, fields);
  if (refused) return refused;
  if (typeof fields.model !== 'string' || fields.model === '') return refuse(400, 'model is required');
  const model = findModel(fields.model, view);
  if (!model) return refuse(404, refuseModel(path, String(fields.model)));
  const lacking = findLack(path, fields, model);
  if (lacking) return refuse(400, lacking);
  switch (path) {
    case '/v1/chat/completions':
      return plainChat(STYLE, fields, fields.model, view, recipe);
    case '/v1/completions':
      return plainCompletion(STYLE, fields, fields.model, view, recipe);
    case '/v1/responses':
    case '/v1/messages':
      return answerNative('ollama', path.slice(4) as NativeRoute, fields, fields.model, view, recipe);
    case '/v1/embeddings':
    case '/api/embed':
    case '/api/embeddings':
      return embeddings(path, fields, view);
    default:
      return own(path, fields, view, recipe);
  }
}

/** /api/chat and /api/generate: a line for each word, unless `stream` is false. */
function own(path: string, fields: Fields, view: EngineView, recipe: Recipe): Outcome {
  const asked = asFields(fields.options) ?? {};
  const format = asFields(fields.format);
  const said: Fields = {
    ...fields,
    max_tokens: asked.num_predict,
    ...(format ? { response_format: { type: 'json_schema', json_schema: { schema: format } } } : {}),
  };
  const speech = speak(said, view.tokens, recipe);
  const line = (content: string, more: object, calls: object = {}): object => ({
    model: fields.model,
    created_at: CREATED_AT,
    ...(path === '/api/chat' ? { message: { role: 'assistant', content, ...calls } } : { response: content }),
    ...more,
  });
  const idle = path === '/api/chat' ? asList(fields.messages).length === 0 : fields.prompt === undefined;
  if (idle) {
    const reason = fields.keep_alive === 0 ? 'unload' : 'load';
    return { type: 'json', body: line('', { done: true, done_reason: reason }), delayMs: 0 };
  }
  const finish = speech.finish === 'length' ? 'length' : 'stop';
  const numbers = recipe.usage === 'never' ? {} : metrics(said, speech);
  const context = path === '/api/generate' && fields.raw !== true ? { context: [1, 4093, 198] } : {};
  const end = { done: true, done_reason: finish, ...context, ...numbers };
  const calls = { tool_calls: [ownCall(speech)] };
  if (fields.stream === false) {
    const body = speech.tool ? line('', end, calls) : line(speech.tokens.join(''), end);
    return { type: 'json', body, delayMs: view.tokenDelayMs * speech.tokens.length };
  }
  const words = speech.tool
    ? [line('', { done: false }, calls)]
    : speech.tokens.map((token) => line(token, { done: false }));
  const lines = recipe.finish === 'missing' ? words : [...words, line('', end)];
  const chunks = lines.map((each, at): StreamChunk => {
    return { events: [goJson(each)], delayMs: at < words.length ? view.tokenDelayMs : 0 };
  });
  return { type: 'stream', chunks, framing: 'ndjson' };
}

function embeddings(path: string, fields: Fields, view: EngineView): Outcome {
  const texts = asTexts(fields.input ?? fields.prompt);
  const tokens = countPromptTokens({ input: texts });
  const vectors = texts.map((text) => embed(text, 576));
  const done = (body: object): Outcome => ({ type: 'json', body, delayMs: view.tokenDelayMs });
  if (path === '/api/embeddings') return done({ embedding: vectors[0] });
  if (path === '/api/embed') {
    const durations = { total_duration: 238609266, load_duration: 40589131 };
    return done({ model: fields.model, embeddings: vectors, ...durations, prompt_eval_count: tokens });
  }
  const base64 = fields.encoding_format === 'base64';
  const data = vectors.map((vector, index) => ({
    object: 'embedding',
    embedding: base64 ? toBase64(vector) : vector,
    index,
  }));
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return done({ object: 'list', data, model: fields.model, usage });
}

function refuseJson(path: string, text: string): string {
  if (text === '') return path.startsWith('/api/') ? 'missing request body' : 'EOF';
  const [first = '', second = ''] = text;
  const literal = { n: 'null', t: 'true', f: 'false' }[first];
  if (literal === undefined || second === literal[1]) return 'unexpected EOF';
  return `invalid character '${second}' in literal ${literal} (expecting '${literal[1]}')`;
}

/** What its middleware finds wrong; the errors of the model come later, with another type and a line feed. */
function refuseFields(path: string, fields: Fields): Outcome | null {
  const wrong = (problem: string): Outcome => refuse(400, problem, 'before');
  if (path === '/v1/messages') {
    if (!(Number(fields.max_tokens) > 0)) return wrong('max_tokens is required and must be positive');
    if (asList(fields.messages).length === 0) return wrong('messages is required');
  }
  if (path === '/v1/chat/completions') {
    const { temperature } = fields;
    if (temperature !== undefined && typeof temperature !== 'number') {
      return wrong(unmarshal(typeof temperature, 'ChatCompletionRequest.temperature', 'float64'));
    }
    if (asList(fields.messages).length === 0) return wrong("[] is too short - 'messages'");
  }
  if (path === '/v1/completions' && Array.isArray(fields.prompt)) {
    return wrong(unmarshal('array', 'CompletionRequest.prompt', 'string'));
  }
  if (path === '/v1/embeddings' && (fields.input === undefined || asTexts(fields.input).length === 0)) {
    return wrong('invalid input');
  }
  return null;
}

function unmarshal(what: string, where: string, into: string): string {
  return `json: cannot unmarshal ${what} into Go struct field ${where} of type ${into}`;
}

function refuseModel(path: string, name: string): string {
  return path.endsWith('/embeddings') || path === '/api/embed'
    ? `model "${name}" not found, try pulling it first`
    : `model '${name}' not found`;
}

function findLack(path: string, fields: Fields, model: KnownModel): string | null {
  if (/embed/.test(path)) {
    const numbers = asList(fields.input).some((part) => typeof part === 'number');
    return numbers ? 'invalid input type' : null;
  }
  if (!model.capabilities.includes('completion')) {
    const what = /generate|\/completions$/.test(path) && !path.includes('chat') ? 'generate' : 'chat';
    return `"${String(fields.model)}" does not support ${what}`;
  }
  const wantsTools = asList(fields.tools).length > 0;
  return wantsTools && !model.capabilities.includes('tools')
    ? `${longName(model)} does not support tools`
    : null;
}

/** `before`: found by a translation of the request; `model`: by what the translation was handed to. */
export interface Refusal {
  readonly message: string;
  readonly foundBy: 'before' | 'model';
}

function refuse(status: number, message: string, foundBy: Refusal['foundBy'] = 'model'): Outcome {
  const body: Refusal = { message, foundBy };
  return { type: 'error', status, body };
}

function metrics(fields: Fields, speech: Speech): object {
  return {
    total_duration: 665259420,
    load_duration: 55343175,
    prompt_eval_count: countPromptTokens(fields),
    prompt_eval_duration: 88709844,
    eval_count: speech.completionTokens,
    eval_duration: 516032256,
  };
}

function toolCall(speech: Speech): object {
  const call = { name: speech.tool?.name, arguments: speech.tokens.join('') };
  return { id: CALL_ID, index: 0, type: 'function', function: call };
}

/** In its own API the arguments are an object. */
function ownCall(speech: Speech): object {
  const text = speech.tokens.join('');
  return {
    id: CALL_ID,
    function: { index: 0, name: speech.tool?.name, arguments: speech.tool ? JSON.parse(text) : {} },
  };
}

/** JSON as Go writes it: three characters are escaped. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
}
