/** Makes the spans of a request when it is over: FLM's own work, and each engine that was asked for it. */
import type { RequestFacts, TicketOutcome } from '../../contract';
import type { EventOf } from '../../lib/bus';
import { redact } from '../../lib/redact';
import { attemptSpanId } from '../../lib/trace';
import type { Attributes, Span } from './encode';

export interface AttemptSeen {
  readonly attempt: EventOf<'attempt.finished'>;
  /** Monotonic time of its end. */
  readonly endedMs: number;
}

/** gen_ai.operation.name by route (OpenTelemetry semantic conventions for generative AI). */
const OPERATIONS: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'chat',
  '/v1/responses': 'chat',
  '/v1/messages': 'chat',
  '/v1/completions': 'text_completion',
  '/v1/embeddings': 'embeddings',
  '/v1/rerank': 'rerank',
  '/v1/messages/count_tokens': 'count_tokens',
};

/** `nowMs`: monotonic time at which the request was over, which is what the times of its attempts are counted from. */
export function spansOf(
  request: RequestFacts,
  attempts: readonly AttemptSeen[],
  clientIp: string,
  nowMs: number,
): Span[] {
  const operation = OPERATIONS[request.path] ?? null;
  const overMs = request.atMs + request.durationMs;
  const asked = attempts.map(({ attempt, endedMs }, index) => {
    const endMs = Math.max(request.atMs, overMs - (nowMs - endedMs));
    const startMs = Math.max(request.atMs, endMs - attempt.durationMs);
    return clientSpan(request, attempt, { index: index + 1, startMs, endMs, operation });
  });
  return [serverSpan(request, operation, clientIp), ...asked];
}

function serverSpan(request: RequestFacts, operation: string | null, clientIp: string): Span {
  const { traceId, spanId, parentSpanId } = request.trace;
  const path = redact(request.path);
  return {
    traceId,
    spanId,
    parentSpanId,
    name: operation === null ? request.method : `${request.method} ${path}`,
    kind: 'server',
    startMs: request.atMs,
    endMs: request.atMs + request.durationMs,
    attributes: {
      'http.request.method': request.method,
      'http.route': operation === null ? null : path,
      'url.path': path,
      'http.response.status_code': request.status,
      'client.address': clientIp,
      'tls.client.hash.sha256': request.certificate?.toUpperCase() ?? null,
      'error.type': errorOf(request),
      'flm.request.id': request.requestId,
      'flm.api_key.id': request.principalId,
      'flm.engine.id': request.engineId,
      'flm.attempts': request.attempts,
      'flm.stream': request.isStream,
      'flm.queue_wait_ms': request.waitedMs,
      'flm.time_to_first_byte_ms': request.firstByteMs,
      'gen_ai.operation.name': operation,
      'gen_ai.request.model': request.model === null ? null : redact(request.model.slice(0, 200)),
      'gen_ai.response.model': request.engineModel,
      ...usageOf(request.usage),
    },
    error: errorOf(request),
  };
}

/** What went wrong with a request: FLM's code for it, or the status (HL-003: 4xx and 5xx are errors). */
function errorOf({ errorCode, status, outcome }: RequestFacts): string | null {
  if (errorCode !== null) return errorCode;
  return status >= 400 || outcome === 'failed' ? String(status) : null;
}

interface Step {
  /** Which attempt of the request, from 1. */
  readonly index: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly operation: string | null;
}

function clientSpan(
  request: RequestFacts,
  { engineId, model, outcome, firstTokenMs, usage }: AttemptSeen['attempt'],
  { index, startMs, endMs, operation }: Step,
): Span {
  return {
    traceId: request.trace.traceId,
    spanId: attemptSpanId(request.requestId, index),
    parentSpanId: request.trace.spanId,
    name: `${operation ?? request.method} ${model}`,
    kind: 'client',
    startMs,
    endMs,
    attributes: {
      'gen_ai.operation.name': operation,
      'gen_ai.request.model': model,
      'flm.engine.id': engineId,
      'flm.attempt': index,
      'flm.first_token_ms': firstTokenMs,
      'error.type': ERRORS[outcome],
      ...usageOf(usage),
    },
    error: ERRORS[outcome],
  };
}

const ERRORS: Readonly<Record<TicketOutcome, string | null>> = {
  done: null,
  refused: null,
  aborted: 'aborted',
  failed: 'failed',
};

function usageOf(usage: RequestFacts['usage']): Attributes {
  if (usage === null) return {};
  return {
    'gen_ai.usage.input_tokens': usage.promptTokens,
    'gen_ai.usage.output_tokens': usage.completionTokens,
    'gen_ai.usage.cache_read.input_tokens': usage.cachedTokens,
    'gen_ai.usage.reasoning.output_tokens': usage.reasoningTokens,
  };
}
