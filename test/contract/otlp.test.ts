/** OpenTelemetry: what a collector gets of real requests, and what becomes of it when there is none. */
import { describe, expect, test } from 'bun:test';
import type { Env } from '../../src/lib/paths';
import { parseTraceparent, traceIdOf } from '../../src/lib/trace';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver';
import { chat, type Gateway, MODEL, requestIdOf, startGateway, workOf } from './support/gateway';
import { headerOf } from './support/raw';
import { CHAT } from './support/routes';
import { until } from './support/until';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const PROMPT = 'What is the capital of France?';
const model = MODEL.llamacpp;

function start(collector: OtlpReceiver, env: Env = {}): Promise<Gateway> {
  return startGateway({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '20',
      OTEL_METRIC_EXPORT_INTERVAL: '60000',
      ...env,
    },
  });
}

describe('traces', () => {
  test('have a span for the request and one for each engine that was asked', async () => {
    await using collector = startOtlpReceiver();
    await using gateway = await start(collector, { OTEL_SERVICE_NAME: 'front' });
    await gateway.addFake('llamacpp', { fault: { kind: 'die-before-headers' } }, { id: 'a' });
    const fake = await gateway.addFake('llamacpp', {}, { id: 'b' });
    const answer = await gateway.post(CHAT, chat(model, { stream: true }));
    expect(answer.status).toBe(200);
    await until(() => collector.spans.some(({ kind }) => kind === 2));
    expect(collector.faults).toEqual([]);
    const traceId = traceIdOf(requestIdOf(answer));
    const spans = collector.spans.filter((span) => span.traceId === traceId);
    const server = spans.find(({ kind }) => kind === 2);
    const clients = spans.filter(({ kind }) => kind === 3);
    expect(server).toMatchObject({
      name: `POST ${CHAT}`,
      parentSpanId: null,
      isError: false,
      attributes: {
        'http.response.status_code': '200',
        'gen_ai.operation.name': 'chat',
        'gen_ai.request.model': model,
        'gen_ai.usage.output_tokens': expect.stringMatching(/^\d+$/),
        'flm.request.id': requestIdOf(answer),
        'client.address': '127.0.0.***',
      },
    });
    expect(String(clients.length)).toBe(String(server?.attributes['flm.attempts']));
    expect(clients.every(({ parentSpanId }) => parentSpanId === server?.spanId)).toBe(true);
    const last = clients.at(-1);
    // The engine was told the step that asked it.
    const told = parseTraceparent(headerOf(workOf(fake)[0] ?? { headers: [] }, 'traceparent'));
    expect(told).toMatchObject({ traceId, spanId: last?.spanId ?? '', isSampled: true });
    expect((server?.endNs ?? 0n) >= (last?.endNs ?? 1n)).toBe(true);
    expect((server?.startNs ?? 1n) <= (last?.startNs ?? 0n)).toBe(true);
    expect(collector.resources[0]).toMatchObject({ 'service.name': 'front' });
    expect(JSON.stringify(collector.spans, (_, value) => String(value))).not.toContain(PROMPT);
  });

  test('go on where the client began, with a step of FLM in between', async () => {
    await using collector = startOtlpReceiver();
    await using gateway = await start(collector);
    const fake = await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model), { headers: [gateway.auth, ['traceparent', PARENT]] });
    await until(() => collector.spans.length === 2);
    const server = collector.spans.find(({ kind }) => kind === 2);
    expect(server).toMatchObject({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      parentSpanId: '00f067aa0ba902b7',
    });
    const told = headerOf(workOf(fake)[0] ?? { headers: [] }, 'traceparent');
    expect(told).toStartWith('00-4bf92f3577b34da6a3ce929d0e0e4736-');
    expect(told).not.toContain('00f067aa0ba902b7');
  });

  test('of requests that were refused are errors (HL-003)', async () => {
    await using collector = startOtlpReceiver();
    await using gateway = await start(collector);
    await gateway.post(CHAT, chat('nobody-has-this'));
    await until(() => collector.spans.length === 1);
    expect(collector.spans).toMatchObject([
      { isError: true, attributes: { 'error.type': 'MODEL_NOT_FOUND', 'http.response.status_code': '404' } },
    ]);
  });

  test('are not made where the client does not keep them', async () => {
    await using collector = startOtlpReceiver();
    await using gateway = await start(collector);
    await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model), {
      headers: [gateway.auth, ['traceparent', PARENT.replace(/01$/, '00')]],
    });
    await gateway.post(CHAT, chat(model));
    await until(() => collector.spans.length === 2);
    expect(new Set(collector.spans.map(({ traceId }) => traceId)).size).toBe(1);
  });

  test('that wait at the end are sent before FLM is gone', async () => {
    await using collector = startOtlpReceiver();
    const gateway = await start(collector, { OTEL_BSP_SCHEDULE_DELAY: '60000' });
    await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model));
    await gateway[Symbol.asyncDispose]();
    expect(collector.spans.length).toBe(2);
    expect(collector.faults).toEqual([]);
  });
});

