/** Finds the Pythons of this machine and asks each what it is. Starts them to ask; installs and changes nothing. */
import type { Env } from '../../lib/paths';
import { runChild } from './child';
import type { System } from './packages';

export interface Python {
  /** Absolute path of the interpreter itself, behind version-manager shims and virtual environments. */
  readonly executable: string;
  /** How it was reached: what runs pip, which a virtual environment may have of its own. */
  readonly command: readonly string[];
  readonly version: readonly [major: number, minor: number];
  /** The version of its pip; null when it has none. */
  readonly pip: string | null;
  /** What it runs on, in words: `linux-x86_64`, `linux-x86_64, musl`. */
  readonly platform: string;
  /** The engine's build for it; null when there is none. */
  readonly system: System | null;
}

/** Answers one JSON line, and must also run on the old Pythons that it is there to recognise. */
const QUESTION = `
import json, os, platform, sys, sysconfig
base = getattr(sys, '_base_executable', None)
pip = None
try:
    from importlib.util import find_spec
    from importlib.metadata import version
    pip = version('pip') if find_spec('pip') else None
except Exception:
    pass
print(json.dumps({
    'executable': base if base and os.path.exists(base) else sys.executable,
    'version': list(sys.version_info[:2]),
    'pip': pip,
    'platform': sysconfig.get_platform(),
    'machine': platform.machine(),
    'libc': platform.libc_ver()[0],
    'bits': 64 if sys.maxsize > 2 ** 32 else 32,
    'implementation': platform.python_implementation(),
    'free_threaded': bool(sysconfig.get_config_var('Py_GIL_DISABLED')),
}))
`;

const NAMES: readonly string[] = [
  'python3',
  'python',
  'python3.15',
  'python3.14',
  'python3.13',
  'python3.12',
  'python3.11',
  'python3.10',
];

/** A cold interpreter on a slow disk takes seconds; one that takes longer than this hangs. */
const ANSWER_MS = 20_000;

export interface FindOptions {
  readonly env: Env;
  /** Python looks for modules where it runs: a directory of our own, never the user's. */
  readonly cwd: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The Pythons of this machine, the user's own choice first: `FLM_PYTHON` alone where it is set, else those on
 * the PATH, the Windows launcher's, and the one uv would use.
 */
export async function* findPythons(options: FindOptions): AsyncGenerator<Python> {
  const { env } = options;
  if (env.FLM_PYTHON) {
    const python = await askPython([env.FLM_PYTHON], options);
    if (python) yield python;
    return;
  }
  for (const name of NAMES) {
    const path = findProgram(name, env);
    const python = path === null ? null : await askPython([path], options);
    if (python) yield python;
  }
  const launcher = process.platform === 'win32' ? findProgram('py', env) : null;
  const launched = launcher === null ? null : await askPython([launcher, '-3'], options);
  if (launched) yield launched;
  const managed = await askUv(options);
  if (managed) yield managed;
}

/** Absolute path of a program on the PATH of `env`. */
export function findProgram(name: string, env: Env): string | null {
  // Windows spells it Path, and a copied environment has lost its indifference to case.
  return Bun.which(name, { PATH: env.PATH ?? env.Path ?? '' });
}

/** What the Python behind `command` is; null when it is none, or does not answer. */
export async function askPython(command: readonly string[], options: FindOptions): Promise<Python | null> {
  const answer = await firstLine([...command, '-c', QUESTION], options);
  const facts = answer === null ? null : parseFacts(answer);
  return facts === null ? null : { ...facts, command };
}

/** Pythons that uv has installed are on nobody's PATH. */
async function askUv(options: FindOptions): Promise<Python | null> {
  const uv = findProgram('uv', options.env);
  if (uv === null) return null;
  const path = await firstLine([uv, 'python', 'find', '--no-project', '>=3.10'], options);
  return path === null ? null : askPython([path], options);
}

/** The first line `command` prints, when it ends well. */
async function firstLine(command: readonly string[], options: FindOptions): Promise<string | null> {
  let line: string | null = null;
  const code = await runChild(command, {
    ...options,
    timeoutMs: ANSWER_MS,
    onLine: (text, from) => {
      if (from === 'stdout' && text.trim() !== '') line ??= text.trim();
    },
  });
  return code === 0 ? line : null;
}

function parseFacts(line: string): Omit<Python, 'command'> | null {
  let facts: unknown;
  try {
    facts = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof facts !== 'object' || facts === null) return null;
  const answer: Readonly<Record<string, unknown>> = { ...facts };
  const { executable, version, pip, platform, machine } = answer;
  if (typeof executable !== 'string' || typeof platform !== 'string' || !Array.isArray(version)) return null;
  const [major, minor]: readonly unknown[] = version;
  if (typeof major !== 'number' || typeof minor !== 'number') return null;
  const oddities = [
    answer.libc === 'musl' ? 'musl' : null,
    answer.bits === 32 ? '32 bit' : null,
    answer.free_threaded === true ? 'free-threaded' : null,
    answer.implementation === 'CPython' ? null : String(answer.implementation),
  ].filter((oddity) => oddity !== null);
  return {
    executable,
    version: [major, minor],
    pip: typeof pip === 'string' ? pip : null,
    platform: [platform, ...oddities].join(', '),
    system: oddities.length > 0 ? null : systemOf(platform, machine),
  };
}

/** `sysconfig.get_platform()` tells what the interpreter was built for; a universal one runs as the machine is. */
function systemOf(platform: string, machine: unknown): System | null {
  if (platform === 'linux-x86_64') return 'linux-x64';
  if (platform === 'linux-aarch64') return 'linux-arm64';
  if (platform === 'win-amd64') return 'win32-x64';
  if (!platform.startsWith('macosx-')) return null;
  if (platform.endsWith('-arm64') || machine === 'arm64') return 'darwin-arm64';
  return platform.endsWith('-x86_64') || machine === 'x86_64' ? 'darwin-x64' : null;
}
