/**
 * Which trace a request belongs to, and what its engine is told of it (HL-003). Where FLM keeps no traces, its own step
 * would be a hole in somebody else's: then the client's word passes as it came.
 */
import type { RequestTrace } from '../contract';
import { attemptSpanId, formatTraceparent, newTraceparent, parseTraceparent, spanIdOf } from '../lib/trace';

/** Decides what is kept of traces. */
export interface Tracing {
  /** Whether FLM's steps in a trace are kept; `parentIsSampled` is null where the trace begins here. */
  keeps(traceId: string, parentIsSampled: boolean | null): boolean;
}

/** The headers that a request came with. */
export interface TraceHeaders {
  readonly traceparent: string | null;
  readonly tracestate: string | null;
}

/** `tracing`: null where FLM keeps no traces. */
export function traceOf(
  traceparent: string | null,
  requestId: string,
  tracing: Tracing | null,
): RequestTrace {
  const parent = parseTraceparent(traceparent);
  const { traceId } = parent ?? newTraceparent(requestId);
  const asked = parent?.isSampled ?? null;
  return {
    traceId,
    spanId: spanIdOf(requestId),
    parentSpanId: parent?.spanId ?? null,
    isSampled: tracing === null ? asked === true : tracing.keeps(traceId, asked),
  };
}

/** What the engine of the `attempt`th attempt is told. The state belongs to a valid parent and goes with it alone. */
export function traceHeaders(
  { traceparent, tracestate }: TraceHeaders,
  { traceId, spanId, parentSpanId, isSampled }: RequestTrace,
  requestId: string,
  attempt: number,
  tracing: Tracing | null,
): Readonly<Record<string, string>> {
  const isOwn = tracing !== null || parentSpanId === null;
  const ownSpanId = tracing === null ? spanId : attemptSpanId(requestId, attempt);
  const told = isOwn
    ? formatTraceparent({ traceId, spanId: ownSpanId, isSampled, isRandom: false })
    : (traceparent ?? '');
  return parentSpanId !== null && tracestate !== null
    ? { traceparent: told, tracestate }
    : { traceparent: told };
}
