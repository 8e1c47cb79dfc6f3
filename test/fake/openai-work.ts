/**
 * What a generic OpenAI-compatible server makes of a chat, completion or embeddings request. Key by key the
 * shapes of vLLM 0.32.0 as recorded in test/golden/openai, without the values that would give vLLM away;
 * embeddings, which that server did not offer, follow OpenAI's reference.
 */
import type { EngineView, Outcome, Recipe, StreamChunk } from './answer';
import {
  asFields,
  asTexts,
  countPromptTokens,
  embed,
  type Fields,
  type Speech,
  speak,
  toBase64,
} from './generate';

const ID = 'FakeOpenAi000001';
const CREATED = 1795444109;
const FINGERPRINT = 'fp_fake';
const CONTEXT = 2048;
const DONE: StreamChunk = { events: ['[DONE]'], delayMs: 0 };

/** Answers the POST routes that take a slot. A client's X-Request-Id becomes part of the answer's id. */
export function doWork(
  path: string,
  text: string,
  requestId: string | null,
  view: EngineView,
  recipe: Recipe,
): Outcome {
  let fields: Fields | null = null;
  try {
    fields = asFields(JSON.parse(text));
  } catch {
    // Refused below.
  }
  if (fields === null) return refuseJson(text);
  const refused = refuseFields(path, fields, view);
  if (refused) return refused;
  const model = fields.model ?? view.models[0];
  const id = requestId ?? ID;
  if (path === '/v1/embeddings') return embeddings(fields, `embd-${id}`, model, view);
  return path === '/v1/completions'
    ? completion(fields, `cmpl-${id}`, model, view, recipe)
    : chat(fields, `chatcmpl-${id}`, model, view, recipe);
}

function chat(fields: Fields, id: string, model: unknown, view: EngineView, recipe: Recipe): Outcome {
  const choices = speakAll(fields, Number(fields.n ?? 1), view, recipe);
  const usage = countUsage(countPromptTokens(fields), choices);
  const withLogprobs = fields.logprobs === true;
  if (fields.stream === true) return { type: 'stream', chunks: chunks() };
  const body = {
    id,
    object: 'chat.completion',
    created: CREATED,
    model,
    choices: choices.map((speech, index) => ({
      index,
      message: {
        role: 'assistant',
        content: speech.tool ? '' : speech.tokens.join(''),
        refusal: null,
        annotations: null,
        audio: null,
        function_call: null,
        ...(speech.tool ? { tool_calls: [toolCall(speech, speech.tool.name)] } : {}),
        reasoning: null,
      },
      logprobs: withLogprobs ? logprobs(speech.tokens) : null,
      finish_reason: speech.finish,
      stop_reason: null,
      token_ids: null,
      routed_experts: null,
    })),
    service_tier: null,
    system_fingerprint: FINGERPRINT,
    ...(recipe.usage === 'never' ? {} : { usage: { ...usage, ...NO_DETAILS } }),
    prompt_logprobs: null,
    prompt_token_ids: null,
    prompt_text: null,
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  };
  return { type: 'json', body, delayMs: delayOf(choices, view) };

  function chunks(): StreamChunk[] {
    const asks = readStreamOptions(fields, recipe);
    const event = (seen: number, list: object[], extra: object = {}): string =>
      JSON.stringify({
        id,
        object: 'chat.completion.chunk',
        created: CREATED,
        model,
        choices: list,
        ...soFar(usage.prompt_tokens, seen, asks.continuous),
        ...extra,
      });
    const delta = (index: number, change: object, more: object): object => ({
      index,
      delta: change,
      logprobs: null,
      finish_reason: null,
      ...more,
    });
    const roles = choices.map((_, index) => {
      const extra = { prompt_token_ids: null, prompt_text: null };
      const first = delta(index, { role: 'assistant', content: '' }, {});
      return { events: [event(0, [first], extra)], delayMs: 0 };
    });
    const pieces: StreamChunk[][] = choices.map((speech, index) => {
      const changes: object[] = speech.tool
        ? toolDeltas(speech, speech.tool.name)
        : speech.tokens.map((content) => ({ content }));
      const spoken = changes.map((change, at): StreamChunk => {
        // A cut-off text ends with its last word; a finished one with an empty delta.
        const ends = speech.finish === 'length' && at === changes.length - 1 && recipe.finish === 'proper';
        const more = {
          ...(withLogprobs ? { logprobs: logprobs([speech.tokens[at] ?? '']) } : {}),
          ...(ends ? { finish_reason: 'length', stop_reason: null } : {}),
          token_ids: null,
        };
        const extra = ends && !asks.usage ? { system_fingerprint: FINGERPRINT } : {};
        return { events: [event(at + 1, [delta(index, change, more)], extra)], delayMs: view.tokenDelayMs };
      });
      if (speech.finish === 'length' || recipe.finish === 'missing') return spoken;
      const last = delta(index, {}, { finish_reason: speech.finish, stop_reason: null, token_ids: null });
      const extra = asks.usage ? {} : { system_fingerprint: FINGERPRINT };
      return [...spoken, { events: [event(speech.completionTokens, [last], extra)], delayMs: 0 }];
    });
    return [...roles, ...interleave(pieces), ...ending(asks.usage ? usageEvent() : null, recipe)];

    function usageEvent(): string {
      const head = { id, object: 'chat.completion.chunk', created: CREATED, model, choices: [] };
      return JSON.stringify({ ...head, usage, system_fingerprint: FINGERPRINT });
    }
  }
}

