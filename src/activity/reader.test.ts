import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { factsOf, idAt } from '../../test/support/request-facts';
import { type LogFixture, logFixture } from '../../test/support/request-log';
import type { RequestFacts } from '../contract';
import { csvRow } from '../lib/csv';
import type { ActivityFilter } from './model';
import { EVERYTHING } from './query';
import type { Reader } from './reader';
import { startOf } from './row';

const DAY_MS = 86_400_000;
const START = startOf('2026-05-10') + 3_600_000;
const DAYS = 3;
const A_DAY = 400;

let log: LogFixture;
let reader: Reader;
const facts: RequestFacts[] = [];

beforeAll(async () => {
  log = await logFixture(START);
  const writer = log.start();
  for (let day = 0; day < DAYS; day++) {
    for (let i = 0; i < A_DAY; i++) {
      const n = day * A_DAY + i;
      const failed = n % 20 === 0;
      facts.push(
        factsOf(n, {
          atMs: START + day * DAY_MS + i * 1_000,
          requestId: idAt(START + day * DAY_MS + i * 1_000, n),
          durationMs: n % 100,
          ip: n % 4 === 0 ? '2001:db8::7' : '192.0.2.1',
          ...(failed
            ? { status: n % 40 === 0 ? 502 : 404, outcome: 'failed', errorCode: 'ENGINE_NETWORK_ERROR' }
            : {}),
          ...(n % 50 === 7 ? { outcome: 'aborted', errorCode: 'CLIENT_CLOSED_REQUEST', usage: null } : {}),
        }),
      );
    }
    for (let i = 0; i < A_DAY; i += 50) {
      log.write(writer, facts.slice(day * A_DAY + i, day * A_DAY + i + 50));
      log.clock.advance(50_000);
    }
    log.clock.advance(DAY_MS - A_DAY * 1_000);
  }
  writer.close();
  reader = log.reader();
});
afterAll(() => {
  reader.close();
  log[Symbol.dispose]();
});

function list(filter: Partial<ActivityFilter>, limit = 1_000): string[] {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page = reader.list({ filter: { ...EVERYTHING, ...filter }, page: { limit, cursor }, running: [] });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    ids.push(...page.items.map((item) => item.request_id));
    cursor = page.next;
  } while (cursor !== null);
  return ids;
}

const expected = (select: (request: RequestFacts) => boolean) =>
  facts
    .filter(select)
    .map((request) => request.requestId)
    .reverse();

describe('a list', () => {
  const since = START + DAY_MS + 60_000;
  const until = START + 2 * DAY_MS + 30_000;
  test.each<[string, Partial<ActivityFilter>, (request: RequestFacts) => boolean]>([
    ['everything', {}, () => true],
    ['key', { key: 'Key00003' }, ({ principalId }) => principalId === 'Key00003'],
    ['model', { model: 'model-5' }, ({ model }) => model === 'model-5'],
    ['engine', { engine: 'engine-2' }, ({ engineId }) => engineId === 'engine-2'],
    ['status', { status: '404' }, ({ status }) => status === 404],
    ['class of status', { status: '5xx' }, ({ status }) => status >= 500],
    ['status of most', { status: '200' }, ({ status }) => status === 200],
    ['outcome', { outcome: 'aborted' }, ({ outcome }) => outcome === 'aborted'],
    ['outcome of most', { outcome: 'done' }, ({ outcome }) => outcome === 'done'],
    ['client', { ip: '2001:db8:0::7' }, ({ ip }) => ip === '2001:db8::7'],
    ['time', { sinceMs: since, untilMs: until }, ({ atMs }) => atMs >= since && atMs <= until],
    [
      'key, model and engine',
      { key: 'Key00001', model: 'model-1', engine: 'engine-1' },
      ({ principalId, model, engineId }) =>
        principalId === 'Key00001' && model === 'model-1' && engineId === 'engine-1',
    ],
    [
      'key and status',
      { key: 'Key00004', status: '4xx' },
      ({ principalId, status }) => principalId === 'Key00004' && status === 404,
    ],
    [
      'client, outcome and time',
      { ip: '192.0.2.1', outcome: 'aborted', sinceMs: since },
      ({ ip, outcome, atMs }) => ip === '192.0.2.1' && outcome === 'aborted' && atMs >= since,
    ],
    ['what nothing has', { model: 'unheard-of' }, () => false],
  ])('by %s is newest first, in pages of any size', (_name, filter, select) => {
    const due = expected(select);
    expect(list(filter)).toEqual(due);
    expect(list(filter, 7)).toEqual(due);
  });

  test('by the id of a request finds the one', () => {
    for (const n of [0, 500, 1_199])
      expect(list({ requestId: facts[n]?.requestId ?? null })).toEqual([facts[n]?.requestId ?? '']);
    expect(list({ requestId: idAt(START + 5_000, 77_777) })).toEqual([]);
  });

  test.each([
    ['cursor', {}, 'yesterday'],
    ['status', { status: '4x' }, null],
    ['ip', { ip: '10.0.0' }, null],
    ['request_id', { requestId: 'abc' }, null],
  ])('refuses a %s that is none', (field, filter, cursor) => {
    const asked = () =>
      reader.list({ filter: { ...EVERYTHING, ...filter }, page: { limit: 1, cursor }, running: [] });
    expect(asked).toThrow(`${field}: `);
  });
});

