/** Keeping the engine running, with made-up processes and a clock that moves when told to. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { type ManualClock, manualClock } from '../../lib/clock';
import { FlmError } from '../../lib/errors';
import { silentLog } from '../../lib/log';
import type { EngineProcess } from './process';
import { createSupervisor, type Supervisor, type SupervisorState } from './supervisor';

interface FakeEngine extends EngineProcess {
  die(why: string): void;
  readonly stops: number;
}

let clock: ManualClock;
let launched: FakeEngine[];
let ports: (number | null)[];
let delays: number[];
let states: SupervisorState[];
/** What the next launches do instead of succeeding. */
let troubles: ((signal: AbortSignal) => Promise<never>)[];
/** Ends the delay that is being waited for. */
let endDelay: () => void;
let supervisor: Supervisor;

function fakeEngine(pid: number): FakeEngine {
  const ended = Promise.withResolvers<string>();
  const engine = {
    pid,
    port: 4000,
    ended: ended.promise,
    stops: 0,
    die: (why: string) => ended.resolve(why),
    async stop() {
      engine.stops++;
      ended.resolve('it was stopped');
    },
  };
  return engine;
}

beforeEach(() => {
  clock = manualClock();
  launched = [];
  ports = [];
  delays = [];
  states = [];
  troubles = [];
  endDelay = () => {};
  supervisor = createSupervisor({
    clock,
    log: silentLog,
    onChange: () => states.push(supervisor.state()),
    async launch(port, signal) {
      ports.push(port);
      const trouble = troubles.shift();
      if (trouble) return trouble(signal);
      const engine = fakeEngine(100 + launched.length);
      launched.push(engine);
      return engine;
    },
    delay(ms, signal) {
      delays.push(ms);
      const waited = Promise.withResolvers<void>();
      endDelay = waited.resolve;
      signal.addEventListener('abort', () => waited.resolve());
      return waited.promise;
    },
  });
});

const failing = (reason: string) => async (): Promise<never> => {
  throw new FlmError('TRIAL_FAILED', { meta: { reason } });
};

/** Lets everything happen that waits for nothing but its turn. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

async function dieAndRestart(lifeMs: number): Promise<void> {
  clock.advance(lifeMs);
  launched.at(-1)?.die('it was ended by SIGKILL');
  await settle();
  endDelay();
  await settle();
}

describe('the supervisor of the trial engine', () => {
  test('starts once, however often it is asked', async () => {
    expect(await Promise.all([supervisor.start(), supervisor.start()])).toEqual([4000, 4000]);
    expect(await supervisor.start()).toBe(4000);
    expect(launched).toHaveLength(1);
    expect(supervisor.state()).toEqual({ running: true, pid: 100, port: 4000, restarts: 0, error: null });
    expect(states).toHaveLength(1);
  });

  test('starts it again on the same port when it dies unasked, and tells each time', async () => {
    await supervisor.start();
    launched[0]?.die('it was ended by SIGKILL');
    await settle();
    expect(supervisor.state()).toEqual({
      running: false,
      pid: null,
      port: null,
      restarts: 0,
      error: 'it was ended by SIGKILL',
    });
    endDelay();
    await settle();
    expect(supervisor.state()).toEqual({ running: true, pid: 101, port: 4000, restarts: 1, error: null });
    expect(ports).toEqual([null, 4000]);
    expect(states.map(({ running }) => running)).toEqual([true, false, true]);
  });

  test('waits 0.5 s, doubling to 30 s, and begins anew after a minute of life', async () => {
    await supervisor.start();
    for (let i = 0; i < 8; i++) await dieAndRestart(59_999);
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    await dieAndRestart(60_000);
    await dieAndRestart(0);
    expect(delays.slice(8)).toEqual([500, 1000]);
    expect(supervisor.state().restarts).toBe(10);
  });

  test('tries again, later each time, when it does not start again', async () => {
    await supervisor.start();
    troubles.push(failing('no memory'), failing('no memory'));
    await dieAndRestart(0);
    expect(supervisor.state()).toMatchObject({ running: false, error: 'no memory', restarts: 1 });
    await expect(supervisor.start()).rejects.toMatchObject({ meta: { reason: 'no memory' } });
    endDelay();
    await settle();
    endDelay();
    await settle();
    expect(delays).toEqual([500, 1000, 2000]);
    expect(supervisor.state()).toMatchObject({ running: true, error: null, restarts: 3 });
  });

  test('does not try a first start again, but start() does', async () => {
    troubles.push(failing('the model is gone'));
    await expect(supervisor.start()).rejects.toMatchObject({ code: 'TRIAL_FAILED' });
    expect(supervisor.state()).toMatchObject({ running: false, error: 'the model is gone' });
    expect(delays).toEqual([]);
    expect(await supervisor.start()).toBe(4000);
  });

  test('stop() ends it once and for all', async () => {
    await supervisor.start();
    await Promise.all([supervisor.stop(), supervisor.stop()]);
    await supervisor.stop();
    expect(launched[0]?.stops).toBe(1);
    expect(supervisor.state()).toEqual({ running: false, pid: null, port: null, restarts: 0, error: null });
    expect(delays).toEqual([]);
    expect(states.map(({ running }) => running)).toEqual([true, false]);
  });

  test('stop() while it starts ends the start', async () => {
    troubles.push(
      (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () =>
            reject(new FlmError('TRIAL_FAILED', { meta: { reason: 'it was stopped' } })),
          );
        }),
    );
    const starting = supervisor.start().catch((caught: unknown) => caught);
    await supervisor.stop();
    expect(await starting).toMatchObject({ code: 'TRIAL_FAILED', meta: { reason: 'it was stopped' } });
    expect(supervisor.state()).toMatchObject({ running: false, error: null });
    expect(launched).toEqual([]);
  });

  test('stop() while it waits to start again leaves it stopped', async () => {
    await supervisor.start();
    launched[0]?.die('it was ended by SIGSEGV');
    await settle();
    await supervisor.stop();
    expect(launched).toHaveLength(1);
    expect(supervisor.state()).toEqual({ running: false, pid: null, port: null, restarts: 0, error: null });
  });

  test('start() after stop() starts afresh, also when it comes before stop() is done', async () => {
    await supervisor.start();
    const stopped = supervisor.stop();
    expect(await supervisor.start()).toBe(4000);
    await stopped;
    expect(launched).toHaveLength(2);
    expect(supervisor.state()).toMatchObject({ running: true, pid: 101 });
  });
});
