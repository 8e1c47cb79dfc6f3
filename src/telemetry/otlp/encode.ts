/** Spans and metrics as OTLP's JSON has them (opentelemetry-proto 1.x, JSON mapping: ids in hex, 64-bit numbers as text). */
import type { Family, Labels } from '../registry';

export type Value = string | number | boolean;
export type Attributes = Readonly<Record<string, Value | null>>;

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly name: string;
  /** Who it works for: somebody who asked, or FLM that asks an engine. */
  readonly kind: 'server' | 'client';
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** What went wrong; null where nothing did. */
  readonly error: string | null;
}

export interface Scope {
  readonly resource: Attributes;
  readonly version: string;
}

const KINDS = { server: 2, client: 3 } as const;
const STATUS_ERROR = 2;
const CUMULATIVE = 2;

export function encodeSpans(spans: readonly Span[], scope: Scope): string {
  return JSON.stringify({
    resourceSpans: [
      { resource: resourceOf(scope), scopeSpans: [{ scope: scopeOf(scope), spans: spans.map(spanOf) }] },
    ],
  });
}

function spanOf(span: Span) {
  const { traceId, spanId, parentSpanId, name, kind, startMs, endMs, attributes, error } = span;
  return {
    traceId,
    spanId,
    ...(parentSpanId === null ? {} : { parentSpanId }),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanos(startMs),
    endTimeUnixNano: nanos(Math.max(startMs, endMs)),
    attributes: attributesOf(attributes),
    status: error === null ? {} : { code: STATUS_ERROR, message: error },
  };
}

/** One request's worth of numbers: `families` and when they were read. */
export function encodeMetrics(
  families: readonly Family[],
  times: { readonly startMs: number; readonly nowMs: number },
  scope: Scope,
): string {
  const metrics = families.map((family) => metricOf(family, times)).filter((metric) => metric !== null);
  return JSON.stringify({
    resourceMetrics: [{ resource: resourceOf(scope), scopeMetrics: [{ scope: scopeOf(scope), metrics }] }],
  });
}

function metricOf(family: Family, { startMs, nowMs }: { readonly startMs: number; readonly nowMs: number }) {
  const { name, help: description, labelNames } = family;
  const head = { name, description, unit: unitOf(name) };
  const times = { startTimeUnixNano: nanos(startMs), timeUnixNano: nanos(nowMs) };
  const attributes = (labels: Labels) =>
    attributesOf(Object.fromEntries(labelNames.map((label, index) => [label, labels[index] ?? ''])));
  if (family.type === 'histogram') {
    const dataPoints = family.distributions().map(({ labels, counts, sum }) => ({
      attributes: attributes(labels),
      ...times,
      count: String(counts.reduce((total, count) => total + count, 0)),
      sum,
      bucketCounts: counts.map(String),
      explicitBounds: family.bounds,
    }));
    if (dataPoints.length === 0) return null;
    return { ...head, histogram: { aggregationTemporality: CUMULATIVE, dataPoints } };
  }
  const dataPoints = family
    .samples()
    .map(({ labels, value }) => ({ attributes: attributes(labels), ...times, asDouble: value }));
  if (dataPoints.length === 0) return null;
  return family.type === 'gauge'
    ? { ...head, gauge: { dataPoints } }
    : { ...head, sum: { aggregationTemporality: CUMULATIVE, isMonotonic: true, dataPoints } };
}

/** In the spelling of UCUM. */
function unitOf(name: string): string {
  if (/_seconds(?:_total)?$/.test(name)) return 's';
  return name.endsWith('_bytes') ? 'By' : '1';
}

function resourceOf({ resource }: Scope) {
  return { attributes: attributesOf(resource) };
}

function scopeOf({ version }: Scope) {
  return { name: 'flm', version };
}

function attributesOf(attributes: Attributes) {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === null ? [] : [{ key, value: anyValue(key, value) }],
  );
}

/** A duration that happens to be whole is a fraction all the same: collectors want one type for one name. */
function anyValue(key: string, value: Value) {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) && !key.endsWith('_ms')
    ? { intValue: String(value) }
    : { doubleValue: value };
}

/** Wall time in nanoseconds, as text: the number is too large for JSON. Microseconds are as fine as FLM's clock. */
function nanos(ms: number): string {
  return `${Math.round(ms * 1_000)}000`;
}
