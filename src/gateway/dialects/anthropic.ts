/** Anthropic's Messages API: POST /v1/messages and /v1/messages/count_tokens. */
import type { Usage } from '../../contract';
import { FlmError } from '../../lib/errors';
import { isRecord } from '../../lib/json';
import { count } from '../usage';
import type { Dialect, EventKind, JsonObject, ToldError } from './dialect';
import { faultIn, isFilled } from './faults';
import { answerIn, holdsType, typedEvent } from './types';

/** The body of an error as Anthropic's clients know it, and the data of the event `error`. */
export function anthropicError(error: ToldError, requestId: string) {
  const message = error.hint === null ? error.message : `${error.message} ${error.hint}`;
  // The types of FLM's own errors are OpenAI's; an engine on these routes says Anthropic's.
  const said = error instanceof FlmError ? null : error.type;
  return { type: 'error', error: { type: said ?? typeOf(error.status), message }, request_id: requestId };
}

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

function typeOf(status: number): string {
  return TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
}

const ENDS = ['message_stop'] as const;

export const messages: Dialect = {
  streams: true,
  takesStreamOptions: false,
  controlKeys: [],
  meteredKeys: ['max_tokens'],
  outputKeys: ['max_tokens'],
  isRepeatable: () => true,
  headers: ['anthropic-version', 'anthropic-beta'],
  envelope: 'message',
  ping: Buffer.from('event: ping\ndata: {"type": "ping"}\n\n'),
  marks: [Buffer.from('"usage"'), Buffer.from('"error"')],
  errorEvent: (error, requestId) => typedEvent(anthropicError(error, requestId)),
  usageOfAnswer: (bytes) => usageAfter(answerIn(bytes)?.usage, null),

  usageAfter({ type, message, usage }, before) {
    if (type === 'message_start') return isRecord(message) ? usageAfter(message.usage, before) : before;
    return usageAfter(usage, before);
  },

  faultOf: ({ type, error }) => (type === 'error' || isFilled(error) ? faultIn(error) : null),
  kindOf: (event) => (isOpening(event) ? 'opening' : 'content') satisfies EventKind,
  isComplete: (region) => holdsType(region, ENDS),
  isFinished: (region) => holdsType(region, ENDS),
};

/** Its answer is a number of tokens, and none of them was consumed. */
export const countTokens: Dialect = {
  ...messages,
  streams: false,
  meteredKeys: [],
  outputKeys: null,
  usageOfAnswer: () => null,
};

/** `input_tokens` leaves out what was in a cache. A later event may tell only what has changed. */
function usageAfter(usage: unknown, before: Usage | null): Usage | null {
  if (!isRecord(usage)) return before;
  const input = count(usage.input_tokens);
  const output = count(usage.output_tokens);
  if (input === null && output === null) return before;
  const cachedTokens = count(usage.cache_read_input_tokens) ?? before?.cachedTokens ?? null;
  const written = count(usage.cache_creation_input_tokens) ?? 0;
  return {
    promptTokens: input === null ? (before?.promptTokens ?? 0) : input + (cachedTokens ?? 0) + written,
    completionTokens: output ?? before?.completionTokens ?? 0,
    cachedTokens,
    reasoningTokens: null,
  };
}

function isOpening({ type, content_block: block }: JsonObject): boolean {
  if (type === 'message_start' || type === 'ping') return true;
  // A tool's block has its name, which is news; a text and a thought are empty yet.
  return (
    type === 'content_block_start' && isRecord(block) && (block.type === 'text' || block.type === 'thinking')
  );
}
