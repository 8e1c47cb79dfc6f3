/**
 * What LM Studio makes of a request for work: OpenAI's shapes, its own v0 API with numbers about the run, and the
 * two native routes. From its documentation, not from a recording: see test/golden/lmstudio/README.md.
 */
import type { EngineView, Outcome, Recipe } from './answer';
import { asFields, asTexts, embed, type Fields, type Speech, toBase64 } from './generate';
import { findModel } from './lmstudio-models';
import type { KnownModel } from './models';
import { answerNative, type NativeRoute } from './native';
import { type Head, type PlainStyle, plainChat, plainCompletion } from './plain-openai';

const CREATED = 1795444109;
const CALL_ID = '365174485';

/** Answers the POST routes that take a slot. */
export function doWork(path: string, text: string, view: EngineView, recipe: Recipe): Outcome {
  let fields: Fields | null = null;
  try {
    fields = asFields(JSON.parse(text));
  } catch {
    // Refused below.
  }
  if (fields === null) return { type: 'error', status: 400, body: { error: 'Invalid JSON' } };
  const model = findModel(fields.model, view);
  if (!model) return refuseModel(fields.model, view);
  const format = asFields(fields.response_format)?.type;
  if (format === 'json_object') {
    return {
      type: 'error',
      status: 400,
      body: { error: "'response_format.type' must be 'json_schema' or 'text'" },
    };
  }
  const style = path.startsWith('/api/v0/') ? v0Style(model) : STYLE;
  switch (path.replace(/^\/(api\/v0|v1)/, '')) {
    case '/chat/completions':
      return plainChat(style, fields, model.name, view, recipe);
    case '/completions':
      return plainCompletion(style, fields, model.name, view, recipe);
    case '/embeddings':
      return embeddings(fields, model, view);
    default:
      return answerNative('lmstudio', path.slice(4) as NativeRoute, fields, model.name, view, recipe);
  }
}

const STYLE: PlainStyle = {
  chatId: 'chatcmpl-um3b2l9t12bzrtha63q8',
  completionId: 'cmpl-p9rtxv6fky2v9k8jrd8cc',
  frame: (head, choices, usage) => ({
    ...start(head),
    ...(head.streamed ? { system_fingerprint: head.model } : {}),
    choices,
    ...(usage ? { usage } : {}),
    ...(head.streamed ? {} : { stats: {}, system_fingerprint: head.model }),
  }),
  choice: (said, finish) => {
    if ('text' in said) return { index: 0, ...said, logprobs: null, finish_reason: finish };
    return 'message' in said
      ? { index: 0, logprobs: null, finish_reason: finish, ...said }
      : { index: 0, ...said, logprobs: null, finish_reason: finish };
  },
  message: (speech, content) =>
    speech.tool
      ? { role: 'assistant', tool_calls: [toolCall(speech, speech.tool.name)] }
      : { role: 'assistant', content, tool_calls: [] },
  delta: (content) => ({ role: 'assistant', content }),
  toolDeltas(speech) {
    const named = { name: speech.tool?.name, arguments: '' };
    const first = { index: 0, id: CALL_ID, type: 'function', function: named };
    const rest = speech.tokens.map((piece) => ({ index: 0, function: { arguments: piece } }));
    return [{ role: 'assistant', tool_calls: [first] }, ...rest.map((call) => ({ tool_calls: [call] }))];
  },
  lastDelta: {},
  endsTogether: false,
  logprobs: false,
  zeroUsage: false,
};

/** The v0 API adds how the run went, and has no fingerprint. */
function v0Style(model: KnownModel): PlainStyle {
  const info = { arch: model.family, quant: model.quantization, format: 'gguf' };
  const runtime = {
    name: 'llama.cpp-mac-arm64-apple-metal-advsimd',
    version: '1.3.0',
    supported_formats: ['gguf'],
  };
  return {
    ...STYLE,
    frame(head, choices, usage) {
      if (head.streamed) return STYLE.frame(head, choices, usage);
      const stats = {
        tokens_per_second: 51.43709529007664,
        time_to_first_token: 0.111,
        generation_time: 0.954,
        stop_reason: head.finish === 'length' ? 'maxPredictedTokensReached' : 'eosFound',
      };
      const model_info = { ...info, context_length: model.loadedContextLength };
      return { ...start(head), choices, ...(usage ? { usage } : {}), stats, model_info, runtime };
    },
    message: (speech, content) =>
      speech.tool ? STYLE.message(speech, content) : { role: 'assistant', content },
  };
}

function start({ id, object, model }: Head): object {
  return { id, object, created: CREATED, model };
}

function toolCall(speech: Speech, name: string): object {
  const call = { name, arguments: speech.tokens.join('') };
  return { id: CALL_ID, type: 'function', function: call };
}

/** Its documentation shows a usage of zeros, and its users see the same. */
function embeddings(fields: Fields, model: KnownModel, view: EngineView): Outcome {
  const base64 = fields.encoding_format === 'base64';
  const data = asTexts(fields.input).map((text, index) => ({
    object: 'embedding',
    embedding: base64 ? toBase64(embed(text)) : embed(text),
    index,
  }));
  const usage = { prompt_tokens: 0, total_tokens: 0 };
  return {
    type: 'json',
    body: { object: 'list', data, model: model.name, usage },
    delayMs: view.tokenDelayMs,
  };
}

function refuseModel(name: unknown, view: EngineView): Outcome {
  const asked = `Model "${String(name)}" not found. Please specify a valid model.`;
  const message = `${asked}\n\nYour models:\n\n${view.models.join('\n')}`;
  const error = { message, type: 'invalid_request_error', param: 'model', code: 'model_not_found' };
  return { type: 'error', status: 404, body: { error } };
}
