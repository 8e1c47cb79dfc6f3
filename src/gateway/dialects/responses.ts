/** OpenAI's Responses API (POST /v1/responses): typed events around a response object. */
import { isRecord } from '../../lib/json';
import { fromUsage } from '../usage';
import type { Dialect, EventKind, JsonObject } from './dialect';
import { faultIn, isFilled } from './faults';
import { completions, openaiError } from './openai';
import { answerIn, holdsType, typedEvent } from './types';

/** The two ends of an answer. `response.failed` is one too, and is read as an error. */
const ENDS = ['response.completed', 'response.incomplete'] as const;

const OPENING = new Set([
  'response.created',
  'response.queued',
  'response.in_progress',
  'response.content_part.added',
  'response.reasoning_summary_part.added',
]);

export const responses: Dialect = {
  ...completions,
  takesStreamOptions: false,
  controlKeys: ['store', 'tools'],
  meteredKeys: ['store', 'tools', 'max_output_tokens'],
  outputKeys: ['max_output_tokens'],
  isRepeatable: ({ store, tools }) => (store ?? false) === false && runsNothing(tools ?? []),
  envelope: 'response',
  marks: [Buffer.from('"usage"'), Buffer.from('"error"'), Buffer.from('response.failed')],

  errorEvent(error, requestId, sent) {
    const { error: told } = openaiError(error, requestId);
    const { code, message, param } = told;
    // The API has the members side by side; OpenAI's own clients look for them under `error` as well, and one in Python
    // raises only when it finds them there.
    return typedEvent({
      type: 'error',
      sequence_number: sequenceAfter(sent),
      code,
      message,
      param,
      error: told,
    });
  },

  usageOfAnswer: (bytes) => fromUsage(answerIn(bytes)?.usage),

  usageAfter(event, before) {
    return (isRecord(event.response) ? fromUsage(event.response.usage) : null) ?? before;
  },

  faultOf(event) {
    if (event.type === 'response.failed') {
      return faultIn(isRecord(event.response) ? event.response.error : null);
    }
    if (isFilled(event.error)) return faultIn(event.error);
    return event.type === 'error' ? faultIn(event) : null;
  },

  kindOf: (event) => (isOpening(event) ? 'opening' : 'content') satisfies EventKind,
  isComplete: (region) => holdsType(region, ENDS),
  isFinished: (region) => holdsType(region, ENDS),
};

/** Whether all tools are the client's own to run. Any other type may be run by the engine. */
function runsNothing(tools: unknown): boolean {
  return Array.isArray(tools) && tools.every((tool) => isRecord(tool) && tool.type === 'function');
}

function isOpening({ type, item }: JsonObject): boolean {
  if (type !== 'response.output_item.added') return OPENING.has(String(type));
  // A call names its function here, which is news; a message and a thought are empty yet.
  return isRecord(item) && (item.type === 'message' || item.type === 'reasoning');
}

const SEQUENCE_NUMBER = '"sequence_number":';
const DIGITS = /^\s*(\d+)/;

/** The number that follows the last one in `sent`; 0 where an engine counts none. */
function sequenceAfter(sent: Uint8Array): number {
  const at = Buffer.prototype.lastIndexOf.call(sent, SEQUENCE_NUMBER);
  if (at === -1) return 0;
  const start = at + SEQUENCE_NUMBER.length;
  const digits = DIGITS.exec(Buffer.prototype.toString.call(sent, 'latin1', start, start + 20))?.[1];
  return digits === undefined ? 0 : Number(digits) + 1;
}
