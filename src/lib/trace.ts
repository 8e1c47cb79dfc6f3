/** W3C Trace Context (https://www.w3.org/TR/trace-context/): reads and writes the `traceparent` header (HL-003). */
import { randomBytes } from 'node:crypto';

export interface TraceContext {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** The caller's span: 16 digits, not all zero. */
  readonly parentId: string;
  readonly sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 0x01;

/** What a `traceparent` header says, or null when it says nothing valid (§3.2.2): then a new trace begins. */
export function parseTraceparent(header: string | null): TraceContext | null {
  const [, version, traceId, parentId, flags, more] = TRACEPARENT.exec(header ?? '') ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return null;
  // Later versions may append fields; the first has none, and ff is no version.
  if (version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return null;
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** The header that names a span of ours: `00-<trace>-<span>-01`. */
export function formatTraceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** 32 random hexadecimal digits. */
export function newTraceId(): string {
  return randomId(16);
}

/** 16 random hexadecimal digits. */
export function newSpanId(): string {
  return randomId(8);
}

/** All zeros mean "none", and come up once in 2^64. */
function randomId(bytes: number): string {
  const id = randomBytes(bytes).toString('hex');
  return /^0+$/.test(id) ? randomId(bytes) : id;
}
