/** How many tokens a request may use, before anybody has counted them: what is reserved for it (FLM-110). */
import type { Dialect, JsonObject } from './dialects';

/** A token of most texts has about as many bytes. */
const BYTES_PER_TOKEN = 4;
/** Of an answer whose length nobody bounds. */
const ANSWER_TOKENS = 1_000;

/** `members` are the request's, as the dialect's metered keys name them. Media count as the text they are sent as. */
export function estimateTokens(bodyLength: number, members: JsonObject, { outputKeys }: Dialect): number {
  if (outputKeys === null) return 0;
  const prompt = Math.ceil(bodyLength / BYTES_PER_TOKEN);
  if (outputKeys.length === 0) return prompt;
  // Engines read one or the other where both are there, and some take 0 for no bound at all.
  const bounds = outputKeys.map((key) => members[key]).filter(isBound);
  return prompt + (bounds.length === 0 ? ANSWER_TOKENS : Math.max(...bounds));
}

function isBound(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
