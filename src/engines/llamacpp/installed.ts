/** Where llama.cpp's programs lie when they are installed (FLM-043). */
import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Env } from '../../lib/paths';
import type { InstalledProgram } from '../adapter';

const NAMES = ['llama-server', 'llama-cpp-server', 'llama-cli', 'llama'] as const;
const FOLDERS = ['/usr/local/bin', '/usr/bin', '/opt/homebrew/bin', '/opt/llama.cpp/bin'] as const;
const FOLDERS_WINDOWS = ['C:\\Program Files\\llama.cpp', 'C:\\Program Files (x86)\\llama.cpp'] as const;

/** The first program found on the PATH, at LLAMA_CPP_PATH or in the usual folders, with what `--version` says. */
export async function findLlamaServer(env: Env): Promise<InstalledProgram | null> {
  const windows = process.platform === 'win32';
  const home = env.HOME ?? homedir();
  const folders = [
    ...(env.PATH ?? '').split(delimiter),
    ...(env.LLAMA_CPP_PATH === undefined ? [] : [env.LLAMA_CPP_PATH]),
    ...(windows ? FOLDERS_WINDOWS : FOLDERS),
    join(home, '.local', 'bin'),
    join(home, 'llama.cpp'),
    join(home, 'llama.cpp', 'build', 'bin'),
  ];
  for (const name of NAMES) {
    for (const folder of folders) {
      const path = join(folder, windows ? `${name}.exe` : name);
      if (folder !== '' && isFile(path)) return { path, version: await versionOf(path) };
    }
  }
  return env.LLAMA_CPP_PATH !== undefined && isFile(env.LLAMA_CPP_PATH)
    ? { path: env.LLAMA_CPP_PATH, version: await versionOf(env.LLAMA_CPP_PATH) }
    : null;
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

/** `version: 5581 (abc123)` on stderr or stdout, depending on the build; null when it does not say. */
async function versionOf(path: string): Promise<string | null> {
  try {
    const child = Bun.spawn([path, '--version'], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: 3_000,
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return /version:?\s*(\S+)/i.exec(out + err)?.[1] ?? null;
  } catch {
    return null; // Not runnable here (another architecture, no permission): it is still installed.
  }
}
