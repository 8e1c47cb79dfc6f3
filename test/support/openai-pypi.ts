/** The `openai` SDK of PyPI, in a Python of this machine, installed once into a cache that survives. */
import { join } from 'node:path';
import { MAX_TOKENS, QUESTION, type Report, type Target, TOOL, TOOL_PROMPT } from './openai-report';
import { PYTHON, pypiPackage } from './pypi';

const SCRIPT = join(import.meta.dir, 'openai-pypi.py');
const sdk = pypiPackage('openai', '3.54.0');

/** Installs the SDK unless the cache has it. Returns why that is not possible here, or null. */
export const missingPypiSdk = sdk.missing;

export async function askWithPypi(target: Target): Promise<Report> {
  const job = { ...target, question: QUESTION, maxTokens: MAX_TOKENS, tool: TOOL, toolPrompt: TOOL_PROMPT };
  const child = Bun.spawn([PYTHON, SCRIPT], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PYTHONPATH: sdk.path,
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
