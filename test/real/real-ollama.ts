/**
 * A real Ollama for tests, with the trial engine's model. It is looked for at FLM_TEST_OLLAMA, then on the PATH;
 * shared/real-engines.md says how to come by one.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually';
import { freePort } from '../support/ports';
import { trialModelFile } from './trial-engine';

export interface RealOllama {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  /** Without its tag; `:latest` is behind it. */
  readonly model: string;
  readonly version: string;
  stop(): Promise<void>;
}

const PROGRAM = process.env.FLM_TEST_OLLAMA || Bun.which('ollama');

/** Why there is no Ollama to test with, or null when there is. */
export function missingOllama(): string | null {
  return PROGRAM ? null : 'there is no Ollama on the PATH, and FLM_TEST_OLLAMA names none';
}

const MODELFILE = (gguf: string) => `FROM ${gguf}
TEMPLATE """{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop <|im_end|>
`;

/** Starts an Ollama of its own, on a free port, with one model. Works on one request at a time. */
export async function startOllama(): Promise<RealOllama> {
  if (!PROGRAM) throw new Error(String(missingOllama()));
  const dir = mkdtempSync(join(tmpdir(), 'flm-ollama-'));
  const host = `127.0.0.1:${await freePort()}`;
  const baseUrl = `http://${host}`;
  const env = {
    PATH: process.env.PATH,
    HOME: dir,
    OLLAMA_HOST: host,
    OLLAMA_MODELS: join(dir, 'models'),
    OLLAMA_NUM_PARALLEL: '1',
  };
  const server = Bun.spawn([PROGRAM, 'serve'], { env, cwd: dir, stdio: ['ignore', 'ignore', 'ignore'] });
  const stop = async () => {
    server.kill();
    await server.exited;
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await eventually(() => fetch(`${baseUrl}/api/version`).then(isOk, () => false), 20_000, 50);
    writeFileSync(join(dir, 'Modelfile'), MODELFILE(await trialModelFile()));
    const create = Bun.spawn([PROGRAM, 'create', 'smollm2', '-f', 'Modelfile'], {
      env,
      cwd: dir,
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    if ((await create.exited) !== 0) throw new Error('ollama create failed');
    const { version } = (await (await fetch(`${baseUrl}/api/version`)).json()) as { version: string };
    return { baseUrl, model: 'smollm2', version, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function isOk(response: Response): boolean {
  return response.ok;
}
