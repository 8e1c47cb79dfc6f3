import { expect, test } from 'bun:test';
import type { RequestFacts } from '../contract';
import { createBus } from '../lib/bus';
import { maskIp } from '../lib/ip';
import { logRequests, requestLine } from './request-log';

export const FACTS: RequestFacts = {
  requestId: '01a20a87-f0c8-75c6-85fd-0ef2d2c7b5b4',
  atMs: 1_760_000_000_123,
  ip: '192.0.2.77',
  method: 'POST',
  path: '/v1/chat/completions',
  principalId: 'Ab12Cd34',
  certificate: null,
  model: 'fast',
  engineId: 'vllm',
  engineModel: 'smollm2',
  attempts: 1,
  isStream: true,
  outcome: 'done',
  status: 200,
  errorCode: null,
  waitedMs: 0.004,
  firstByteMs: 12.3456,
  firstTokenMs: 11,
  durationMs: 250.5,
  usage: { promptTokens: 12, completionTokens: 34, cachedTokens: null, reasoningTokens: null },
  trace: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentSpanId: null, isSampled: false },
};

test('a line says what FLM-118 asks for, and no more', () => {
  expect(requestLine(FACTS, false)).toEqual({
    timestamp: '2025-10-09T08:53:20.123Z',
    request_id: FACTS.requestId,
    trace_id: 'a'.repeat(32),
    client_ip: '192.0.2.***',
    api_key_id: 'Ab12Cd34',
    method: 'POST',
    endpoint: '/v1/chat/completions',
    model: 'fast',
    engine_id: 'vllm',
    engine_model: 'smollm2',
    attempts: 1,
    stream: true,
    status: 200,
    outcome: 'done',
    error_type: null,
    latency_ms: 250.5,
    first_byte_ms: 12.35,
    first_token_ms: 11,
    queue_ms: 0,
    input_tokens: 12,
    output_tokens: 34,
  });
});

test('a key that stands where a model or a path belongs is not in it', () => {
  const key = `flm_abcdefgh${'S'.repeat(38)}`;
  const line = JSON.stringify(requestLine({ ...FACTS, model: key, path: `/v1/models/${key}` }, false));
  expect(line).not.toContain('SSSS');
});

test.each([
  ['192.0.2.77', '192.0.2.***'],
  ['::ffff:192.0.2.77', '192.0.2.***'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:***'],
  ['::1', '0:0:0:0:***'],
  ['unknown', '***'],
  ['', '***'],
])('the address %p is masked as %p', (ip, masked) => {
  expect(maskIp(ip)).toBe(masked);
});

test('lines go where the owner wants them at that moment', async () => {
  const bus = createBus();
  const lines: string[] = [];
  let lost = 0;
  let destination: 'off' | 'stdout' | 'file' = 'off';
  const stop = logRequests({
    bus,
    destination: () => destination,
    fullIps: () => true,
    toFile: (line) => lines.push(`file ${line}`),
    toStdout: (line) => lines.push(`stdout ${line}`) < 2,
    onLost: () => lost++,
  });
  for (const each of ['off', 'stdout', 'file', 'stdout'] as const) {
    destination = each;
    bus.publish({ name: 'request.finished', request: FACTS });
    await Promise.resolve();
  }
  stop();
  expect(lines.map((line) => line.split(' ', 1)[0])).toEqual(['stdout', 'file', 'stdout']);
  expect(lost).toBe(1);
  expect(lines.every((line) => line.includes('"192.0.2.77"') && line.endsWith('}\n'))).toBe(true);
});