function completion(fields: Fields, id: string, model: unknown, view: EngineView, recipe: Recipe): Outcome {
  const count = asTexts(fields.prompt).length * Number(fields.n ?? 1);
  const choices = speakAll(fields, count, view, recipe);
  const usage = countUsage(countPromptTokens(fields), choices);
  const head = { id, object: 'text_completion', created: CREATED, model };
  if (fields.stream !== true) {
    const list = choices.map(({ tokens, finish }, index) => ({
      index,
      text: tokens.join(''),
      logprobs: null,
      finish_reason: finish,
      stop_reason: null,
      token_ids: null,
      prompt_logprobs: null,
      prompt_token_ids: null,
      routed_experts: null,
    }));
    const body = {
      ...head,
      choices: list,
      service_tier: null,
      system_fingerprint: FINGERPRINT,
      ...(recipe.usage === 'never' ? {} : { usage: { ...usage, ...NO_DETAILS } }),
      kv_transfer_params: null,
      ec_transfer_params: null,
      metrics: null,
    };
    return { type: 'json', body, delayMs: delayOf(choices, view) };
  }
  const asks = readStreamOptions(fields, recipe);
  const pieces = choices.map(({ tokens, finish }, index) =>
    // A text that ends by itself ends with an empty piece.
    [...tokens, ...(finish === 'stop' && recipe.finish === 'proper' ? [''] : [])].map(
      (text, at, all): StreamChunk => {
        const ends = at === all.length - 1 && recipe.finish === 'proper';
        const choice = {
          index,
          text,
          logprobs: null,
          finish_reason: ends ? finish : null,
          stop_reason: null,
          prompt_token_ids: null,
          token_ids: null,
        };
        const extra = ends && !asks.usage ? { system_fingerprint: FINGERPRINT } : {};
        const seen = soFar(usage.prompt_tokens, at + 1, asks.continuous);
        const event = JSON.stringify({ ...head, choices: [choice], ...seen, ...extra });
        return { events: [event], delayMs: text === '' ? 0 : view.tokenDelayMs };
      },
    ),
  );
  const last = JSON.stringify({ ...head, choices: [], usage, system_fingerprint: FINGERPRINT });
  return { type: 'stream', chunks: [...interleave(pieces), ...ending(asks.usage ? last : null, recipe)] };
}

function embeddings(fields: Fields, id: string, model: unknown, view: EngineView): Outcome {
  const base64 = fields.encoding_format === 'base64';
  const data = asTexts(fields.input).map((text, index) => ({
    object: 'embedding',
    index,
    embedding: base64 ? toBase64(embed(text)) : embed(text),
  }));
  const tokens = countPromptTokens(fields);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  const body = { id, object: 'list', created: CREATED, model, data, usage };
  return { type: 'json', body, delayMs: view.tokenDelayMs };
}

function refuseFields(path: string, fields: Fields, view: EngineView): Outcome | null {
  const model = fields.model;
  if (model !== undefined && !view.models.includes(String(model))) {
    const message = `The model \`${String(model)}\` does not exist. Valid aliases: ${view.models.join(', ')}.`;
    return failure(404, message, 'NotFoundError', 'model');
  }
  const needed = path === '/v1/embeddings' ? 'input' : path === '/v1/completions' ? 'prompt' : 'messages';
  if (fields[needed] === undefined) {
    const count = Object.keys(fields).length;
    const what = `{'type': 'missing', 'loc': 'body.${needed}', 'msg': 'Field required', 'input': '<dict of ${count} items>'}`;
    return failure(400, `1 validation error:\n  ${what}`, 'Bad Request', `body.${needed}`);
  }
  if (fields.stream_options !== undefined && fields.stream !== true) {
    const message = 'Stream options can only be defined when `stream=True`. (parameter=stream_options)';
    return failure(400, message, 'BadRequestError', 'stream_options');
  }
  const tokens = countPromptTokens(fields);
  if (tokens <= CONTEXT) return null;
  const message = `This model's maximum context length is ${CONTEXT} tokens. However, your request has ${tokens} input tokens. Please reduce the length of the input messages.`;
  return failure(400, message, 'BadRequestError', 'input_tokens');
}

