/**
 * What the llama.cpp server makes of a chat, completion or embeddings request: JSON bodies, frames and errors,
 * key by key as recorded in test/golden/llamacpp. Headers and routes are llamacpp.ts's.
 */
import type { EngineView, Outcome, Recipe, StreamChunk } from './answer';
import {
  asFields,
  asTexts,
  countPromptTokens,
  embed,
  type Fields,
  hasImage,
  type Speech,
  speak,
  toBase64,
} from './generate';
import { doNativeWork } from './llamacpp-native';

const ID = 'chatcmpl-FakeLlamaCppFakeLlamaCppFake0001';
const CALL_ID = 'FakeToolCallFakeToolCallFake0001';
const CREATED = 1795449525;
/** Tokens of one slot's context, and of one batch, which an embedding's input must fit. */
const CONTEXT = 2048;
const BATCH = 512;

/** Answers the POST routes that take a slot. */
export function doWork(path: string, text: string, view: EngineView, recipe: Recipe): Outcome {
  let fields: Fields | null = null;
  try {
    fields = asFields(JSON.parse(text));
  } catch {
    // Refused below, in the words of the server's JSON library.
  }
  if (fields === null) return refuseJson(text);
  if (path === '/v1/embeddings') return embeddings(fields, view);
  if (path === '/v1/chat/completions') return chat(fields, view, recipe);
  return path === '/v1/completions'
    ? completion(fields, view, recipe)
    : doNativeWork(path, fields, view, recipe);
}

function chat(fields: Fields, view: EngineView, recipe: Recipe): Outcome {
  if (fields.messages === undefined) return invalid("'messages' is required");
  if (!Array.isArray(fields.messages)) return invalid("Expected 'messages' to be an array");
  if (hasImage(fields)) {
    const message =
      'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj';
    return failure(500, message, 'server_error');
  }
  const refused = refuseSize(fields, view);
  if (refused) return refused;
  const n = Number(fields.n ?? 1);
  const choices = Array.from({ length: n }, () => speak(fields, view.tokens, recipe));
  const usage = countUsage(fields, choices, view);
  const withLogprobs = fields.logprobs === true;
  if (fields.stream === true) return { type: 'stream', chunks: chatChunks() };
  const body = {
    choices: choices.map((speech, index) => ({
      finish_reason: speech.finish,
      index,
      message: speech.tool
        ? { role: 'assistant', content: '', tool_calls: [toolCall(speech, speech.tool.name)] }
        : { role: 'assistant', content: speech.tokens.join('') },
      ...(withLogprobs ? { logprobs: logprobs(speech.tokens) } : {}),
    })),
    created: CREATED,
    model: view.models[0],
    system_fingerprint: 'b0-fake',
    object: 'chat.completion',
    ...(recipe.usage === 'never' ? {} : { usage }),
    id: ID,
    ...(recipe.usage === 'never' ? {} : { timings: timings(usage) }),
  };
  return done(body, delayOf(choices, view));

  function chatChunks(): StreamChunk[] {
    const asked = asFields(fields.stream_options)?.include_usage === true;
    const event = (choice: object | null, extra: object = {}): string =>
      JSON.stringify({
        choices: choice ? [choice] : [],
        created: CREATED,
        id: ID,
        model: view.models[0],
        system_fingerprint: 'b0-fake',
        object: 'chat.completion.chunk',
        ...extra,
      });
    const delta = (index: number, change: object, more: object = {}, seen = 0): string =>
      event({ finish_reason: null, index, delta: change, ...more }, soFar(usage, seen, recipe));
    const pieces = choices.map((speech, index) => {
      const role = delta(index, { role: 'assistant', content: null });
      const tokens = speech.tokens.map((token, at) =>
        delta(
          index,
          speech.tool ? { tool_calls: [toolDelta(speech, at)] } : { content: token },
          withLogprobs ? { logprobs: logprobs([token]) } : {},
          at + 1,
        ),
      );
      return { role, tokens };
    });
    const chunks: StreamChunk[] = [];
    const longest = Math.max(...choices.map(({ tokens }) => tokens.length));
    for (let at = 0; at < longest; at += 1) {
      for (const [index, { role, tokens }] of pieces.entries()) {
        const token = tokens[at];
        if (token === undefined) continue;
        // The role travels with the first word, but alone before a tool call.
        const alone = choices[index]?.tool != null;
        if (at === 0 && alone) chunks.push({ events: [role], delayMs: 0 });
        chunks.push({ events: at === 0 && !alone ? [role, token] : [token], delayMs: view.tokenDelayMs });
      }
    }
    if (recipe.finish === 'missing') return chunks;
    for (const [index, speech] of choices.entries()) {
      const end = { finish_reason: speech.finish, index, delta: {} };
      const numbers = recipe.usage === 'never' ? {} : { timings: timings(usage) };
      // Timings come unasked, in the last frame: the finishing one, or the usage frame when that was asked for.
      // With n > 1 every choice ends with a usage frame of its own.
      const events =
        recipe.usage === 'every-chunk'
          ? [event(end, { usage, ...numbers })]
          : asked && recipe.usage !== 'never'
            ? [event(end), event(null, { usage, ...numbers })]
            : [event(end, numbers)];
      chunks.push({ events, delayMs: 0 });
    }
    return [...chunks, { events: ['[DONE]'], delayMs: 0 }];
  }
}

