/**
 * Token counts as engines write them, made into one Usage: OpenAI's `usage` in its older and its newer words, llama.cpp's
 * `timings`, the `meta` of rerankers. Where a dialect has them stand is the dialect's to know.
 */
import type { Usage } from '../contract';
import { isRecord, parseJson } from '../lib/json';

const USAGE = Buffer.from('"usage"');
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** `choices: []` with a usage: the chunk that exists only because usage was asked for. */
export function isUsageChunk(json: unknown): json is Record<string, unknown> {
  return isRecord(json) && Array.isArray(json.choices) && json.choices.length === 0 && isRecord(json.usage);
}

/** `prompt_tokens` and `completion_tokens`, or `input_tokens` and `output_tokens` as the Responses API calls them. */
export function fromUsage(usage: unknown): Usage | null {
  if (!isRecord(usage)) return null;
  const completion = count(usage.completion_tokens) ?? count(usage.output_tokens);
  const said = count(usage.prompt_tokens) ?? count(usage.input_tokens);
  // Embeddings and rerankers report no completion tokens at all, and some rerankers nothing but the total.
  const prompt = said ?? (completion === null ? count(usage.total_tokens) : null);
  if (prompt === null && completion === null) return null;
  return {
    promptTokens: prompt ?? 0,
    completionTokens: completion ?? 0,
    cachedTokens:
      detail(usage.prompt_tokens_details, 'cached_tokens') ??
      detail(usage.input_tokens_details, 'cached_tokens'),
    reasoningTokens:
      detail(usage.completion_tokens_details, 'reasoning_tokens') ??
      detail(usage.output_tokens_details, 'reasoning_tokens'),
  };
}

/** llama.cpp: `prompt_n` counts what was computed, `cache_n` what was already there; both were in the prompt. */
export function fromTimings(timings: unknown): Usage | null {
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

/** Rerankers in Cohere's manner: `{"meta": {"tokens": {"input_tokens": 12}}}`, or under `billed_units`. */
export function fromMeta(meta: unknown): Usage | null {
  return isRecord(meta) ? (fromUsage(meta.tokens) ?? fromUsage(meta.billed_units)) : null;
}

/**
 * The counts of the last `usage` in a whole answer, without parsing what stands around it. Inside JSON strings a quote is
 * always escaped, so the search cannot be fooled by what a model says; a whole string that says it is no key and is
 * passed over, as is a member of that name that counts nothing.
 */
export function lastUsageIn(bytes: Uint8Array): Usage | null {
  for (let at = lastIndexOf(bytes, bytes.length); at !== -1; at = lastIndexOf(bytes, at - 1)) {
    const text = objectAfter(bytes, at + USAGE.length);
    const usage = text === null ? null : fromUsage(parseJson(text));
    if (usage !== null) return usage;
    if (at === 0) break;
  }
  return null;
}

function lastIndexOf(bytes: Uint8Array, from: number): number {
  return Buffer.prototype.lastIndexOf.call(bytes, USAGE, from);
}

/** A number of tokens, or null when it is none. */
export function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}

function detail(details: unknown, name: string): number | null {
  return isRecord(details) ? count(details[name]) : null;
}

/** The JSON object that is the value of the key that ends at `start`, or null when it is no key or has another value. */
function objectAfter(bytes: Uint8Array, start: number): string | null {
  // A look at the next few bytes first: answers may hold the word many times.
  if (!/^\s*:\s*\{/.test(textOf(bytes, start, 100))) return null;
  // A usage object has a few hundred characters; more would be something else.
  const text = textOf(bytes, start, 2_000);
  const open = text.indexOf('{');
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === OPEN_BRACE) depth++;
    if (code === CLOSE_BRACE && --depth === 0) return text.slice(open, i + 1);
  }
  return null;
}

function textOf(bytes: Uint8Array, start: number, length: number): string {
  return Buffer.prototype.toString.call(bytes, 'latin1', start, start + length);
}
