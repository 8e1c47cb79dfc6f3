/** Where engines' programs lie when they are installed (FLM-043). */
import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Env } from '../lib/paths';
import type { InstalledProgram } from './adapter';

const FOLDERS = ['/usr/local/bin', '/usr/bin', '/opt/homebrew/bin'] as const;

export interface ProgramSearch {
  /** Names without `.exe`, the best first. */
  readonly names: readonly string[];
  /** Folders to look in beside the PATH, the usual ones and those below the home. */
  readonly folders: readonly string[];
  /** Folders below the home directory. */
  readonly homeFolders?: readonly string[];
  readonly env: Env;
  /** Finds the version in what `--version` prints. */
  readonly version: RegExp;
}

/** The first of the programs that is there, with what `--version` says, or null. */
export async function findProgram(search: ProgramSearch): Promise<InstalledProgram | null> {
  const { names, env } = search;
  const windows = process.platform === 'win32';
  const home = env.HOME ?? homedir();
  const folders = [
    ...(env.PATH ?? '').split(delimiter),
    ...search.folders,
    ...(windows ? [] : FOLDERS),
    ...['.local/bin', ...(search.homeFolders ?? [])].map((folder) => join(home, folder)),
  ];
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, windows ? `${name}.exe` : name);
      if (folder !== '' && isFile(path)) return { path, version: await versionOf(path, search.version) };
    }
  }
  return null;
}

export function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

/** What a program says to `--version`, on stderr or stdout; null when it says nothing that fits. */
export async function versionOf(path: string, pattern: RegExp): Promise<string | null> {
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
    return pattern.exec(out + err)?.[1] ?? null;
  } catch {
    return null; // Not runnable here (another architecture, no permission): it is still installed.
  }
}