function completion(fields: Fields, view: EngineView, recipe: Recipe): Outcome {
  const prompts = asTexts(fields.prompt);
  if (prompts.length === 0) return invalid("'prompt' is required");
  const refused = refuseSize(fields, view);
  if (refused) return refused;
  const count = prompts.length * Number(fields.n ?? 1);
  const choices = Array.from({ length: count }, () => speak(fields, view.tokens, recipe));
  const usage = countUsage({ prompt: prompts[0] }, choices, view);
  const withLogprobs = typeof fields.logprobs === 'number';
  const body = (list: object[], extra: { usage?: object; timings?: object } = {}): object => ({
    choices: list,
    created: CREATED,
    model: view.models[0],
    system_fingerprint: 'b0-fake',
    object: 'text_completion',
    ...(extra.usage && recipe.usage !== 'never' ? { usage: extra.usage } : {}),
    id: ID,
    ...(extra.timings && recipe.usage !== 'never' ? { timings: extra.timings } : {}),
  });
  if (fields.stream !== true) {
    const list = choices.map(({ tokens, finish }, index) => ({
      text: tokens.join(''),
      index,
      logprobs: withLogprobs ? logprobs(tokens) : null,
      finish_reason: finish,
    }));
    return done(body(list, { usage, timings: timings(usage) }), delayOf(choices, view));
  }
  const chunks = choices.flatMap(({ tokens, finish }, index): StreamChunk[] => {
    const choice = (text: string, reason: string | null): object => ({
      text,
      index,
      logprobs: null,
      finish_reason: reason,
    });
    const spoken = tokens.map((token, at) => ({
      events: [JSON.stringify(body([choice(token, null)], soFar(usage, at + 1, recipe)))],
      delayMs: view.tokenDelayMs,
    }));
    // Usage comes here without being asked for, and beside a choice: there is no frame of its own.
    const last = JSON.stringify(body([choice('', finish)], { usage, timings: timings(usage) }));
    return recipe.finish === 'missing' ? spoken : [...spoken, { events: [last], delayMs: 0 }];
  });
  const end: StreamChunk[] = recipe.finish === 'missing' ? [] : [{ events: ['[DONE]'], delayMs: 0 }];
  return { type: 'stream', chunks: [...chunks, ...end] };
}

function embeddings(fields: Fields, view: EngineView): Outcome {
  const input = fields.input ?? fields.content;
  if (input === undefined) return invalid('"input" or "content" must be provided');
  const texts = asTexts(input);
  if (texts.length === 0) return invalid('"input" must not be empty');
  const tokens = countPromptTokens({ input: texts });
  if (tokens > BATCH) {
    const message = `input (${tokens + 1} tokens) is too large to process. increase the physical batch size (current batch size: ${BATCH})`;
    return failure(500, message, 'server_error');
  }
  const base64 = fields.encoding_format === 'base64';
  const data = texts.map((text, index) => ({
    embedding: base64 ? toBase64(embed(text)) : embed(text),
    index,
    object: 'embedding',
    ...(base64 ? { encoding_format: 'base64' } : {}),
  }));
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return done({ model: view.models[0], object: 'list', usage, data }, view.tokenDelayMs);
}

