/** OpenAI's older routes: chat and text completions, embeddings, and reranking, which follows their manners. */
import type { ErrorType } from '../../lib/errors';
import { isRecord, parseJson } from '../../lib/json';
import { dataOf, eventOf, eventsIn, PING } from '../../lib/sse';
import { fromMeta, fromTimings, fromUsage, lastUsageIn } from '../usage';
import type { Dialect, JsonObject, ToldError } from './dialect';
import { faultIn, isFilled } from './faults';
import { answerIn } from './types';

/** The body of an error: OpenAI's shape and the request's id (design §3). */
export function openaiError(error: ToldError, requestId: string) {
  const message = error.hint === null ? error.message : `${error.message} ${error.hint}`;
  const type = error.type ?? typeOf(error.status);
  return {
    error: { message, type, param: error.param, code: error.wireCode, request_id: requestId },
  };
}

const TYPES: Readonly<Record<number, ErrorType>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  429: 'rate_limit_error',
  504: 'timeout_error',
};

function typeOf(status: number): ErrorType {
  return TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'server_error');
}

const OUTPUT_KEYS = ['max_completion_tokens', 'max_tokens'];

export const completions: Dialect = {
  streams: true,
  takesStreamOptions: true,
  controlKeys: [],
  meteredKeys: OUTPUT_KEYS,
  outputKeys: OUTPUT_KEYS,
  isRepeatable: () => true,
  headers: ['openai-beta'],
  envelope: null,
  ping: PING,
  marks: [Buffer.from('"usage"'), Buffer.from('"timings"'), Buffer.from('"error"')],
  errorEvent: (error, requestId) => eventOf(JSON.stringify(openaiError(error, requestId))),
  usageOfAnswer: lastUsageIn,
  usageAfter: (event, before) => fromUsage(event.usage) ?? fromTimings(event.timings) ?? before,
  faultOf(event) {
    if (isFilled(event.error)) return faultIn(event.error);
    // Older vLLM has no envelope around it.
    return event.object === 'error' ? faultIn(event) : null;
  },
  kindOf(event) {
    const choices: unknown[] = Array.isArray(event.choices) ? event.choices : [null];
    if (!choices.every(isEmptyChoice)) return 'content';
    // llama.cpp's `return_progress`: whoever asked for it wants to see it.
    return isRecord(event.prompt_progress) ? 'progress' : 'opening';
  },
  isComplete: endsWithDone,
  isFinished: hasFinish,
};

export const embeddings: Dialect = { ...completions, streams: false, meteredKeys: [], outputKeys: [] };

export const rerank: Dialect = {
  ...embeddings,
  usageOfAnswer(bytes) {
    const answer = answerIn(bytes);
    return fromUsage(answer?.usage) ?? fromMeta(answer?.meta);
  },
};

/** A choice that says at most who speaks. */
function isEmptyChoice(choice: unknown): boolean {
  if (!isRecord(choice) || isSaid(choice.finish_reason)) return false;
  if (isRecord(choice.delta)) return Object.entries(choice.delta).every(isRoleOrNothing);
  return choice.text === '';
}

function isRoleOrNothing([name, value]: [string, unknown]): boolean {
  return name === 'role' || !isSaid(value) || value === '' || (Array.isArray(value) && value.length === 0);
}

function isSaid(value: unknown): boolean {
  return value !== null && value !== undefined;
}

/** Whether the last of whole events is `[DONE]`. Looks at the last bytes first: this is asked of every piece. */
function endsWithDone(region: Uint8Array): boolean {
  const from = Math.max(0, region.length - DONE.length - LONGEST_END);
  if (Buffer.prototype.indexOf.call(region, DONE, from) === -1) return false;
  const last = [...eventsIn(region)].at(-1);
  return last !== undefined && dataOf(last)?.trim() === '[DONE]';
}

const DONE = Buffer.from('[DONE]');
/** Two line ends of two bytes. */
const LONGEST_END = 4;

/** `[DONE]`, or a choice that says why it finished. */
function hasFinish(region: Uint8Array): boolean {
  for (const event of eventsIn(region)) {
    const data = dataOf(event)?.trim() ?? '';
    if (data === '[DONE]') return true;
    const json = parseJson(data);
    if (isRecord(json) && choicesOf(json).some(saysWhy)) return true;
  }
  return false;
}

function choicesOf(event: JsonObject): unknown[] {
  return Array.isArray(event.choices) ? event.choices : [];
}

function saysWhy(choice: unknown): boolean {
  return isRecord(choice) && typeof choice.finish_reason === 'string';
}
