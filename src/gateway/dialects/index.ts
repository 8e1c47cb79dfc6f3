/** The APIs that FLM passes through, by route. */
import type { InferenceRoute } from '../../contract';
import type { FlmError } from '../../lib/errors';
import { anthropicError, countTokens, messages } from './anthropic';
import type { Dialect } from './dialect';
import { errorSaid } from './faults';
import { completions, embeddings, openaiError, rerank } from './openai';
import { responses } from './responses';

export type { Dialect, EventKind, Fault, JsonObject, ToldError } from './dialect';
export { errorSaid };

export const DIALECTS = {
  '/v1/chat/completions': completions,
  '/v1/completions': completions,
  '/v1/embeddings': embeddings,
  '/v1/responses': responses,
  '/v1/messages': messages,
  '/v1/messages/count_tokens': countTokens,
  '/v1/rerank': rerank,
} as const satisfies Record<InferenceRoute, Dialect>;

export const INFERENCE_ROUTES = Object.keys(DIALECTS) as readonly InferenceRoute[];

/** Whether a path belongs to Anthropic's API, whose clients know other errors and send their key in another header. */
export function isAnthropic(path: string): boolean {
  return path === '/v1/messages' || path.startsWith('/v1/messages/');
}

/** The body of an error as clients of the path know it. */
export function errorBodyAt(path: string): (error: FlmError, requestId: string) => object {
  return isAnthropic(path) ? anthropicError : openaiError;
}
