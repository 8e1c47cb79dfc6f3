/** The health history as people see it. */
import { expect, test } from 'bun:test';
import type { HealthHistory } from '../../src/engines';
import { localTime } from '../time';
import { historyText } from './health-history';

const AT = '2026-11-23T12:00:00.000Z';
const look: HealthHistory['items'][number] = {
  id: 1,
  engine_id: 'llamacpp-default',
  model_id: null,
  status: 'unreachable',
  latency_ms: null,
  error_rate: 1,
  requests: 0,
  created_at: AT,
};
const asked = {
  ...look,
  model_id: 'hf.co/bartowski/Qwen2.5-Coder-32B-Instruct-GGUF:Q4_K_M',
  status: 'degraded' as const,
  latency_ms: 12_345,
  error_rate: 0.25,
  requests: 1_204,
};
const history: HealthHistory = {
  items: [asked, look],
  summary: {
    total: 3,
    healthy: 1,
    degraded: 1,
    unreachable: 1,
    avg_latency_ms: 77,
    avg_error_rate: 0.5,
    success_rate: 1 / 3,
  },
  next: null,
};

test('fits 80 columns, tells errors of requests alone, and counts rows as rows', () => {
  const text = historyText(history, null);
  expect(text).toBe(`TIME              ENGINE            STATUS       LATENCY   REQUESTS  ERRORS
${localTime(AT)}  llamacpp-default  degraded     12345 ms  1204      25 %
  hf.co/bartowski/Qwen2.5-Coder-32B-Instruct-GGUF:Q4_K_M
${localTime(AT)}  llamacpp-default  unreachable  -         -         -

Of 3 rows in that time: 1 healthy (33 %), 1 degraded, 1 unreachable.`);
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});

test('has an average only of one thing', () => {
  expect(historyText(history, 'm')).toEndWith('\nFirst token after 77 ms on average.');
});

test('is empty where nothing is known', () => {
  const summary = { ...history.summary, total: 0, success_rate: null };
  expect(historyText({ items: [], summary, next: null }, null)).toBe('Nothing is known of that time.');
});
