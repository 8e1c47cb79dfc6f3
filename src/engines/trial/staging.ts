/**
 * Working directories beside what is installed: each is named after the process at work in it, so that whoever
 * comes later can tell leftovers of a killed process from the work of a living one.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../contract';
import { newId } from '../../lib/ids';

const NAME = /^staging-(\d+)-/;

/** Work older than this is nobody's, even if a process has its number (again). */
const STALE_MS = 24 * 60 * 60 * 1000;

/** The directories this process works in: in a container each start has the same process number. */
const own = new Set<string>();

/** Runs `work` with a new, empty directory (0700) inside `dir`, and takes the directory away afterwards. */
export async function inStaging<T>(dir: string, work: (staging: string) => Promise<T>): Promise<T> {
  const name = `staging-${process.pid}-${newId()}`;
  const staging = join(dir, name);
  own.add(name);
  try {
    await mkdir(staging, { mode: 0o700 });
    return await work(staging);
  } finally {
    await removeTree(staging);
    own.delete(name);
  }
}

/** Takes away the working directories in `dir` that nobody works in any more. */
export async function sweepStaging(dir: string, clock: Clock): Promise<void> {
  for (const name of await readdir(dir)) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || own.has(name)) continue;
    const path = join(dir, name);
    const ageMs = clock.nowMs() - ((await stat(path).catch(() => null))?.mtimeMs ?? 0);
    const mayLive = Number(pid) !== process.pid && ageMs < STALE_MS && lives(Number(pid));
    if (!mayLive) await removeTree(path);
  }
}

/** Windows keeps a file busy for a moment after the process that used it has gone: rm tries again. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and is somebody else's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
