/** What the figures were seen on, and how much of it others used meanwhile. */
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';
import { readBusy } from './proc';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  kernel: string;
  /** Load average of the last minute before the benchmark. */
  load: number;
  /** The limit of open files per process; 1,000 streams through a proxy take over 2,000. */
  openFiles: string;
}

/** Describes this machine. */
export function describeMachine(): Machine {
  const all = cpus();
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return {
    cpu: all[0]?.model ?? 'unknown processor',
    cores: all.length,
    memoryGb: totalmem() / 1e9,
    kernel: `${type()} ${release()} ${arch()}`,
    load: loadavg()[0] ?? 0,
    openFiles: /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? 'unknown',
  };
}

/** Starts to watch the machine; the returned function says how many cores' worth of time others took since. */
export function watchOthers(): () => number {
  const startedMs = performance.now();
  const before = readBusy();
  return () => {
    const now = readBusy();
    const othersS = now.machineS - before.machineS - (now.ownS - before.ownS);
    return Math.max(0, othersS / ((performance.now() - startedMs) / 1000));
  };
}

/** The head of the report. */
export function headerOf(machine: Machine, versions: Record<string, string>, date: Date): string {
  const { cpu, cores, memoryGb, kernel, load, openFiles } = machine;
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `FLM benchmark, ${date.toISOString().slice(0, 16).replace('T', ' ')} UTC; median (min–max)`,
    `machine   ${cpu}, ${cores} cores, ${memoryGb.toFixed(1)} GB, ${kernel}, load ${load.toFixed(2)}, ${openFiles} open files`,
    `versions  ${named.join(' · ')}`,
  ].join('\n');
}
