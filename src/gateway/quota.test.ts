/** The headers that tell what is left of a key's limits, and the estimate of what a request takes of them. */
import { expect, test } from 'bun:test';
import { DIALECTS } from './dialects';
import { estimateTokens } from './estimate';
import { durationOf, showQuota } from './quota';

test.each([
  [0, '0s'],
  [120, '120ms'],
  [1_000, '1s'],
  [8_640, '8.64s'],
  [360_000, '6m0s'],
  [3_630_500, '1h0m30.5s'],
])('%i ms is written %s', (ms, text) => {
  expect(durationOf(ms)).toBe(text);
});

test('a limit that is not there has no header', () => {
  const headers = new Headers();
  const tokens = { perMinute: 10, burst: 10, remaining: 3, resetMs: 42_000 };
  showQuota(headers, { requests: null, tokens }, 0);
  expect([...headers]).toEqual([
    ['x-ratelimit-limit-tokens', '10'],
    ['x-ratelimit-remaining-tokens', '3'],
    ['x-ratelimit-reset-tokens', '42s'],
  ]);
});

test.each([
  ['/v1/chat/completions', { max_tokens: 50 }, 150],
  ['/v1/chat/completions', { max_completion_tokens: 70, max_tokens: 50 }, 170],
  ['/v1/chat/completions', {}, 1_100],
  // Engines obey one or the other, and some know no bound of 0.
  ['/v1/chat/completions', { max_completion_tokens: 1, max_tokens: 5_000 }, 5_100],
  ['/v1/chat/completions', { max_tokens: 0 }, 1_100],
  // What is no count is the engine's to refuse.
  ['/v1/chat/completions', { max_tokens: -1 }, 1_100],
  ['/v1/chat/completions', { max_tokens: 'many' }, 1_100],
  ['/v1/responses', { max_output_tokens: 5 }, 105],
  ['/v1/messages', { max_tokens: 5 }, 105],
  ['/v1/embeddings', {}, 100],
  ['/v1/messages/count_tokens', {}, 0],
] as const)('%s with %p and 400 bytes may take %i tokens', (route, members, tokens) => {
  expect(estimateTokens(400, members, DIALECTS[route])).toBe(tokens);
});
