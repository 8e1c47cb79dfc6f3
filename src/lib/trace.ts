/** W3C Trace Context (https://www.w3.org/TR/trace-context-2/): which trace a request belongs to, and which step of it. */

export interface TraceContext {
  /** 32 hexadecimal digits, never all zero. */
  readonly traceId: string;
  /** The step that asks: 16 hexadecimal digits, never all zero. */
  readonly spanId: string;
  /** Whether whoever began the trace records it. */
  readonly isSampled: boolean;
  /** Whether whoever began the trace chose the last seven bytes of its id by chance (§3.2.3.4). */
  readonly isRandom: boolean;
}

/** Version, trace, step, flags; a later version may say more behind them (§3.2.4). */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZERO_TRACE = '0'.repeat(32);
const ZERO_SPAN = '0'.repeat(16);

/** What a `traceparent` says; null when there is none or it is not valid, which means the same (§3.2.2). */
export function parseTraceparent(header: string | null): TraceContext | null {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(header ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (traceId === ZERO_TRACE || spanId === ZERO_SPAN) return null;
  const bits = Number.parseInt(flags, 16);
  return { traceId, spanId, isSampled: (bits & 1) !== 0, isRandom: (bits & 2) !== 0 };
}

/** The trace of a request that came without one: its UUIDv7 is the trace's id, so that both are found by either. */
export function newTraceparent(requestId: string, isSampled = false): TraceContext {
  return { traceId: traceIdOf(requestId), spanId: spanIdOf(requestId), isSampled, isRandom: false };
}

/** The trace id that a request's UUID makes. */
export function traceIdOf(requestId: string): string {
  return requestId.replaceAll('-', '');
}

/** FLM's own step in the work for a request: the random half of its UUIDv7, whose variant bits keep it from being zero. */
export function spanIdOf(requestId: string): string {
  return requestId.slice(19, 23) + requestId.slice(24);
}

/** A step of its own within a request: 16 hexadecimal digits by chance. */
export function newSpanId(): string {
  // A UUIDv4 has the same random half, and costs a third of eight bytes from the pool and their digits.
  return spanIdOf(crypto.randomUUID());
}

/** The header's text, in the only version there is: `00-<trace id>-<span id>-<flags>`. */
export function formatTraceparent({ traceId, spanId, isSampled, isRandom }: TraceContext): string {
  return `00-${traceId}-${spanId}-0${(isSampled ? 1 : 0) + (isRandom ? 2 : 0)}`;
}

/** FLM's step of asking its `attempt`th engine (from 1) for a request: known to whoever knows the request. */
export function attemptSpanId(requestId: string, attempt: number): string {
  // The first digit of spanIdOf is 8 to b (the UUID's variant), so those below it are free.
  const digits = Math.min(attempt, 0x7f).toString(16).padStart(2, '0');
  return digits + spanIdOf(requestId).slice(2);
}
