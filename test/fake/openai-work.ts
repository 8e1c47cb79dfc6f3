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
import { readWork } from './openai-refuse';

const ID = 'FakeOpenAi000001';
const CREATED = 1795444109;
const DONE: StreamChunk = { events: ['[DONE]'], delayMs: 0 };

/** The names by which one server of this kind is told from another. */
export interface Persona {
  readonly fingerprint: string;
  /** Whether a tool that was asked for by name ends with `stop`, as text does. */
  readonly namedToolStops: boolean;
}

const NOBODY: Persona = { fingerprint: 'fp_fake', namedToolStops: false };

/** Answers the POST routes that take a slot. A client's X-Request-Id becomes part of the answer's id. */
export function doWork(
  path: string,
  text: string,
  requestId: string | null,
  view: EngineView,
  recipe: Recipe,
  persona: Persona = NOBODY,
): Outcome {
  const read = readWork(path, text, view);
  if ('type' in read) return read;
  const { fields } = read;
  const model = fields.model ?? view.models[0];
  const id = requestId ?? ID;
  if (path === '/v1/embeddings') return embeddings(fields, `embd-${id}`, model, view);
  return path === '/v1/completions'
    ? completion(fields, `cmpl-${id}`, model, view, recipe, persona)
    : chat(fields, `chatcmpl-${id}`, model, view, recipe, persona);
}

function chat(
  fields: Fields,
  id: string,
  model: unknown,
  view: EngineView,
  recipe: Recipe,
  persona: Persona,
): Outcome {
  const stops = persona.namedToolStops && asFields(fields.tool_choice) !== null;
  const choices = speakAll(fields, Number(fields.n ?? 1), view, recipe).map((speech) =>
    stops && speech.tool ? { ...speech, finish: 'stop' as const } : speech,
  );
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
    system_fingerprint: persona.fingerprint,
    ...(recipe.usage === 'never' ? {} : { usage: { ...usage, ...details(view) } }),
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
        const extra = ends && !asks.usage ? { system_fingerprint: persona.fingerprint } : {};
        return { events: [event(at + 1, [delta(index, change, more)], extra)], delayMs: view.tokenDelayMs };
      });
      if (speech.finish === 'length' || recipe.finish === 'missing') return spoken;
      const last = delta(index, {}, { finish_reason: speech.finish, stop_reason: null, token_ids: null });
      const extra = asks.usage ? {} : { system_fingerprint: persona.fingerprint };
      return [...spoken, { events: [event(speech.completionTokens, [last], extra)], delayMs: 0 }];
    });
    return [...roles, ...interleave(pieces), ...ending(asks.usage ? usageEvent() : null, recipe)];

    function usageEvent(): string {
      const head = { id, object: 'chat.completion.chunk', created: CREATED, model, choices: [] };
      const last = lastUsage(usage, view);
      return JSON.stringify({ ...head, usage: last, system_fingerprint: persona.fingerprint });
    }
  }
}

function completion(
  fields: Fields,
  id: string,
  model: unknown,
  view: EngineView,
  recipe: Recipe,
  persona: Persona,
): Outcome {
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
      system_fingerprint: persona.fingerprint,
      ...(recipe.usage === 'never' ? {} : { usage: { ...usage, ...details(view) } }),
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
        const extra = ends && !asks.usage ? { system_fingerprint: persona.fingerprint } : {};
        const seen = soFar(usage.prompt_tokens, at + 1, asks.continuous);
        const event = JSON.stringify({ ...head, choices: [choice], ...seen, ...extra });
        return { events: [event], delayMs: text === '' ? 0 : view.tokenDelayMs };
      },
    ),
  );
  const last = JSON.stringify({
    ...head,
    choices: [],
    usage: lastUsage(usage, view),
    system_fingerprint: persona.fingerprint,
  });
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

/** Details come only from a server that was told to send them, and differ by one key when streamed. */
function details(view: EngineView): object {
  const cached = cachedDetails(view);
  const whole = cached ? { ...cached, multimodal_tokens: null } : null;
  return { prompt_tokens_details: whole, completion_tokens_details: null };
}

function cachedDetails({ cachedTokens }: EngineView): object | null {
  return cachedTokens === null ? null : { cached_tokens: cachedTokens, created_cache_tokens: 0 };
}

function lastUsage(usage: Usage, view: EngineView): object {
  const cached = cachedDetails(view);
  return cached ? { ...usage, prompt_tokens_details: cached } : usage;
}

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
