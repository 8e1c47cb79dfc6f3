/** The request log with its Worker, as the program has it. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daySeal } from '../../db/days';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { eventually } from '../../test/support/eventually';
import { factsOf } from '../../test/support/request-facts';
import { removalsOf, SEAL_KEY } from '../../test/support/request-log';
import { mountSmall } from '../../test/support/small-disk';
import type { ActivityAnchor, ActivityRecord, AuditEvent, RequestFacts } from '../contract';
import { createBus } from '../lib/bus';
import { systemClock } from '../lib/clock';
import { type Log, silentLog } from '../lib/log';
import { type Activity, createActivity, createOfflineActivity, EVERYTHING } from '.';
import { workerUrl } from './paths';

setDefaultTimeout(60_000);

const settings = { retentionDays: 30, maxBytes: 1e12, archive: false };
const page = { limit: 1_000, cursor: null };
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.reverse().splice(0)) await step();
});

interface Fixture {
  readonly data: TestDir;
  readonly activity: Activity;
  readonly workers: Worker[];
  readonly anchors: ActivityAnchor[];
  readonly events: AuditEvent[];
  readonly lines: string[];
  finish(facts: Partial<RequestFacts> & { readonly n: number }): void;
  open(n: number): void;
  refuse(ip: string): Promise<void>;
  ids(): Promise<string[]>;
}

function start(dir?: string): Fixture {
  const data = testDir();
  undo.push(() => data[Symbol.dispose]());
  const bus = createBus();
  const [anchors, events, lines]: [ActivityAnchor[], AuditEvent[], string[]] = [[], [], []];
  const workers: Worker[] = [];
  const record: ActivityRecord = {
    anchor: async (details) => void anchors.push(details),
    record: async (event) => void events.push(event),
    anchors: async () => anchors,
    removals: async () => removalsOf(events),
  };
  const say = (message: string) => void lines.push(message);
  const log: Log = { ...silentLog, warn: say, error: say, info: say };
  const activity = createActivity({
    dir: dir ?? data.paths.activityDir,
    seal: daySeal({ bytes: Buffer.from(SEAL_KEY), source: 'a test' }, data.paths.libDir),
    settings,
    record,
    bus,
    log,
    spawn() {
      const worker = new Worker(workerUrl());
      workers.push(worker);
      return worker;
    },
  });
  undo.push(activity.close);
  const live = (n: number, more: Partial<RequestFacts> = {}) =>
    factsOf(n, { atMs: systemClock.nowMs(), durationMs: 1, ...more });
  return {
    data,
    activity,
    workers,
    anchors,
    events,
    lines,
    finish: ({ n, ...more }) => bus.publish({ name: 'request.finished', request: live(n, more) }),
    open: (n) =>
      bus.publish({
        name: 'request.opened',
        request: live(n, { durationMs: 30_000, status: 0, usage: null }),
      }),
    async refuse(ip) {
      const request = live(9_000, { ip, principalId: null, status: 401, errorCode: 'INVALID_API_KEY' });
      const { requestId, path } = request;
      bus.publish({ name: 'auth.refused', requestId, ip, path, reason: 'invalid_or_revoked_api_key' });
      await Promise.resolve(); // The answer is given a turn later.
      bus.publish({ name: 'request.finished', request });
      await Promise.resolve();
    },
    ids: async () => (await activity.list(EVERYTHING, page)).items.map((item) => item.request_id),
  };
}

const idsOf = (...numbers: number[]) => numbers.map((n) => factsOf(n).requestId);

describe('the request log', () => {
  test('holds what ended, newest first, as soon as it is asked', async () => {
    const { activity, finish, ids, anchors } = start();
    for (let n = 0; n < 3; n++) finish({ n });
    expect(await ids()).toEqual(idsOf(2, 1, 0));
    expect(activity.counters()).toMatchObject({ queued: 0, written: 3, dropped: 0, spoolBytes: 0 });
    expect((await activity.stats({ by: 'model', ...EVERYTHING })).total.requests).toBe(3);
    expect(await activity.verify()).toMatchObject({ valid: true, rows: 3 });
    await activity.close();
    expect(anchors).toMatchObject([{ block: 1, rows: 3 }]);
  });

  test('answers while rows come without end, in batches that wait for more', async () => {
    const { activity, finish } = start();
    let n = 0;
    while (n < 20) finish({ n: n++ });
    const coming = setInterval(() => {
      for (let i = 0; i < 20; i++) finish({ n: n++ });
    }, 1);
    try {
      for (let asked = 0; asked < 5; asked++)
        expect((await activity.list(EVERYTHING, { limit: 10, cursor: null })).items).toHaveLength(10);
    } finally {
      clearInterval(coming);
    }
    await activity.flush();
    expect(activity.counters()).toMatchObject({ written: n, queued: 0, dropped: 0 });
  });

  test('counts strangers with the reason, and leaves out what anybody may ask for', async () => {
    const { activity, finish, refuse, ids } = start();
    finish({ n: 1, principalId: null, path: '/health', status: 200 });
    for (let i = 0; i < 5; i++) await refuse('203.0.113.9');
    expect(await ids()).toEqual([]);
    await activity.erase({ ip: '198.51.100.1' }); // Counts are written before anything is erased.
    expect((await activity.refusals({ sinceMs: null, untilMs: null }, page)).items).toMatchObject([
      { source: '203.0.113.9', requests: 5, status: 401, reason: 'invalid_or_revoked_api_key' },
    ]);
  });

  test('tells a long request as running until it ends', async () => {
    const { activity, open, finish } = start();
    open(1);
    const outcomes = async () => (await activity.list(EVERYTHING, page)).items.map((item) => item.outcome);
    expect(await outcomes()).toEqual(['running']);
    finish({ n: 1 });
    expect(await outcomes()).toEqual(['done']);
  });

  test('goes on when its Worker breaks down, and loses nothing', async () => {
    const { activity, finish, ids, workers, lines } = start();
    finish({ n: 1 });
    await activity.flush();
    workers[0]?.terminate();
    for (let n = 2; n < 50; n++) finish({ n });
    await eventually(() => activity.counters().written === 49);
    expect(await ids()).toHaveLength(49);
    expect(lines).toEqual(['the Worker of the request log broke down; it is started again']);
    expect(await activity.verify()).toMatchObject({ valid: true, rows: 49 });
  });

  test('forgets an address also where it was read before', async () => {
    const { activity, finish, events } = start();
    finish({ n: 1, ip: '203.0.113.5' });
    const addresses = async () => (await activity.list(EVERYTHING, page)).items.map((item) => item.client_ip);
    expect(await addresses()).toEqual(['203.0.113.5']);
    expect(await activity.erase({ ip: '203.0.113.5' })).toEqual({ places: 1, days: 1 });
    expect(await addresses()).toEqual([null]);
    expect(events).toMatchObject([{ type: 'activity.erased', target: null }]);
    expect(JSON.stringify(events)).not.toContain('203.0.113');
    await expect(activity.erase({ ip: 'nobody' })).rejects.toThrow('ip: "nobody" is no address');
  });

  test('exports everything, piece by piece', async () => {
    const { activity, finish } = start();
    for (let n = 0; n < 4_500; n++) {
      finish({ n });
      if (n % 1_000 === 0) await activity.flush(); // The bus holds 4,096 events for one turn.
    }
    let [pieces, text] = [0, ''];
    for await (const piece of activity.export(EVERYTHING, 'json')) {
      pieces++;
      text += piece;
    }
    expect(pieces).toBe(3);
    expect(new Set(text.trimEnd().split('\n')).size).toBe(4_500);
  });

  test('an export is on record, without the address it was for', async () => {
    const { activity, finish, events } = start();
    finish({ n: 1 });
    const wanted = { ...EVERYTHING, ip: '127.0.0.1', model: 'm' };
    for await (const piece of activity.export(wanted, 'csv')) expect(piece).not.toBe('');
    expect(events.filter(({ type }) => type === 'activity.exported').map(({ details }) => details)).toEqual([
      { format: 'csv', model: 'm', by_ip: true },
    ]);
  });

  test('removes a day once that is on record, and verify believes it', async () => {
    const { activity, finish, events } = start();
    const atMs = systemClock.nowMs() - 3 * 86_400_000;
    finish({ n: 1, atMs });
    finish({ n: 2 });
    await activity.flush();
    activity.configure({ ...settings, retentionDays: 1 });
    // What looks at it first may do so while the day goes away.
    await eventually(async () => {
      const { valid, removed_days: removed } = await activity.verify();
      expect(valid).toBe(true);
      return removed.length === 1;
    });
    expect(events).toMatchObject([{ type: 'activity.removed', details: { first_block: 1, last_block: 1 } }]);
  });

  test('is read without a Worker while nobody serves', async () => {
    const { activity, finish, data } = start();
    finish({ n: 1 });
    await activity.close();
    const offline = createOfflineActivity({
      dir: data.paths.activityDir,
      seal: daySeal({ bytes: Buffer.from(SEAL_KEY), source: 'a test' }, data.paths.libDir),
      settings,
      record: {
        anchor: async () => {},
        record: async () => {},
        anchors: async () => [],
        removals: async () => [],
      },
      clock: systemClock,
      log: silentLog,
    });
    expect((await offline.list(EVERYTHING, page)).items).toHaveLength(1);
    expect(await offline.verify()).toMatchObject({ valid: true, unanchored_rows: 0 });
  });
});

const disk = mountSmall(4 * 1024 * 1024);
describe.skipIf(disk === null)('on a full disk', () => {
  test('rows wait in memory, it is said once, and they are written when there is room', async () => {
    if (disk === null) return;
    undo.push(() => disk.unmount());
    const dir = join(disk.dir, 'activity');
    mkdirSync(dir, { mode: 0o700 });
    const { activity, finish, ids, lines } = start(dir);
    finish({ n: 0 });
    await activity.flush();
    const filler = join(disk.dir, 'filler');
    expect(() => writeFileSync(filler, Buffer.alloc(8 * 1024 * 1024))).toThrow('ENOSPC');
    for (let n = 1; n <= 2_000; n++) finish({ n });
    await eventually(() => lines.length > 0);
    await activity.flush(); // Does not wait for what cannot be.
    expect(lines).toEqual(['the request log cannot be written; rows wait in memory']);
    expect(activity.counters()).toMatchObject({ queued: 2_000, dropped: 0, isStuck: true });
    rmSync(filler);
    await eventually(() => activity.counters().queued === 0);
    expect(lines.slice(1)).toEqual(['the request log can be written again']);
    expect(activity.counters()).toMatchObject({ written: 2_001, dropped: 0, spoolBytes: 0, isStuck: false });
    expect((await activity.list(EVERYTHING, page)).items).toHaveLength(1_000);
    expect(await activity.verify()).toMatchObject({ valid: true, rows: 2_001 });
    expect(await ids()).toHaveLength(1_000);
  });
});
