/**
 * Brings the trial engine onto this machine: into a working directory first, then by one rename to its final
 * name, so that what is there under that name is whole. Takes it away again, too. Does not start it.
 */
import { mkdir, readdir, rename, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../contract';
import { FlmError, reasonOf } from '../../lib/errors';
import type { Env } from '../../lib/paths';
import { runChild } from './child';
import { createProgressFilter, explainFailure, fullDisk, megabytes } from './installer-output';
import { findInstallers, type Installer, installerEnv } from './installers';
import { DISK_BYTES, PACKAGES, pinsDigest, requirementsFor } from './packages';
import { isInstalled, writeRecord } from './record';
import { inStaging, removeTree, sweepStaging } from './staging';

export interface InstallOptions {
  /** The trial directory: everything in it is this room's. */
  readonly dir: string;
  readonly env: Env;
  readonly clock: Clock;
  /** Takes one line for the person who waits. */
  progress(line: string): void;
  readonly signal?: AbortSignal | undefined;
}

const ENGINE_NAME = /^engine-[0-9a-f]{12}$/;

/** Enough of an installer's words to find the cause in: a lost network alone takes pip a dozen lines. */
const KEPT_LINES = 200;

/** Where the engine with today's pins is once it is installed, inside the trial directory. */
export function engineDir(dir: string): string {
  return join(dir, `engine-${pinsDigest()}`);
}

/**
 * Installs the engine from the pinned packages, unless it is there already. Several may do so at once.
 * @throws TRIAL_UNAVAILABLE with the cause when this machine cannot; the signal's reason when it aborts; IO_ERROR
 */
export async function installEngine(options: InstallOptions): Promise<void> {
  const { dir, env, clock, progress, signal } = options;
  signal?.throwIfAborted();
  await onDisk(dir, async () => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await sweepStaging(dir, clock);
    if (isInstalled(engineDir(dir))) return;
    await inStaging(dir, async (staging) => {
      const installers = await findInstallers({ env, cwd: staging, signal });
      await requireSpace(dir);
      announce(installers[0], progress);
      const target = join(staging, 'engine');
      const installer = await installWithAny(installers, target, staging, options);
      await requireLoadable(installer, target, staging, options);
      await writeRecord(target, { python: installer.python, installedAtMs: clock.nowMs() });
      await publish(target, engineDir(dir), staging);
    });
    await removeEngines(dir, engineDir(dir));
    progress(`Installed in ${engineDir(dir)}`);
  });
}

/**
 * Takes the installed engine away; nothing of it may run any more. Does nothing where there is none.
 * @throws IO_ERROR
 */
export async function removeEngine(dir: string, clock: Clock): Promise<void> {
  await onDisk(dir, async () => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await removeEngines(dir, null);
    await sweepStaging(dir, clock);
  });
}

/** Removes every engine in `dir` but `kept`: those of earlier pins. */
async function removeEngines(dir: string, kept: string | null): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!ENGINE_NAME.test(name) || join(dir, name) === kept) continue;
    // Renamed first: half an engine must never be found under a final name.
    await inStaging(dir, (staging) => rename(join(dir, name), join(staging, name)));
  }
}

function announce(installer: Installer, progress: (line: string) => void): void {
  progress(`Installing a trial engine with ${installer.name}:`);
  for (const { name, version, holds, licence, wheels } of PACKAGES) {
    const size = megabytes(wheels[installer.system].bytes);
    progress(`  ${name} ${version}, ${size}: ${holds} (licence: ${licence})`);
  }
}

/** Lets one installer after the other try: uv does not read the package index that pip is configured for. */
async function installWithAny(
  installers: readonly Installer[],
  target: string,
  staging: string,
  { env, progress, signal }: InstallOptions,
): Promise<Installer> {
  // By its name alone, since they run beside it: pip repeats it in every other line.
  const requirements = 'requirements.txt';
  let failure: string | null = null;
  for (const installer of installers) {
    if (failure !== null) progress(`That did not work: ${failure}. Trying ${installer.name}.`);
    await removeTree(target);
    await writeFile(join(staging, requirements), requirementsFor(installer.system));
    const lines: string[] = [];
    const worthShowing = createProgressFilter();
    const code = await runChild(installer.command(target, requirements), {
      cwd: staging,
      env: installerEnv(env, staging),
      signal,
      onLine: (line) => {
        if (lines.push(line) > KEPT_LINES) lines.shift();
        const shown = worthShowing(line);
        if (shown !== null) progress(shown);
      },
    });
    if (code === 0) return installer;
    failure = explainFailure(installer.name, lines);
  }
  throw unavailable(failure ?? 'there is no installer');
}

/** A wheel can fit by its name and still not load: an older processor, a missing system library. */
async function requireLoadable(
  { python }: Installer,
  target: string,
  cwd: string,
  { env, signal }: InstallOptions,
): Promise<void> {
  const load = 'import sys; sys.path.insert(0, sys.argv[1]); import xllamacpp';
  let last = '';
  const code = await runChild([python, '-I', '-S', '-c', load, target], {
    cwd,
    env,
    signal,
    onLine: (line) => {
      last = line.trim() || last;
    },
  });
  if (code === 0) return;
  const why = code === null ? 'its processor may be too old' : last.slice(0, 200);
  throw unavailable(`the engine does not load on this machine: ${why}`);
}

/** Gives the finished engine its final name. Who comes second leaves the first one's in place: they are equal. */
async function publish(target: string, final: string, staging: string): Promise<void> {
  try {
    await rename(target, final);
  } catch (error) {
    if (isInstalled(final)) return;
    // Something without a record has the name: what a broken disk or a curious person left.
    await rename(final, join(staging, 'broken')).catch(() => {
      throw error;
    });
    await rename(target, final);
  }
}

async function requireSpace(dir: string): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  if (bavail * bsize < DISK_BYTES) throw unavailable(fullDisk());
}

/** Runs `work`; what the file system refuses becomes an error that names the trial directory. */
async function onDisk(dir: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
    if (error.code === 'ENOSPC') throw unavailable(fullDisk(), error);
    throw new FlmError('IO_ERROR', { meta: { path: dir, reason: reasonOf(error) }, cause: error });
  }
}

function unavailable(reason: string, cause?: unknown): FlmError {
  return new FlmError('TRIAL_UNAVAILABLE', { meta: { reason }, cause });
}
