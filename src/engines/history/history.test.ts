/** The health history: what becomes a row, what rows add up to, and what is dropped (FLM-047). */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type Databases, openDatabases } from '../../../db';
import { type TestDir, testDir } from '../../../test/support/data-dir';
import { errorOf } from '../../../test/support/thrown';
import type { EngineKind, EngineRef, EngineState, EngineStatus, LeaseOutcome } from '../../contract';
import { type ManualClock, manualClock } from '../../lib/clock';
import type { HealthQuery } from '../model';
import { createHistory, type History } from '.';
import { createHistoryStore } from './store';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let data: TestDir;
let db: Databases;
let clock: ManualClock;
let history: History;
beforeEach(async () => {
  data = testDir();
  clock = manualClock();
  db = await openDatabases({ paths: data.paths, env: data.env, clock, lockWaitMs: 0 });
  history = createHistory({ store: createHistoryStore(db.config), clock, keepDays: () => 30 });
});
afterEach(() => {
  db.close();
  data[Symbol.dispose]();
});

function look(id: string, status: EngineStatus, latencyMs: number | null = 10): void {
  const ref = { id, kind: 'openai', baseUrl: 'http://127.0.0.1:1', origin: 'manual' } as const;
  const state: EngineState = {
    ref,
    status,
    latencyMs,
    reason: null,
    version: null,
    slots: null,
    consecutiveFailures: 0,
    routes: [],
    models: [],
  };
  history.looked(state);
}

function attempt(model: string, outcome: LeaseOutcome, firstTokenMs: number | null = null): void {
  const engine = { id: 'e', kind: 'openai', baseUrl: 'http://127.0.0.1:1', origin: 'manual' } as const;
  history.attempted({ engine, model }, outcome, { firstTokenMs, usage: null, status: 200 });
}

const ALL: HealthQuery = { engine: null, model: null, hours: 24, limit: 100 };
const known = (id: string, kind: EngineKind = 'openai'): EngineRef => ({
  id,
  kind,
  baseUrl: 'http://127.0.0.1:1',
  origin: 'manual',
});
const KNOWN = [known('e'), known('f'), known('gpu', 'vllm')];
const read = (query: Partial<HealthQuery>) => history.read({ ...ALL, ...query }, KNOWN);
const rows = async (query: Partial<HealthQuery> = {}) =>
  (await read(query)).items.map(
    (row) =>
      `${row.engine_id} ${row.model_id ?? '-'} ${row.status} ${row.latency_ms} ${row.error_rate} ${row.requests}`,
  );

describe('history', () => {
  test('has a row for a change at once, and one a minute without any', async () => {
    look('e', 'running-healthy');
    look('e', 'running-healthy');
    clock.advance(MINUTE_MS - 1);
    look('e', 'running-healthy');
    look('e', 'running-degraded');
    look('e', 'error-network', null);
    clock.advance(MINUTE_MS);
    look('e', 'error-network', null);
    expect(await rows()).toEqual([
      'e - unreachable null 1 0',
      'e - unreachable null 1 0',
      'e - degraded 10 0.1 0',
      'e - healthy 10 0 0',
    ]);
  });

  test('sums up the requests of each model, and leaves out those whose client left', async () => {
    for (let i = 0; i < 3; i++) attempt('a', 'done', 100 * (i + 1));
    attempt('a', 'failed');
    attempt('b', 'failed');
    for (let i = 0; i < 9; i++) attempt('b', 'aborted');
    attempt('c', 'aborted');
    expect(await rows()).toEqual(['e b unreachable null 1 1', 'e a degraded 200 0.25 4']);
    expect(await rows()).toHaveLength(2); // Reading again writes nothing twice.
  });

  test('finds by engine, model and time, newest first, so many as are asked for', async () => {
    look('e', 'running-healthy');
    look('f', 'running-healthy');
    attempt('a', 'done', 5);
    await history.flush();
    clock.advance(2 * 3_600_000);
    look('e', 'error-api', null);
    expect(await rows({ engine: 'f' })).toEqual(['f - healthy 10 0 0']);
    expect(await rows({ model: 'a' })).toEqual(['e a healthy 5 0 1']);
    expect(await rows({ hours: 1 })).toEqual(['e - unreachable null 1 0']);
    expect(await rows({ engine: 'e', limit: 1 })).toEqual(['e - unreachable null 1 0']);
  });

  test('of a kind is that of all its engines, those that are gone included', async () => {
    look('gpu', 'running-healthy');
    look('vllm-default', 'error-network', null);
    look('e', 'running-healthy');
    expect(await rows({ engine: 'vllm' })).toEqual([
      'vllm-default - unreachable null 1 0',
      'gpu - healthy 10 0 0',
    ]);
    expect(await rows({ engine: 'ollama' })).toEqual([]);
  });

  test('of an engine that is gone can be read, of one that never was it is refused', async () => {
    look('gone', 'running-healthy');
    await history.flush();
    clock.advance(2 * 3_600_000);
    expect(await rows({ engine: 'gone', hours: 1 })).toEqual([]);
    const error = await errorOf(() => read({ engine: 'nosuch' }));
    expect([error.code, error.meta.field]).toEqual(['INVALID_INPUT', 'engine']);
    expect(error.meta.reason).toStartWith('"nosuch" is neither an engine here, nor one of the past');
  });

  test('adds up everything that matches, also beyond the limit', async () => {
    for (const status of ['running-healthy', 'running-degraded', 'error-network', 'running-healthy'] as const)
      look('e', status, status === 'error-network' ? null : 20);
    const { items, summary } = await read({ limit: 1 });
    expect(items).toHaveLength(1);
    expect(summary).toEqual({
      total: 4,
      healthy: 2,
      degraded: 1,
      unreachable: 1,
      avg_latency_ms: 20,
      avg_error_rate: 1.1 / 4,
      success_rate: 0.5,
    });
    expect((await read({ engine: 'gpu' })).summary).toMatchObject({
      total: 0,
      avg_latency_ms: null,
      success_rate: null,
    });
  });

  test('drops what is older than the days to keep', async () => {
    look('e', 'running-healthy');
    await history.flush();
    clock.advance(30 * DAY_MS);
    await history.flush();
    expect(await rows({ hours: 24 * 365 })).toHaveLength(1);
    clock.advance(1);
    await history.flush();
    expect(await rows({ hours: 24 * 365 })).toEqual([]);
  });
});