describe('metrics', () => {
  test('are what /metrics shows', async () => {
    await using collector = startOtlpReceiver();
    await using gateway = await start(collector, {
      OTEL_METRIC_EXPORT_INTERVAL: '30',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_HEADERS: 'X-Tenant=a%20b,authorization=Bearer t',
    });
    await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model));
    await until(() =>
      ['flm_request_duration_seconds', 'flm_engine_up'].every((name) => collector.metrics.has(name)),
    );
    expect(collector.faults).toEqual([]);
    expect(collector.metrics.get('flm_proxy_requests_total')).toBe('sum');
    expect(collector.metrics.get('flm_engine_up')).toBe('gauge');
    expect(collector.metrics.get('flm_request_duration_seconds')).toBe('histogram');
    expect(collector.headers[0]?.get('x-tenant')).toBe('a b');
    expect(collector.headers[0]?.get('authorization')).toBe('Bearer t');
  });
});

describe('a collector', () => {
  test('that takes spans and never answers does not keep FLM from ending', async () => {
    let asked = 0;
    await using hanging = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      idleTimeout: 0,
      fetch() {
        asked++;
        return new Promise<Response>(() => {});
      },
    });
    const OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${hanging.port}`;
    await using gateway = await startGateway({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_BSP_SCHEDULE_DELAY: '20' },
    });
    await gateway.addFake('llamacpp');
    expect((await gateway.post(CHAT, chat(model))).status).toBe(200);
    await until(() => asked > 0);
    const closingMs = performance.now();
    await gateway.app.close();
    // Two seconds are for spans that a collector is just taking; it would be ten for one that FLM waits for.
    expect(performance.now() - closingMs).toBeLessThan(8_000);
    await hanging.stop(true);
  });

  test('that asks for patience gets the same spans again', async () => {
    await using collector = startOtlpReceiver();
    collector.answer = () => new Response('', { status: 503, headers: { 'retry-after': '0' } });
    await using gateway = await start(collector, { OTEL_METRICS_EXPORTER: 'none' });
    await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model));
    await until(() => collector.requests() > 0);
    collector.answer = null;
    await until(() => collector.spans.length === 2);
  });

  test('that is not there costs nothing but its spans, and is told of once', async () => {
    const gone = startOtlpReceiver();
    await gone[Symbol.asyncDispose]();
    await using gateway = await start(gone, { OTEL_BSP_MAX_QUEUE_SIZE: '4', OTEL_METRICS_EXPORTER: 'none' });
    await gateway.addFake('llamacpp');
    for (let each = 0; each < 10; each++) expect((await gateway.post(CHAT, chat(model))).status).toBe(200);
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    const dropped = Number(/^flm_otel_spans_dropped_total (\d+)$/m.exec(text)?.[1]);
    expect(dropped).toBeGreaterThanOrEqual(16);
  });

  test.each([
    { OTEL_SDK_DISABLED: 'true' },
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://169.254.169.254' },
  ])('is sent nothing with %p', async (env) => {
    await using collector = startOtlpReceiver();
    const gateway = await start(collector, env);
    await gateway.addFake('llamacpp');
    await gateway.post(CHAT, chat(model));
    await gateway[Symbol.asyncDispose]();
    expect(collector.requests()).toBe(0);
  });
});