function refuseJson(text: string): Outcome {
  if (text === '') {
    const what = "{'type': 'missing', 'loc': 'body', 'msg': 'Field required', 'input': 'None'}";
    return failure(400, `1 validation error:\n  ${what}`, 'Bad Request', 'body');
  }
  const at = `body.${text.length}`;
  const what = `{'type': 'json_invalid', 'loc': '${at}', 'msg': 'JSON decode error', 'input': '<dict of 0 items>', 'ctx': {'error': 'Expecting value'}}`;
  return failure(400, `1 validation error:\n  ${what}`, 'Bad Request', at);
}

function failure(code: number, message: string, type: string, param: string): Outcome {
  return { type: 'error', status: code, body: { error: { message, type, param, code } } };
}

const NO_DETAILS = { prompt_tokens_details: null, completion_tokens_details: null };

interface Usage {
  readonly prompt_tokens: number;
  readonly total_tokens: number;
  readonly completion_tokens: number;
}

/** Counts all choices together. */
function countUsage(prompt: number, choices: readonly Speech[]): Usage {
  const completed = choices.reduce((sum, speech) => sum + speech.completionTokens, 0);
  return { prompt_tokens: prompt, total_tokens: prompt + completed, completion_tokens: completed };
}

function soFar(prompt: number, seen: number, continuous: boolean): object {
  if (!continuous) return {};
  const usage = { prompt_tokens: prompt, total_tokens: prompt + seen, completion_tokens: seen };
  return { usage: { ...usage, completion_tokens_details: null } };
}

/** `continuous_usage_stats` counts only together with `include_usage`. */
function readStreamOptions(fields: Fields, recipe: Recipe): { usage: boolean; continuous: boolean } {
  const options = asFields(fields.stream_options);
  const usage = options?.include_usage === true && recipe.usage !== 'never';
  const continuous = usage && options?.continuous_usage_stats === true;
  return { usage, continuous: continuous || recipe.usage === 'every-chunk' };
}

function speakAll(fields: Fields, count: number, view: EngineView, recipe: Recipe): Speech[] {
  return Array.from({ length: count }, () => speak(fields, view.tokens, recipe));
}

/** One piece of each choice in turn, as parallel sampling sends them. */
function interleave(pieces: readonly (readonly StreamChunk[])[]): StreamChunk[] {
  const longest = Math.max(0, ...pieces.map((list) => list.length));
  return Array.from({ length: longest }, (_, at) => pieces.map((list) => list[at]))
    .flat()
    .filter((chunk) => chunk !== undefined);
}

function ending(usageEvent: string | null, recipe: Recipe): StreamChunk[] {
  if (recipe.finish === 'missing') return [];
  return usageEvent === null ? [DONE] : [{ events: [usageEvent], delayMs: 0 }, DONE];
}

function toolCall(speech: Speech, name: string): object {
  const call = { name, arguments: speech.tokens.join('') };
  return { id: 'chatcmpl-tool-fake000000000001', type: 'function', function: call };
}

/** The name comes first, alone; then the arguments piece by piece. */
function toolDeltas(speech: Speech, name: string): object[] {
  const first = { id: 'chatcmpl-tool-fake000000000001', type: 'function', index: 0, function: { name } };
  const rest = speech.tokens.map((piece) => ({ index: 0, function: { arguments: piece } }));
  return [first, ...rest].map((call) => ({ content: null, tool_calls: [call] }));
}

function logprobs(tokens: readonly string[]): object {
  const content = tokens.map((token) => {
    const entry = { token, logprob: -0.25, bytes: [...Buffer.from(token)] };
    return { ...entry, top_logprobs: [entry] };
  });
  return { content };
}

function delayOf(choices: readonly Speech[], view: EngineView): number {
  return view.tokenDelayMs * Math.max(0, ...choices.map(({ tokens }) => tokens.length));
}
