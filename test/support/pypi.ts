/** Packages of PyPI for a Python of this machine, installed once into a cache that survives. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { REPOSITORY } from './executable';

export const PYTHON = process.env.FLM_PYTHON || 'python3';

export interface PypiPackage {
  /** Where it is, for PYTHONPATH. */
  readonly path: string;
  /** Installs it unless the cache has it. Returns why that is not possible here, or null. */
  missing(): Promise<string | null>;
}

export function pypiPackage(name: string, version: string): PypiPackage {
  const cache = resolve(process.env.FLM_TEST_CACHE || join(REPOSITORY, 'node_modules/.cache/flm'));
  const path = join(cache, `pip-${name}-${version}`);
  return {
    path,
    async missing() {
      if (existsSync(path)) return null;
      if (Bun.which(PYTHON) === null) return `${PYTHON} is not installed`;
      const staging = join(cache, `pip-${name}-${process.pid}.tmp`);
      mkdirSync(cache, { recursive: true });
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', staging];
      const child = Bun.spawn([PYTHON, ...pip, `${name}==${version}`], { stdout: 'ignore', stderr: 'pipe' });
      const words = await new Response(child.stderr).text();
      if ((await child.exited) !== 0) {
        rmSync(staging, { recursive: true, force: true });
        return `pip cannot install ${name}==${version}: ${words.trim().split('\n').at(-1) ?? ''}`;
      }
      // Whoever comes second leaves the first one's: they are equal.
      if (!existsSync(path)) renameSync(staging, path);
      rmSync(staging, { recursive: true, force: true });
      return null;
    },
  };
}
