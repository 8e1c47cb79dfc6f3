/**
 * The other end of OTLP over HTTP: takes JSON as opentelemetry-proto's JSON mapping has it, and nothing else. A field that
 * the protocol does not know, an id that is not hexadecimal or a number in the wrong form is refused and remembered.
 */
import { gunzipSync } from 'node:zlib';
import { isRecord } from '../../src/lib/json';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly isError: boolean;
}

export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** Names of metrics, by what they are. */
  readonly metrics: Map<string, 'sum' | 'gauge' | 'histogram'>;
  readonly resources: Readonly<Record<string, unknown>>[];
  readonly headers: Headers[];
  /** What was wrong with what came. */
  readonly faults: string[];
  /** How it answers from now on; null = it takes everything. */
  answer: (() => Response) | null;
  requests(): number;
}

type Check = (value: unknown, at: string) => string[];

const HEX_16 = matches(/^(?!0{16})[0-9a-f]{16}$/);
const HEX_32 = matches(/^(?!0{32})[0-9a-f]{32}$/);
const TEXT: Check = (value, at) => (typeof value === 'string' ? [] : [`${at} is no text`]);
const FLAG: Check = (value, at) => (typeof value === 'boolean' ? [] : [`${at} is no boolean`]);
const NUMBER: Check = (value, at) => (Number.isFinite(value) ? [] : [`${at} is no number`]);
const ENUM: Check = (value, at) => (Number.isInteger(value) ? [] : [`${at} is no enum`]);
/** 64-bit numbers are text. */
const INT_64 = matches(/^\d{1,19}$/);
const SIGNED_64 = matches(/^-?\d{1,19}$/);
const NANOS = matches(/^1\d{18}$/);

function matches(pattern: RegExp): Check {
  return (value, at) =>
    typeof value === 'string' && pattern.test(value) ? [] : [`${at} is not ${pattern}: ${String(value)}`];
}

function list(of: Check): Check {
  return (value, at) =>
    Array.isArray(value) ? value.flatMap((each, index) => of(each, `${at}[${index}]`)) : [`${at} is no list`];
}

/** A message with these fields; those with a `?` may be missing. */
function message(fields: Readonly<Record<string, Check>>): Check {
  return (value, at) => {
    if (!isRecord(value)) return [`${at} is no message`];
    const known = new Map(Object.entries(fields).map(([name, check]) => [name.replace('?', ''), check]));
    const missing = Object.keys(fields).filter((name) => !name.endsWith('?') && !(name in value));
    const wrong = Object.entries(value).flatMap(
      ([name, field]) => known.get(name)?.(field, `${at}.${name}`) ?? [`${at}.${name} is unknown`],
    );
    return [...missing.map((name) => `${at}.${name} is missing`), ...wrong];
  };
}

const ANY_VALUE = message({
  'stringValue?': TEXT,
  'boolValue?': FLAG,
  'intValue?': SIGNED_64,
  'doubleValue?': NUMBER,
});
const ATTRIBUTES = list(message({ key: TEXT, value: ANY_VALUE }));
const RESOURCE = message({ attributes: ATTRIBUTES });
const SCOPE = message({ name: TEXT, version: TEXT });
const SPAN = message({
  traceId: HEX_32,
  spanId: HEX_16,
  'parentSpanId?': HEX_16,
  name: TEXT,
  kind: ENUM,
  startTimeUnixNano: NANOS,
  endTimeUnixNano: NANOS,
  attributes: ATTRIBUTES,
  status: message({ 'code?': ENUM, 'message?': TEXT }),
});
const TRACES = message({
  resourceSpans: list(
    message({ resource: RESOURCE, scopeSpans: list(message({ scope: SCOPE, spans: list(SPAN) })) }),
  ),
});
const POINT = { attributes: ATTRIBUTES, startTimeUnixNano: NANOS, timeUnixNano: NANOS };
const NUMBERS = list(message({ ...POINT, asDouble: NUMBER }));
const DISTRIBUTIONS = list(
  message({ ...POINT, count: INT_64, sum: NUMBER, bucketCounts: list(INT_64), explicitBounds: list(NUMBER) }),
);
const METRIC = message({
  name: TEXT,
  description: TEXT,
  unit: TEXT,
  'sum?': message({ aggregationTemporality: ENUM, isMonotonic: FLAG, dataPoints: NUMBERS }),
  'gauge?': message({ dataPoints: NUMBERS }),
  'histogram?': message({ aggregationTemporality: ENUM, dataPoints: DISTRIBUTIONS }),
});
const METRICS = message({
  resourceMetrics: list(
    message({ resource: RESOURCE, scopeMetrics: list(message({ scope: SCOPE, metrics: list(METRIC) })) }),
  ),
});

export function startOtlpReceiver(): OtlpReceiver {
  const faults: string[] = [];
  const spans: ReceivedSpan[] = [];
  const metrics = new Map<string, 'sum' | 'gauge' | 'histogram'>();
  const resources: Record<string, unknown>[] = [];
  const headers: Headers[] = [];
  let requests = 0;

  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      requests++;
      headers.push(request.headers);
      if (receiver.answer !== null) return receiver.answer();
      const bytes = Buffer.from(await request.arrayBuffer());
      const plain = request.headers.get('content-encoding') === 'gzip' ? gunzipSync(bytes) : bytes;
      const body: unknown = JSON.parse(plain.toString());
      const { pathname } = new URL(request.url);
      const isTraces = pathname === '/v1/traces';
      if (request.headers.get('content-type') !== 'application/json') faults.push('not JSON');
      if (!isTraces && pathname !== '/v1/metrics') faults.push(`nothing is at ${pathname}`);
      const wrong = (isTraces ? TRACES : METRICS)(body, '');
      faults.push(...wrong);
      if (wrong.length > 0) return new Response('', { status: 400 });
      if (isTraces) takeSpans(body as Traces);
      else takeMetrics(body as Metrics);
      return Response.json({});
    },
  });

  function takeSpans({ resourceSpans }: Traces): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      resources.push(attributesIn(resource.attributes));
      for (const each of scopeSpans.flatMap((scope) => scope.spans))
        spans.push({
          ...each,
          parentSpanId: each.parentSpanId ?? null,
          startNs: BigInt(each.startTimeUnixNano),
          endNs: BigInt(each.endTimeUnixNano),
          attributes: attributesIn(each.attributes),
          isError: each.status.code === 2,
        });
    }
  }

  function takeMetrics({ resourceMetrics }: Metrics): void {
    const all = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
    for (const metric of all)
      metrics.set(metric.name, 'sum' in metric ? 'sum' : 'gauge' in metric ? 'gauge' : 'histogram');
  }

  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${server.port}`,
    spans,
    metrics,
    resources,
    headers,
    faults,
    answer: null,
    requests: () => requests,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
  return receiver;
}

/** What the checks above have established. */
interface Traces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly SpanMessage[] }[];
  }[];
}

interface SpanMessage {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly status: { readonly code?: number };
}

interface Metrics {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[];
  }[];
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

function attributesIn(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