function refuseSize(fields: Fields, view: EngineView): Outcome | null {
  const temperature = fields.temperature;
  if (temperature !== undefined && typeof temperature !== 'number') {
    const problem = `type must be number, but is ${typeof temperature}`;
    return invalid(`Field 'temperature': [json.exception.type_error.302] ${problem}`);
  }
  const n = Number(fields.n ?? 1);
  if (n < 1 || n > view.slots) {
    return invalid(`Field 'n': Value must be between 1 <= value <= ${view.slots}, but got ${n}`);
  }
  const tokens = countPromptTokens(fields);
  if (tokens <= CONTEXT) return null;
  const message = `request (${tokens} tokens) exceeds the available context size (${CONTEXT} tokens), try increasing it`;
  const error = {
    code: 400,
    message,
    type: 'exceed_context_size_error',
    n_prompt_tokens: tokens,
    n_ctx: CONTEXT,
  };
  return { type: 'error', status: 400, body: { error } };
}

interface Usage {
  readonly completion_tokens: number;
  readonly prompt_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/** Counts the first choice only, as the server does when n > 1 or there are several prompts. */
function countUsage(fields: Fields, choices: readonly Speech[], view: EngineView): Usage {
  const cached = view.cachedTokens ?? 0;
  return makeUsage(countPromptTokens(fields), choices[0]?.completionTokens ?? 0, cached);
}

function makeUsage(prompt: number, completed: number, cached: number): Usage {
  return {
    completion_tokens: completed,
    prompt_tokens: prompt,
    total_tokens: prompt + completed,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

function soFar(usage: Usage, seen: number, recipe: Recipe): { usage?: Usage } {
  return recipe.usage === 'every-chunk'
    ? { usage: makeUsage(usage.prompt_tokens, seen, usage.prompt_tokens_details.cached_tokens) }
    : {};
}

function timings({ prompt_tokens, completion_tokens, prompt_tokens_details }: Usage): object {
  const { cached_tokens } = prompt_tokens_details;
  const read = prompt_tokens - cached_tokens;
  return {
    cache_n: cached_tokens,
    prompt_n: read,
    prompt_ms: read * 4.5,
    prompt_per_token_ms: 4.5,
    prompt_per_second: 1000 / 4.5,
    predicted_n: completion_tokens,
    predicted_ms: completion_tokens * 9.5,
    predicted_per_token_ms: 9.5,
    predicted_per_second: 1000 / 9.5,
  };
}

function toolCall(speech: Speech, name: string): object {
  const call = { name, arguments: speech.tokens.join('') };
  return { type: 'function', function: call, id: CALL_ID };
}

function toolDelta(speech: Speech, at: number): object {
  const piece = speech.tokens[at] ?? '';
  if (at > 0) return { index: 0, function: { arguments: piece } };
  const call = { name: speech.tool?.name ?? '', arguments: piece };
  return { index: 0, id: CALL_ID, type: 'function', function: call };
}

function logprobs(tokens: readonly string[]): object {
  const content = tokens.map((token, index) => {
    const entry = { id: 500 + index, token, bytes: [...Buffer.from(token)], logprob: -0.25 };
    return { ...entry, top_logprobs: [entry] };
  });
  return { content };
}

function delayOf(choices: readonly Speech[], view: EngineView): number {
  return view.tokenDelayMs * Math.max(...choices.map(({ tokens }) => tokens.length));
}

function refuseJson(text: string): Outcome {
  const problem =
    text === ''
      ? 'line 1, column 1: attempting to parse an empty input; check that your input string or stream contains the expected JSON'
      : `line 1, column ${text.length + 1}: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal`;
  return invalid(`[json.exception.parse_error.101] parse error at ${problem}`);
}

function invalid(message: string): Outcome {
  return failure(400, message, 'invalid_request_error');
}

function failure(code: number, message: string, type: string): Outcome {
  return { type: 'error', status: code, body: { error: { code, message, type } } };
}

function done(body: unknown, delayMs: number): Outcome {
  return { type: 'json', body, delayMs };
}
