/** How busy the machine is, or the container that FLM runs in (FLM-115): read from /proc and /sys, where there are any. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Clock } from '../contract';

/** A part from 0 to 1; null where it cannot be told. */
export interface Reading {
  /** Of the time since the last reading. */
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly freeBytes: number | null;
}

export type ReadMachine = () => Reading;

/** Reads a file, or returns null. */
export type ReadFile = (path: string) => string | null;

const systemFile: ReadFile = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It is not there on this system, which is all there is to know.
    return null;
  }
};

interface Ticks {
  readonly busyMs: number;
  readonly totalMs: number;
}

/** Each call of the returned function tells of the time since the one before it. */
export function createMachine(clock: Clock, read: ReadFile = systemFile): ReadMachine {
  let last = ticksOf(read, clock);
  return () => {
    const now = ticksOf(read, clock);
    const totalMs = now.totalMs - last.totalMs;
    const cpu = totalMs <= 0 ? null : Math.min(1, Math.max(0, (now.busyMs - last.busyMs) / totalMs));
    last = now;
    return { cpu, ...memoryOf(read) };
  };
}

/** The container's quota when it has one, else all cores of the machine. */
function ticksOf(read: ReadFile, clock: Clock): Ticks {
  const quota = /^(\d+) (\d+)/.exec(read('/sys/fs/cgroup/cpu.max') ?? '');
  const usedUs = /^usage_usec (\d+)/m.exec(read('/sys/fs/cgroup/cpu.stat') ?? '')?.[1];
  if (quota !== null && usedUs !== undefined) {
    const cores = Number(quota[1]) / Number(quota[2]);
    return { busyMs: Number(usedUs) / 1_000, totalMs: clock.monotonicMs() * cores };
  }
  let [busyMs, totalMs] = [0, 0];
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.idle + times.irq;
    totalMs += all;
    busyMs += all - times.idle;
  }
  return { busyMs, totalMs };
}

/** Versions 2 and 1 of control groups: how much there may be, how much there is, and how much of that can be given back. */
const CGROUPS = [
  ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory.current', '/sys/fs/cgroup/memory.stat'],
  [
    '/sys/fs/cgroup/memory/memory.limit_in_bytes',
    '/sys/fs/cgroup/memory/memory.usage_in_bytes',
    '/sys/fs/cgroup/memory/memory.stat',
  ],
] as const;

function memoryOf(read: ReadFile): Pick<Reading, 'memory' | 'freeBytes'> {
  const info = read('/proc/meminfo') ?? '';
  const bytesOf = (name: string) => {
    const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(info)?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1_024;
  };
  const [total, available] = [bytesOf('MemTotal'), bytesOf('MemAvailable')];
  for (const [maxFile, usedFile, statFile] of CGROUPS) {
    const max = Number(read(maxFile) ?? Number.NaN);
    const used = Number(read(usedFile) ?? Number.NaN);
    // A limit above what the machine has is none.
    if (!(max > 0) || !(used >= 0) || (total !== null && max >= total)) continue;
    const stat = read(statFile) ?? '';
    // In version 1, that of all groups below it.
    const [, cacheText] =
      /^total_inactive_file (\d+)/m.exec(stat) ?? /^inactive_file (\d+)/m.exec(stat) ?? [];
    const cache = Number(cacheText ?? 0);
    const free = Math.max(0, max - Math.max(0, used - cache));
    return { memory: 1 - free / max, freeBytes: free };
  }
  if (total === null || available === null || total === 0) return { memory: null, freeBytes: null };
  return { memory: 1 - available / total, freeBytes: available };
}
