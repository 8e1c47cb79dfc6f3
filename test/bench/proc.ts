/** What Linux says about processes: their tree, processor time and memory, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** The kernel reports times in USER_HZ, which is 100 on every machine Bun runs on. */
const TICKS_PER_SECOND = 100;

/** Where utime stands after the command name; stime and the two of reaped children follow. */
const UTIME = 11;
/** The kernel's kB are 1,024 bytes. */
const BYTES_PER_KB = 1024;

/** `pid` and all its descendants, so that supervisors, workers and re-executed children are counted. */
export function processTree(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const id = Number(name);
    const fields = Number.isInteger(id) ? findStatFields(id) : null;
    if (fields !== null) parents.set(id, Number(fields[1]));
  }
  const tree = [pid];
  for (const member of tree) for (const [id, parent] of parents) if (parent === member) tree.push(id);
  return tree;
}

/** Whether the process runs; one that has ended but was not reaped (a zombie) does not. */
export function isAlive(pid: number): boolean {
  const fields = findStatFields(pid);
  return fields !== null && fields[0] !== 'Z' && fields[0] !== 'X';
}

/** User plus system time of the processes in seconds; one that has ended counts as 0. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = findStatFields(pid);
    ticks += Number(fields?.[UTIME] ?? 0) + Number(fields?.[UTIME + 1] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Resident memory of the processes in bytes (shared pages count in each); one that has ended counts as 0. */
export function residentBytes(pids: readonly number[]): number {
  let kb = 0;
  for (const pid of pids) {
    // status is an estimate since Linux 6.2 (per-CPU counters); smaps_rollup walks the pages.
    const text = findText(`/proc/${pid}/smaps_rollup`) ?? findText(`/proc/${pid}/status`) ?? '';
    kb += Number(/^(?:Rss|VmRSS):\s+(\d+)/m.exec(text)?.[1] ?? 0);
  }
  return kb * BYTES_PER_KB;
}

/**
 * Processor time that processes of the whole machine took, and what this one with all its children (past and
 * present) took, in seconds. Interrupts are left out: the kernel charges them to no process. Time stolen by the
 * host of a virtual machine counts as the machine's.
 */
export function readBusy(): { machineS: number; ownS: number } {
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = (findText('/proc/stat') ?? '')
    .split('\n', 1)
    .flatMap((line) => line.split(/\s+/).slice(1).map(Number));
  let ownTicks = 0;
  for (const pid of processTree(process.pid)) {
    const fields = findStatFields(pid) ?? [];
    for (const field of fields.slice(UTIME, UTIME + 4)) ownTicks += Number(field);
  }
  const machineTicks = user + nice + system + steal;
  return { machineS: machineTicks / TICKS_PER_SECOND, ownS: ownTicks / TICKS_PER_SECOND };
}

/** The fields of /proc/<pid>/stat after the command name: state, ppid, … (proc(5)). */
function findStatFields(pid: number): string[] | null {
  const text = findText(`/proc/${pid}/stat`);
  // The command name may hold spaces and parentheses; the last one closes it.
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Reads a /proc file, or null: processes end at any time. */
function findText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
