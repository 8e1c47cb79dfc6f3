/** Resource protection: begins and ends with two readings, and does not take the work of engines for an attack. */
import { describe, expect, test } from 'bun:test';
import { manualClock } from '../lib/clock';
import { createMachine, type Reading } from './machine';
import { createWatch } from './resources';
import { rulesOf } from './rules';

const GIB = 2 ** 30;
const rulesWith = (cpu?: number, memory?: number) =>
  rulesOf(
    {
      version: 1,
      document: {
        resource_protection: {
          enabled: true,
          ...(cpu === undefined ? {} : { cpu_threshold: cpu }),
          ...(memory === undefined ? {} : { memory_threshold: memory }),
        },
      },
    },
    false,
  ).resources;

const reading = (cpu: number, memory = 0.1, freeBytes = 8 * GIB): Reading => ({ cpu, memory, freeBytes });
const LATE = 500;

/** What is scarce after each reading. */
function course(readings: readonly (readonly [Reading, number])[], rules = rulesWith()) {
  const watch = createWatch();
  return readings.map(([each, lateMs]) => {
    watch.look(each, lateMs, rules);
    return watch.scarce;
  });
}

test('one reading over the limit is nothing, two are; and so for its end, well below the limit', () => {
  const busy = [reading(0.95), LATE] as const;
  const calm = [reading(0.5), 0] as const;
  const between = [reading(0.85), LATE] as const;
  expect(course([busy, calm, busy, busy, calm, between, calm, calm])).toEqual([
    null,
    null,
    null,
    'CPU',
    'CPU',
    'CPU',
    'CPU',
    null,
  ]);
});

test('the reference switched it off by a limit of 150 % [D]; here readings around the limit do not flap', () => {
  const swing = Array.from({ length: 40 }, (_, n) => [reading(n % 2 === 0 ? 0.91 : 0.89), LATE] as const);
  expect(new Set(course(swing))).toEqual(new Set([null]));
  const over = [reading(0.95), LATE] as const;
  expect(new Set(course([over, over, ...swing]).slice(1))).toEqual(new Set(['CPU']));
});

test('an engine may take all of the CPU, as long as FLM gets its turn', () => {
  const working = [reading(1), 5] as const;
  expect(course([working, working, working])).toEqual([null, null, null]);
});

test('a model may fill the memory, as long as some of it is left', () => {
  const full = [reading(0.1, 0.97, 4 * GIB), 0] as const;
  const fuller = [reading(0.1, 0.99, 0.2 * GIB), 0] as const;
  expect(course([full, full, fuller, fuller])).toEqual([null, null, null, 'memory']);
});

test('a limit that the owner has set below the default holds to the letter', () => {
  expect(
    course(
      [
        [reading(0.6), 0],
        [reading(0.6), 0],
      ],
      rulesWith(50),
    ),
  ).toEqual([null, 'CPU']);
  expect(
    course(
      [
        [reading(0, 0.6), 0],
        [reading(0, 0.6), 0],
      ],
      rulesWith(90, 50),
    ),
  ).toEqual([null, 'memory']);
});

test('switched off, it is over at once', () => {
  const watch = createWatch();
  for (let n = 0; n < 2; n++) watch.look(reading(0.99), LATE, rulesWith());
  expect(watch.look(reading(0.99), LATE, { ...rulesWith(), isOn: false })).toMatchObject({ state: 'enough' });
  expect(watch.scarce).toBeNull();
});

test('what cannot be told is not held against anybody', () => {
  const blind: Reading = { cpu: null, memory: null, freeBytes: null };
  expect(
    course(
      [
        [blind, LATE],
        [blind, LATE],
      ],
      rulesWith(1, 1),
    ),
  ).toEqual([null, null]);
});

describe('the machine', () => {
  const info = 'MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    4000000 kB\n';
  const files = (more: Record<string, string>) => (path: string) =>
    ({ '/proc/meminfo': info, ...more })[path] ?? null;

  test('is read as a whole where there are no limits', () => {
    expect(createMachine(manualClock(), files({}))()).toMatchObject({
      memory: 0.75,
      freeBytes: 4_096_000_000,
    });
  });

  test.each([
    [
      'version 2',
      {
        '/sys/fs/cgroup/memory.max': '1000000000\n',
        '/sys/fs/cgroup/memory.current': '900000000\n',
        '/sys/fs/cgroup/memory.stat': 'anon 1\ninactive_file 400000000\n',
      },
    ],
    [
      'version 1',
      {
        '/sys/fs/cgroup/memory/memory.limit_in_bytes': '1000000000\n',
        '/sys/fs/cgroup/memory/memory.usage_in_bytes': '900000000\n',
        '/sys/fs/cgroup/memory/memory.stat': 'inactive_file 1\ntotal_inactive_file 400000000\n',
      },
    ],
  ])('a control group of %s has memory of its own, of which caches can be given back', (_, more) => {
    const found = createMachine(manualClock(), files(more))();
    expect(found.memory).toBeCloseTo(0.5, 5);
  });

  test('a limit of "max" is none', () => {
    const more = { '/sys/fs/cgroup/memory.max': 'max\n', '/sys/fs/cgroup/memory.current': '1\n' };
    expect(createMachine(manualClock(), files(more))().memory).toBe(0.75);
  });

  test('a quota of CPU is what its busy part is of', () => {
    const clock = manualClock();
    let usedUs = 0;
    const read = (path: string) =>
      files({
        '/sys/fs/cgroup/cpu.max': '50000 100000\n',
        '/sys/fs/cgroup/cpu.stat': `usage_usec ${usedUs}\nuser_usec 1\n`,
      })(path);
    const look = createMachine(clock, read);
    clock.advance(10_000);
    usedUs = 4_500_000;
    // Half a core for ten seconds, of which nine tenths were used.
    expect(look().cpu).toBeCloseTo(0.9, 5);
  });

  test('is read here, too', () => {
    const { memory } = createMachine(manualClock())();
    if (process.platform === 'linux') expect(memory).toBeGreaterThan(0);
    else expect(memory).toBeNull();
  });
});
