/**
 * The standard environment variables of OpenTelemetry, as far as FLM obeys them (docs/monitoring.md lists them).
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and …/configuration/sdk-environment-variables/
 */
import type { Env } from '../../lib/paths';

export interface SignalTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly gzip: boolean;
}

/** Share of traces that are kept, and whether the client's word comes first. */
export interface Sampling {
  readonly ratio: number;
  readonly parentBased: boolean;
}

export interface OtlpSettings {
  /** Null where traces are not wanted. */
  readonly traces: SignalTarget | null;
  readonly metrics: SignalTarget | null;
  readonly resource: Readonly<Record<string, string>>;
  readonly sampling: Sampling;
  readonly queueSize: number;
  readonly batchSize: number;
  readonly batchDelayMs: number;
  readonly metricsIntervalMs: number;
  /** What was asked for and is not done, in words for the owner. */
  readonly complaints: readonly string[];
}

type Signal = 'traces' | 'metrics';

const DEFAULT_TIMEOUT_MS = 10_000;

export function readOtlpSettings(env: Env): OtlpSettings {
  const complaints: string[] = [];
  const resource = pairsIn(env.OTEL_RESOURCE_ATTRIBUTES);
  return {
    traces: targetOf('traces', env, complaints),
    metrics: targetOf('metrics', env, complaints),
    resource: { 'service.name': 'flm', ...resource, ...named(env.OTEL_SERVICE_NAME) },
    sampling: samplingOf(env, complaints),
    queueSize: numberOf('OTEL_BSP_MAX_QUEUE_SIZE', env, 2_048, complaints),
    batchSize: numberOf('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', env, 512, complaints),
    batchDelayMs: numberOf('OTEL_BSP_SCHEDULE_DELAY', env, 5_000, complaints),
    metricsIntervalMs: numberOf('OTEL_METRIC_EXPORT_INTERVAL', env, 60_000, complaints),
    complaints,
  };
}

function named(name: string | undefined): Record<string, string> {
  return name ? { 'service.name': name } : {};
}

function targetOf(signal: Signal, env: Env, complaints: string[]): SignalTarget | null {
  const upper = signal.toUpperCase();
  const one = (name: string) =>
    env[`OTEL_EXPORTER_OTLP_${upper}_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`];
  const exporter = env[`OTEL_${upper}_EXPORTER`];
  if (exporter === 'none') return null;
  if (exporter && exporter !== 'otlp') {
    complaints.push(`OTEL_${upper}_EXPORTER=${exporter}: FLM exports with otlp alone, so no ${signal}`);
    return null;
  }
  const own = env[`OTEL_EXPORTER_OTLP_${upper}_ENDPOINT`];
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (!own && !base) return null;
  const protocol = one('PROTOCOL');
  if (protocol === 'grpc') {
    complaints.push(
      `OTLP over gRPC: FLM speaks OTLP over HTTP (port 4318 on most collectors), so no ${signal}`,
    );
    return null;
  }
  if (one('CERTIFICATE') || one('CLIENT_CERTIFICATE'))
    complaints.push(
      'certificates for OTLP: FLM trusts those of the system (NODE_EXTRA_CA_CERTS adds others)',
    );
  const text = own || `${base?.replace(/\/+$/, '')}/v1/${signal}`;
  const url = URL.parse(text);
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === null || !isHttp || url.username !== '' || url.password !== '') {
    complaints.push(
      `the OTLP endpoint for ${signal} is not an http(s) address without credentials, so no ${signal}`,
    );
    return null;
  }
  return {
    url: url.href,
    headers: lowerCase(pairsIn(one('HEADERS'))),
    timeoutMs: numberOf(
      'OTEL_EXPORTER_OTLP_TIMEOUT',
      { OTEL_EXPORTER_OTLP_TIMEOUT: one('TIMEOUT') },
      DEFAULT_TIMEOUT_MS,
      complaints,
    ),
    gzip: one('COMPRESSION') === 'gzip',
  };
}

const SAMPLERS: Readonly<Record<string, { readonly parentBased: boolean; readonly ratio: number | null }>> = {
  always_on: { parentBased: false, ratio: 1 },
  always_off: { parentBased: false, ratio: 0 },
  traceidratio: { parentBased: false, ratio: null },
  parentbased_always_on: { parentBased: true, ratio: 1 },
  parentbased_always_off: { parentBased: true, ratio: 0 },
  parentbased_traceidratio: { parentBased: true, ratio: null },
};

function samplingOf(env: Env, complaints: string[]): Sampling {
  const name = env.OTEL_TRACES_SAMPLER || 'parentbased_always_on';
  const sampler = Object.hasOwn(SAMPLERS, name) ? SAMPLERS[name] : undefined;
  if (sampler === undefined) {
    complaints.push(
      `OTEL_TRACES_SAMPLER=${name}: there is ${Object.keys(SAMPLERS).join(', ')}; every trace is kept`,
    );
    return { ratio: 1, parentBased: true };
  }
  if (sampler.ratio !== null) return { ratio: sampler.ratio, parentBased: sampler.parentBased };
  const ratio = Number(env.OTEL_TRACES_SAMPLER_ARG || 1);
  const isRatio = ratio >= 0 && ratio <= 1;
  if (!isRatio) complaints.push('OTEL_TRACES_SAMPLER_ARG takes a number from 0 to 1; every trace is kept');
  return { ratio: isRatio ? ratio : 1, parentBased: sampler.parentBased };
}

function numberOf(name: string, env: Env, fallback: number, complaints: string[]): number {
  const text = env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text.trim()) && value > 0) return value;
  complaints.push(`${name} takes a whole number above 0; ${fallback} is used`);
  return fallback;
}

/** `a=1,b=two%20words` (W3C Baggage without properties). */
function pairsIn(text: string | undefined): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const part of (text ?? '').split(',')) {
    const [name = '', ...value] = part.split('=');
    if (name.trim() !== '' && value.length > 0) pairs[name.trim()] = decoded(value.join('=').trim());
  }
  return pairs;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A percent sign that means itself.
  }
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
