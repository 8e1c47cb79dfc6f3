/**
 * The plain OpenAI shape of chats and completions, one choice each, as Ollama and LM Studio write it; what differs
 * between them is a PlainStyle.
 */
import type { EngineView, NamedEvent, Outcome, Recipe, StreamChunk } from './answer';
import { asFields, countPromptTokens, type Fields, type Speech, speak } from './generate';

export interface PlainStyle {
  readonly chatId: string;
  readonly completionId: string;
  /** The frame around choices: `id` and so on, in the engine's order. */
  frame(head: Head, choices: readonly object[], usage: object | null): object;
  /** A choice; `said` is `{ message }`, `{ delta }` or `{ text }`. */
  choice(said: object, finish: string | null, logprobs: object | null): object;
  message(speech: Speech, text: string): object;
  delta(content: string): object;
  /** A tool call in as many deltas as the engine makes of it. */
  toolDeltas(speech: Speech): readonly object[];
  /** The delta beside the reason to finish. */
  readonly lastDelta: object;
  /** Whether the last events share a chunk. */
  readonly endsTogether: boolean;
  /** Whether log probabilities can be asked for. */
  readonly logprobs: boolean;
  /** Whether a completion's chunks carry a usage of zeros once usage was asked for. */
  readonly zeroUsage: boolean;
}

export interface Head {
  readonly object: 'chat.completion' | 'chat.completion.chunk' | 'text_completion';
  readonly id: string;
  readonly model: unknown;
  /** A completion's chunks have an order of their own. */
  readonly streamed: boolean;
  readonly finish: string;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** Answers a chat that was not refused. */
export function plainChat(
  style: PlainStyle,
  fields: Fields,
  model: unknown,
  view: EngineView,
  recipe: Recipe,
): Outcome {
  const speech = speak(fields, view.tokens, recipe);
  const usage = countUsage(fields, speech);
  const asksLogprobs = style.logprobs && fields.logprobs === true && !speech.tool;
  const head = { id: style.chatId, model, finish: speech.finish };
  if (fields.stream === true) {
    const changes = speech.tool ? style.toolDeltas(speech) : speech.tokens.map((token) => style.delta(token));
    const words = changes.map((delta, at) =>
      style.choice({ delta }, null, asksLogprobs ? logprobs([speech.tokens[at] ?? '']) : null),
    );
    const last = style.choice({ delta: style.lastDelta }, speech.finish, null);
    const frame = { ...head, object: 'chat.completion.chunk', streamed: true } as const;
    return { type: 'stream', chunks: stream(style, frame, words, last, usage, fields, view, recipe) };
  }
  const message = style.message(speech, speech.tokens.join(''));
  const choice = style.choice({ message }, speech.finish, asksLogprobs ? logprobs(speech.tokens) : null);
  const frame = { ...head, object: 'chat.completion', streamed: false } as const;
  const body = style.frame(frame, [choice], recipe.usage === 'never' ? null : usage);
  return { type: 'json', body, delayMs: view.tokenDelayMs * speech.tokens.length };
}

/** Answers a completion that was not refused. */
export function plainCompletion(
  style: PlainStyle,
  fields: Fields,
  model: unknown,
  view: EngineView,
  recipe: Recipe,
): Outcome {
  const speech = speak(fields, view.tokens, recipe);
  const usage = countUsage(fields, speech);
  const streamed = fields.stream === true;
  const head = {
    id: style.completionId,
    model,
    finish: speech.finish,
    object: 'text_completion',
    streamed,
  } as const;
  if (streamed) {
    const words = speech.tokens.map((text) => style.choice({ text }, null, null));
    const last = style.choice({ text: '' }, speech.finish, null);
    return { type: 'stream', chunks: stream(style, head, words, last, usage, fields, view, recipe) };
  }
  const choice = style.choice({ text: speech.tokens.join('') }, speech.finish, null);
  const body = style.frame(head, [choice], recipe.usage === 'never' ? null : usage);
  return { type: 'json', body, delayMs: view.tokenDelayMs * speech.tokens.length };
}

function stream(
  style: PlainStyle,
  head: Head,
  words: readonly object[],
  last: object,
  usage: Usage,
  fields: Fields,
  view: EngineView,
  recipe: Recipe,
): StreamChunk[] {
  const asked = asFields(fields.stream_options)?.include_usage === true && recipe.usage !== 'never';
  const zero = asked && head.object === 'text_completion' && style.zeroUsage ? makeUsage(0, 0) : null;
  const spoken = words.map((choice, at): StreamChunk => {
    const seen = recipe.usage === 'every-chunk' ? makeUsage(usage.prompt_tokens, at + 1) : zero;
    return { events: [JSON.stringify(style.frame(head, [choice], seen))], delayMs: view.tokenDelayMs };
  });
  if (recipe.finish === 'missing') return spoken;
  const events: (string | NamedEvent)[] = [
    JSON.stringify(style.frame(head, [last], recipe.usage === 'every-chunk' ? usage : zero)),
    ...(asked ? [JSON.stringify(style.frame(head, [], usage))] : []),
    '[DONE]',
  ];
  const end = style.endsTogether ? [events] : events.map((event) => [event]);
  return [...spoken, ...end.map((group) => ({ events: group, delayMs: 0 }))];
}

function countUsage(fields: Fields, speech: Speech): Usage {
  return makeUsage(countPromptTokens(fields), speech.completionTokens);
}

function makeUsage(prompt: number, completed: number): Usage {
  return { prompt_tokens: prompt, completion_tokens: completed, total_tokens: prompt + completed };
}

function logprobs(tokens: readonly string[]): object {
  const content = tokens.map((token) => {
    const entry = { token, logprob: -0.25, bytes: [...Buffer.from(token)] };
    return { ...entry, top_logprobs: [entry] };
  });
  return { content };
}
