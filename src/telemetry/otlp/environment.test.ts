import { describe, expect, test } from 'bun:test';
import { readOtlpSettings } from './environment';

const BASE = 'http://collector:4318';

describe('the environment of OpenTelemetry', () => {
  test.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: BASE }, `${BASE}/v1/traces`, `${BASE}/v1/metrics`],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: `${BASE}/` }, `${BASE}/v1/traces`, `${BASE}/v1/metrics`],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: `${BASE}/otlp` }, `${BASE}/otlp/v1/traces`, `${BASE}/otlp/v1/metrics`],
    // An address for one signal is taken as it is, and is for that one alone.
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${BASE}/t` }, `${BASE}/t`, undefined],
    [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${BASE}/m` }, undefined, `${BASE}/m`],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: BASE, OTEL_TRACES_EXPORTER: 'none' }, undefined, `${BASE}/v1/metrics`],
    [{}, undefined, undefined],
  ])('%j names where to', (env, traces, metrics) => {
    const settings = readOtlpSettings(env);
    expect([settings.traces?.url, settings.metrics?.url]).toEqual([traces, metrics]);
    expect(settings.complaints).toEqual([]);
  });

  test.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://collector' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:secret@collector' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: BASE, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: BASE,
        OTEL_TRACES_EXPORTER: 'zipkin',
        OTEL_METRICS_EXPORTER: 'prometheus',
      },
    ],
  ])('%j is not obeyed, and that is said without its secrets', (env) => {
    const { traces, metrics, complaints } = readOtlpSettings(env);
    expect([traces, metrics, complaints.length]).toEqual([null, null, 2]);
    expect(complaints.join()).not.toContain('secret');
  });

  test.each([
    [{}, { ratio: 1, parentBased: true }, 0],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, { ratio: 0, parentBased: false }, 0],
    [
      { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' },
      { ratio: 0.25, parentBased: true },
      0,
    ],
    [
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '7' },
      { ratio: 1, parentBased: false },
      1,
    ],
    [{ OTEL_TRACES_SAMPLER: 'constructor' }, { ratio: 1, parentBased: true }, 1],
  ])('%j decides what is kept', (env, sampling, complaints) => {
    const settings = readOtlpSettings(env);
    expect([settings.sampling, settings.complaints.length]).toEqual([sampling, complaints]);
  });

  test('names the service and what it belongs to', () => {
    const { resource } = readOtlpSettings({
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment=home%20lab,broken,100%=x',
      OTEL_SERVICE_NAME: 'front',
    });
    expect(resource).toEqual({ 'service.name': 'front', 'deployment.environment': 'home lab', '100%': 'x' });
  });

  test('takes numbers as they are meant, or says that it does not', () => {
    const good = readOtlpSettings({ OTEL_BSP_SCHEDULE_DELAY: '100', OTEL_BSP_MAX_QUEUE_SIZE: '' });
    expect([good.batchDelayMs, good.queueSize, good.complaints]).toEqual([100, 2_048, []]);
    const bad = readOtlpSettings({ OTEL_BSP_SCHEDULE_DELAY: '-1', OTEL_METRIC_EXPORT_INTERVAL: 'soon' });
    expect([bad.batchDelayMs, bad.metricsIntervalMs, bad.complaints.length]).toEqual([5_000, 60_000, 2]);
  });
});
