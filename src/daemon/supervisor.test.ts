/** Who is started again, when, and who is not. */
import { describe, expect, test } from 'bun:test';
import { manualClock } from '../lib/clock';
import { silentLog } from '../lib/log';
import type { Message } from './model';
import { backoffMs, createSupervisor, type Served } from './supervisor';

/** How one life of the process that serves goes. */
interface Life {
  readonly says?: readonly Message[];
  readonly livesMs?: number;
  readonly code: number | null;
}

const READY: Message = { type: 'ready', result: 'up' };
const failed = (code: string, exit: number): Message => ({
  type: 'failed',
  error: { code, message: code, hint: null },
  exit,
});

async function supervise(lives: readonly Life[], adopt: Life | null = null) {
  const clock = manualClock();
  const reports: Message[] = [];
  const delays: number[] = [];
  const firsts: boolean[] = [];
  const live = (life: Life | undefined, take: (message: Message) => void): Served => {
    if (life === undefined) throw new Error('it was started once too often');
    for (const message of life.says ?? []) take(message);
    clock.advance(life.livesMs ?? 0);
    return { pid: 1, ended: Promise.resolve(life.code), signal() {} };
  };
  const left = [...lives];
  const supervisor = createSupervisor({
    launch(isFirst, take) {
      firsts.push(isFirst);
      return live(left.shift(), take);
    },
    adopt: adopt === null ? null : (take) => live(adopt, take),
    report: (message) => void reports.push(message),
    clock,
    log: silentLog,
    async delay(ms) {
      delays.push(ms);
    },
  });
  const exit = await supervisor.run();
  expect(left).toEqual([]);
  return { exit, reports, delays, firsts };
}

describe('the supervisor', () => {
  test('starts again who dies, later each time, and ends with who ends on purpose', async () => {
    const { exit, reports, delays, firsts } = await supervise([
      { says: [READY], code: null },
      { says: [READY], code: 2 },
      { code: 1 },
      { says: [READY, { type: 'bye' }], code: 0 },
    ]);
    expect(exit).toBe(0);
    expect(reports).toEqual([READY]); // nobody waits for the later ones
    expect(delays).toEqual([200, 400, 800]);
    expect(firsts).toEqual([true, false, false, false]);
  });

  test('forgets crashes after a minute of health', async () => {
    const { delays } = await supervise([
      { says: [READY], code: null },
      { says: [READY], livesMs: 60_000, code: null },
      { says: [READY], code: 0 },
    ]);
    expect(delays).toEqual([200, 200]);
  });

  test.each([
    ['said why', [failed('DB_KEY_MISSING', 3)], 3, 3],
    ['said why, and it may be mended', [failed('PROXY_PORT_IN_USE', 1)], 1, 1],
    ['died without a word', [], null, 2],
  ] as const)('does not start again who never served and %s', async (_, says, code, exit) => {
    const result = await supervise([{ says, code }]);
    expect([result.exit, result.reports]).toEqual([exit, [...says]]);
  });

  test('tries again when the program cannot even be started', async () => {
    let tries = 0;
    const supervisor = createSupervisor({
      launch(_, take) {
        tries++;
        if (tries === 2) throw new Error('ETXTBSY');
        take(READY);
        return { pid: 1, ended: Promise.resolve(tries === 3 ? 0 : null), signal() {} };
      },
      adopt: null,
      report() {},
      clock: manualClock(),
      log: silentLog,
      delay: async () => {},
    });
    expect([await supervisor.run(), tries]).toEqual([0, 3]);
  });

  test('gives up where a restart does not help', async () => {
    const crash = { says: [READY], code: null };
    expect((await supervise([crash, { says: [failed('DB_KEY_WRONG', 3)], code: 3 }])).exit).toBe(3);
    expect((await supervise([crash, { says: [failed('PROXY_ALREADY_RUNNING', 1)], code: 1 }])).exit).toBe(1);
  });

  test('looks after an adopted process, whose exit code nobody tells', async () => {
    const { exit, firsts } = await supervise([{ says: [READY], code: 0 }], { code: null });
    expect([exit, firsts]).toEqual([0, [false]]);
    expect((await supervise([], { says: [{ type: 'bye' }], code: null })).exit).toBe(0);
  });

  test('waits half a minute at most', () => {
    expect([1, 2, 8, 9, 10_000].map(backoffMs)).toEqual([200, 400, 25_600, 30_000, 30_000]);
  });
});

test('a signal is handed on, and nobody is started after it', async () => {
  const ended = Promise.withResolvers<number | null>();
  const signals: string[] = [];
  const supervisor = createSupervisor({
    launch: () => ({
      pid: 1,
      ended: ended.promise,
      signal(name) {
        signals.push(name);
        ended.resolve(null);
      },
    }),
    adopt: null,
    report() {},
    clock: manualClock(),
    log: silentLog,
    delay: async () => {},
  });
  const exit = supervisor.run();
  supervisor.signal('SIGTERM');
  expect([await exit, signals]).toEqual([0, ['SIGTERM']]);
});
