/** Watching engines: each on its own time, none held up by another, and only changes are told. */
import { afterEach, beforeEach, describe, expect, jest, test } from 'bun:test';
import type { EngineState, Event } from '../contract';
import { createBus } from '../lib/bus';
import { type ManualClock, manualClock } from '../lib/clock';
import { silentLog } from '../lib/log';
import type { Look } from './examine';
import type { Known, Roster } from './roster';
import { createWatch, type Watch } from './watch';

let clock: ManualClock;
let watch: Watch;
let known: Known[];
let looks: { readonly id: string; readonly atMs: number }[];
let searches: number;
let changes: (readonly EngineState[])[];
let events: Event[];
let answers: Map<string, () => Promise<Look>>;
let random: () => number;

function engine(id: string, baseUrl = 'http://127.0.0.1:1'): Known {
  return {
    ref: { id, kind: 'openai', baseUrl, origin: 'manual' },
    target: { baseUrl, credential: null },
    slots: null,
  };
}

function look({ ref }: Known, found: Look['found'], latencyMs = 5): Look {
  return { ref, found, reason: null, version: null, latencyMs, slots: null, routes: [], models: [] };
}

beforeEach(() => {
  jest.useFakeTimers();
  clock = manualClock();
  [known, looks, changes, events, searches] = [[], [], [], [], 0];
  answers = new Map();
  random = () => 0.5;
  const bus = createBus();
  bus.subscribe('engine.changed', (event) => events.push(event));
  bus.subscribe('engine.removed', (event) => events.push(event));
  watch = createWatch({
    roster: { all: () => known, update() {}, forgetGone() {}, seen() {} } as unknown as Roster,
    async search() {
      searches++;
    },
    examine(each) {
      looks.push({ id: each.ref.id, atMs: clock.monotonicMs() });
      return answers.get(each.ref.id)?.() ?? Promise.resolve(look(each, 'running'));
    },
    limits: () => ({ latencyThresholdMs: 1_500, maxFailures: 3 }),
    everyMs: () => 5_000,
    clock,
    random: () => random(),
    bus,
    log: silentLog,
    onLook() {},
    onChange: (states) => changes.push(states),
  });
});
afterEach(() => {
  watch.stop();
  jest.useRealTimers();
});

const times = (id: string) => looks.filter((each) => each.id === id).map(({ atMs }) => atMs);

/** Lets everything that waits for nothing but promises happen. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

/** Lets time pass for the clock and for timers alike. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    clock.advance(1_000);
    jest.advanceTimersByTime(1_000);
    await settled();
  }
}

describe('watch', () => {
  test('looks at a running engine every five seconds, and tells nothing while nothing changes', async () => {
    known = [engine('a')];
    watch.start();
    await settled();
    await pass(11);
    expect(times('a').map((ms) => Math.round((ms - (times('a')[0] ?? 0)) / 1_000))).toEqual([0, 5, 10]);
    expect([changes.length, searches]).toEqual([1, 3]);
  });

  test('looks less often at one that is gone: within ten seconds on this machine, within a minute elsewhere', async () => {
    known = [engine('here'), engine('there', 'http://10.0.0.7:1')];
    for (const each of known) answers.set(each.ref.id, async () => look(each, 'gone'));
    random = () => 1;
    for (let failures = 0; failures < 8; failures++) await watch.refresh(0);
    looks = [];
    watch.start();
    await settled();
    looks = [];
    await pass(9);
    expect(times('here').length).toBeGreaterThanOrEqual(1);
    expect(times('there')).toEqual([]);
  });

  test('is not held up by an engine that hangs', async () => {
    known = [engine('slow'), engine('quick')];
    const hang = Promise.withResolvers<Look>();
    watch.start();
    await settled();
    answers.set('slow', () => hang.promise);
    await pass(11);
    expect(times('slow')).toHaveLength(2);
    expect(times('quick')).toHaveLength(3);
    hang.resolve(look(known[0] ?? engine('slow'), 'running'));
  });

  test('looks at once where a request went wrong, and once for many of them', async () => {
    known = [engine('a'), engine('b')];
    await watch.refresh(0);
    answers.set('a', async () => look(engine('a'), 'gone'));
    looks = [];
    for (let i = 0; i < 50; i++) watch.suspect(known[0] ?? engine('a'));
    await settled();
    expect(watch.states()[0]?.status).toBe('error-network');
    expect(times('a')).toHaveLength(1);
    expect(times('b')).toEqual([]);
  });

  test('tells which engines changed and which are gone from the list', async () => {
    known = [engine('a'), engine('b')];
    await watch.refresh(0);
    known = [engine('b')];
    answers.set('b', async () => look(engine('b'), 'running', 2_000));
    await watch.refresh(0);
    await settled();
    expect(
      events.map((event) => [
        event.name,
        'engineId' in event && event.engineId,
        'status' in event && event.status,
      ]),
    ).toEqual([
      ['engine.changed', 'a', 'running-healthy'],
      ['engine.changed', 'b', 'running-healthy'],
      ['engine.changed', 'b', 'running-degraded'],
      ['engine.removed', 'a', false],
    ]);
  });

  test('calls at the same time share one look', async () => {
    known = [engine('a')];
    await Promise.all(Array.from({ length: 20 }, () => watch.refresh(0)));
    expect(looks).toHaveLength(1);
  });
});
