/** The `openai` SDK of PyPI, in a Python of this machine, installed once into a cache that survives. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { REPOSITORY } from './executable';
import { MAX_TOKENS, QUESTION, type Report, type Target, TOOL, TOOL_PROMPT } from './openai-report';

const VERSION = '3.54.0';
const SCRIPT = join(import.meta.dir, 'openai-pypi.py');
const PYTHON = process.env.FLM_PYTHON || 'python3';

function cacheDir(): string {
  return resolve(process.env.FLM_TEST_CACHE || join(REPOSITORY, 'node_modules/.cache/flm'));
}

const installed = () => join(cacheDir(), `pip-openai-${VERSION}`);

/** Installs the SDK unless the cache has it. Returns why that is not possible here, or null. */
export async function missingPypiSdk(): Promise<string | null> {
  if (existsSync(installed())) return null;
  if (Bun.which(PYTHON) === null) return `${PYTHON} is not installed`;
  const staging = join(cacheDir(), `pip-openai-${process.pid}.tmp`);
  mkdirSync(cacheDir(), { recursive: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', staging];
  const child = Bun.spawn([PYTHON, ...pip, `openai==${VERSION}`], { stdout: 'ignore', stderr: 'pipe' });
  const words = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) {
    rmSync(staging, { recursive: true, force: true });
    return `pip cannot install openai==${VERSION}: ${words.trim().split('\n').at(-1) ?? ''}`;
  }
  // Whoever comes second leaves the first one's: they are equal.
  if (!existsSync(installed())) renameSync(staging, installed());
  rmSync(staging, { recursive: true, force: true });
  return null;
}

export async function askWithPypi(target: Target): Promise<Report> {
  const job = { ...target, question: QUESTION, maxTokens: MAX_TOKENS, tool: TOOL, toolPrompt: TOOL_PROMPT };
  const child = Bun.spawn([PYTHON, SCRIPT], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PYTHONPATH: installed(),
      PYTHONDONTWRITEBYTECODE: '1',
    },
    stdin: new Blob([JSON.stringify(job)]),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`openai-pypi.py: ${err}`);
  return JSON.parse(out);
}
