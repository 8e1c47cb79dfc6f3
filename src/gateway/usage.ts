/**
 * Reads token counts out of answers that pass by: `usage` as OpenAI defines it, or llama.cpp's `timings`. The bytes are
 * searched, and only an event or object that holds counts is parsed; inside JSON strings a quote is always escaped, so
 * the search cannot be fooled by what a model says.
 */
import type { Usage } from '../contract';
import { isRecord, parseJson } from '../lib/json';
import { dataOf, eventsIn } from '../lib/sse';

/** Reads along over a stream. */
export interface UsageMeter {
  /** Takes whole events. Later counts replace earlier ones, they are never added up. */
  seeEvents(region: Uint8Array): void;
  usage(): Usage | null;
  /** Whether the engine reported an error inside the stream (vLLM answers 200 first and fails then). */
  sawError(): boolean;
}

const USAGE = Buffer.from('"usage"');
const TIMINGS = Buffer.from('"timings"');
const ERROR = Buffer.from('"error"');
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

export function createUsageMeter(): UsageMeter {
  let counts: Usage | null = null;
  let failed = false;

  function read(json: unknown): void {
    if (!isRecord(json)) return;
    const found = fromUsage(json.usage) ?? fromTimings(json.timings);
    if (found !== null) counts = found;
    if (isError(json)) failed = true;
  }

  return {
    seeEvents(region) {
      if (!holds(region, USAGE) && !holds(region, TIMINGS) && !holds(region, ERROR)) return;
      for (const event of eventsIn(region)) read(parseJson(dataOf(event) ?? ''));
    },
    usage: () => counts,
    sawError: () => failed,
  };
}

/** The token counts in one whole answer, or null when it has none. */
export function usageIn(bytes: Uint8Array): Usage | null {
  const text = lastObjectOf(bytes, USAGE);
  return text === null ? null : fromUsage(parseJson(text));
}

/** `choices: []` with a usage: the chunk that exists only because usage was asked for. */
export function isUsageChunk(json: unknown): json is Record<string, unknown> {
  return isRecord(json) && Array.isArray(json.choices) && json.choices.length === 0 && isRecord(json.usage);
}

/** An error of the engine in place of a chunk. */
export function isError(json: unknown): boolean {
  return isRecord(json) && isRecord(json.error);
}

function fromUsage(usage: unknown): Usage | null {
  if (!isRecord(usage)) return null;
  const prompt = count(usage.prompt_tokens);
  const completion = count(usage.completion_tokens);
  // Embeddings report no completion tokens at all.
  return prompt === null && completion === null
    ? null
    : {
        promptTokens: prompt ?? 0,
        completionTokens: completion ?? 0,
        cachedTokens: detail(usage.prompt_tokens_details, 'cached_tokens'),
        reasoningTokens: detail(usage.completion_tokens_details, 'reasoning_tokens'),
      };
}

/** llama.cpp: `prompt_n` counts what was computed, `cache_n` what was already there; both were in the prompt. */
function fromTimings(timings: unknown): Usage | null {
  if (!isRecord(timings)) return null;
  const computed = count(timings.prompt_n);
  const predicted = count(timings.predicted_n);
  if (computed === null || predicted === null) return null;
  const cachedTokens = count(timings.cache_n);
  return {
    promptTokens: computed + (cachedTokens ?? 0),
    completionTokens: predicted,
    cachedTokens,
    reasoningTokens: null,
  };
}

function detail(details: unknown, name: string): number | null {
  return isRecord(details) ? count(details[name]) : null;
}

/** The JSON object after the last occurrence of a key, without parsing what stands around it. */
function lastObjectOf(bytes: Uint8Array, key: Uint8Array): string | null {
  const at = Buffer.prototype.lastIndexOf.call(bytes, key);
  if (at === -1) return null;
  // A usage object has a few hundred characters; more would be something else.
  const start = at + key.length;
  const text = Buffer.prototype.toString.call(bytes, 'latin1', start, start + 2_000);
  const open = text.indexOf('{');
  if (text.slice(0, Math.max(0, open)).trim() !== ':') return null;
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === OPEN_BRACE) depth++;
    if (code === CLOSE_BRACE && --depth === 0) return text.slice(open, i + 1);
  }
  return null;
}

function holds(region: Uint8Array, needle: Uint8Array): boolean {
  return Buffer.prototype.indexOf.call(region, needle) !== -1;
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}
