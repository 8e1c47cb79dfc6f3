/** Looks at the machine's processes (Linux): what they were started with, and whether any was left behind. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Process {
  readonly pid: number;
  /** Arguments, joined by spaces. */
  readonly command: string;
  /** `NAME=value`, as it was started. */
  readonly environment: readonly string[];
}

/** Every process this user may look at. Empty where there is no /proc. */
export function processes(): Process[] {
  return pids().flatMap((pid) => {
    const [command, environment] = [read(pid, 'cmdline'), read(pid, 'environ')];
    // A zombie has neither, and is gone but for its number.
    if (command === null || environment === null || command === '') return [];
    return [{ pid, command: command.split('\0').join(' ').trim(), environment: environment.split('\0') }];
  });
}

/** The processes that have `text` in their arguments or environment, but for this one. */
export function processesWith(text: string): Process[] {
  return processes().filter(
    ({ pid, command, environment }) =>
      pid !== process.pid && (command.includes(text) || environment.some((entry) => entry.includes(text))),
  );
}

/** The processes whose current directory it is. For those that write a title over their arguments and environment. */
export function pidsIn(directory: string): number[] {
  return pids().filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === directory;
    } catch {
      return false; // It has ended meanwhile, or is somebody else's.
    }
  });
}

function pids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return []; // Not Linux.
  }
}

function read(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return null; // It has ended meanwhile, or is somebody else's.
  }
}
