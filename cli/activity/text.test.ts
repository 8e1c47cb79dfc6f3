import { expect, test } from 'bun:test';
import type { ActivityVerdict } from '../../src/activity';
import { erasedText, statsText, verdictText } from './text';

const verdict = (number: number): ActivityVerdict => ({
  valid: true,
  days: number,
  rows: number,
  blocks: number,
  removed_days: Array.from({ length: number }, () => '2026-05-10'),
  anchored_rows: 0,
  unanchored_rows: number,
  fault: null,
});

test('speaks of one and of many', () => {
  expect(verdictText(verdict(1))).toBe(
    'The request log is as FLM wrote it: 1 row on 1 day.\n1 day was removed, on record.\n' +
      'The last row is not anchored yet: cut off, it would not be missed.',
  );
  expect(verdictText(verdict(2))).toBe(
    'The request log is as FLM wrote it: 2 rows on 2 days.\n2 days were removed, on record.\n' +
      'The last 2 rows are not anchored yet: cut off, they would not be missed.',
  );
  expect(erasedText({ places: 3, days: 1 })).toStartWith('Erased on 1 day.');
  expect(erasedText({ places: 3, days: 2 })).toStartWith('Erased on 2 days.');
});

test('says what refusals are', () => {
  const sums = { requests: 0, errors: 0, prompt_tokens: 0, completion_tokens: 0, p50_ms: null, p95_ms: null };
  const text = (refused: number) =>
    statsText({ by: 'model', since: null, until: null, items: [], total: sums, refused });
  expect(text(1)).toEndWith('1 request was refused before anybody was recognised: flm activity refusals');
  expect(text(2)).toEndWith('2 requests were refused before anybody was recognised: flm activity refusals');
});
