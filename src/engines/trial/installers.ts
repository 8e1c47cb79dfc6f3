/** The programs that can install the trial engine here, uv and pip, and how each is called; install.ts runs them. */
import { FlmError } from '../../lib/errors';
import type { Env } from '../../lib/paths';
import { OLDEST_PYTHON, type System } from './packages';
import { type FindOptions, findProgram, findPythons, type Python } from './python';

export interface Installer {
  /** As people know it: `uv`, `pip 24.0`. */
  readonly name: string;
  /** The interpreter the engine will run on. */
  readonly python: string;
  readonly system: System;
  /** The command that installs what `requirements` lists into `target`. */
  command(target: string, requirements: string): readonly string[];
}

/** Wheels only, so that no package runs code while it is installed, and only those with the pinned hashes. */
const STRICTLY = ['--no-deps', '--only-binary', ':all:', '--require-hashes'];

/** The first pip that can report its progress to a program. */
const PIP_WITH_RAW_PROGRESS: readonly [major: number, minor: number] = [24, 1];

/**
 * The installers of this machine, the one to try first in front: uv, then a Python's own pip.
 * @returns at least one
 * @throws TRIAL_UNAVAILABLE when there is no suitable Python, or nothing that could install for it
 */
export async function findInstallers(options: FindOptions): Promise<readonly [Installer, ...Installer[]]> {
  const uv = findProgram('uv', options.env);
  const pythons: Python[] = [];
  const installers: Installer[] = [];
  for await (const python of findPythons(options)) {
    pythons.push(python);
    if (!isSuitable(python)) continue;
    if (uv !== null && installers.length === 0) installers.push(uvInstaller(uv, python));
    if (python.pip === null) continue;
    installers.push(pipInstaller(python, python.pip));
    break;
  }
  const [first, ...others] = installers;
  if (first) return [first, ...others];
  throw new FlmError('TRIAL_UNAVAILABLE', { meta: { reason: whyNone(pythons, options.env) } });
}

/** The first Python here that could run the installed engine, with or without pip; null when there is none. */
export async function findRunner(options: FindOptions): Promise<string | null> {
  for await (const python of findPythons(options)) if (isSuitable(python)) return python.executable;
  return null;
}

/** What an installer's environment has to say so that nobody's configuration sends the files elsewhere. */
export function installerEnv(env: Env, temporary: string): Env {
  return {
    ...env,
    // Beside the target: /tmp may be small, and from here files move by renaming.
    TMPDIR: temporary,
    TEMP: temporary,
    TMP: temporary,
    PIP_USER: '0',
    PIP_REQUIRE_VIRTUALENV: '0',
    PIP_NO_INPUT: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_ROOT_USER_ACTION: 'ignore',
    PYTHONUNBUFFERED: '1',
  };
}

interface SuitablePython extends Python {
  readonly system: System;
}

function isSuitable(python: Python): python is SuitablePython {
  return python.system !== null && !isOlder(python.version, OLDEST_PYTHON);
}

function isOlder(version: readonly [number, number], than: readonly [number, number]): boolean {
  return version[0] < than[0] || (version[0] === than[0] && version[1] < than[1]);
}

function uvInstaller(uv: string, python: SuitablePython): Installer {
  return {
    name: 'uv',
    python: python.executable,
    system: python.system,
    command: (target, requirements) => [
      ...[uv, 'pip', 'install', '--python', python.executable, ...STRICTLY],
      ...['--target', target, '-r', requirements],
    ],
  };
}

function pipInstaller(python: SuitablePython, pip: string): Installer {
  const [major = 0, minor = 0] = pip.split('.').map(Number);
  const progress = isOlder([major, minor], PIP_WITH_RAW_PROGRESS) ? [] : ['--progress-bar', 'raw'];
  return {
    name: `pip ${pip}`,
    python: python.executable,
    system: python.system,
    command: (target, requirements) => [
      ...[...python.command, '-m', 'pip', 'install', ...progress, ...STRICTLY],
      ...['--target', target, '-r', requirements],
    ],
  };
}

/** The true cause in a few words: of all Pythons here, what kept the best one from being enough. */
function whyNone(pythons: readonly Python[], env: Env): string {
  const oldest = OLDEST_PYTHON.join('.');
  const recent = pythons.filter(({ version }) => !isOlder(version, OLDEST_PYTHON));
  const suitable = recent.find(isSuitable);
  const [newest] = pythons.toSorted((a, b) => (isOlder(a.version, b.version) ? 1 : -1));
  if (suitable) return `Python ${suitable.version.join('.')} has no pip, and there is no uv`;
  if (recent[0]) return `there is no build of it for ${recent[0].platform}`;
  if (newest) return `Python ${newest.version.join('.')} is too old, it needs ${oldest} or later`;
  if (env.FLM_PYTHON) return `FLM_PYTHON (${env.FLM_PYTHON}) is not a Python that runs`;
  return `there is no Python ${oldest} or later`;
}