test('stats add up by group, with percentiles', () => {
  const query = { key: null, model: null, engine: null, sinceMs: null, untilMs: null } as const;
  const { total, items } = reader.stats({ ...query, by: 'engine' });
  expect(total).toMatchObject({
    requests: facts.length,
    errors: facts.filter(({ status, outcome }) => status >= 400 || outcome === 'failed').length,
    completion_tokens: facts.reduce((sum, { usage }) => sum + (usage?.completionTokens ?? 0), 0),
    p50_ms: 49,
    p95_ms: 94,
  });
  expect(items.map((item) => [item.name, item.requests])).toEqual([
    ['engine-0', 400],
    ['engine-1', 400],
    ['engine-2', 400],
  ]);
  const byDay = reader.stats({ ...query, by: 'day', sinceMs: START + DAY_MS });
  expect(byDay.items.map((item) => [item.name, item.requests])).toEqual([
    ['2026-05-11', 400],
    ['2026-05-12', 400],
  ]);
  expect(reader.stats({ ...query, by: 'key', model: 'model-1' }).total.requests).toBe(
    facts.filter(({ model }) => model === 'model-1').length,
  );
});

describe('an export', () => {
  function whole(format: 'json' | 'csv'): string {
    let text = '';
    let cursor: string | null = null;
    do {
      const piece = reader.piece({ filter: EVERYTHING, format, cursor, running: [] });
      text += piece.text;
      cursor = piece.next;
    } while (cursor !== null);
    return text;
  }

  test('holds every request once, oldest first', () => {
    const lines = whole('json').trimEnd().split('\n');
    const ids = lines.map((line) => (JSON.parse(line) as { request_id: string }).request_id);
    expect(ids).toEqual(expected(() => true).reverse());
  });

  test('as CSV has a header and as many lines', () => {
    const lines = whole('csv').trimEnd().split('\r\n');
    expect(lines).toHaveLength(facts.length + 1);
    expect(lines[0]?.startsWith('time,request_id,client_ip,method,endpoint,api_key_id,model,')).toBe(true);
    expect(new Set(lines.map((line) => line.split(',').length))).toEqual(new Set([21]));
  });
});

test.each([
  ['=HYPERLINK("http://evil")', `"'=HYPERLINK(""http://evil"")"`],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\t=1', "'\t=1"],
  ['\n=1', '"\'\n=1"'],
  [' =1', "' =1"],
  ['＝1', "'＝1"],
  ['llama3, the second', '"llama3, the second"'],
  ['two\nlines', '"two\nlines"'],
  ['llama3.2:latest', 'llama3.2:latest'],
])('a spreadsheet takes %p for text', (cell, text) => {
  expect(csvRow([cell, -5, null, true])).toBe(`${text},-5,,true\r\n`);
});
