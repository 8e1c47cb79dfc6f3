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
  for (const key of outputKeys) {
    const most = members[key];
    if (typeof most === 'number' && Number.isSafeInteger(most) && most >= 0) return prompt + most;
  }
  return prompt + ANSWER_TOKENS;
}
