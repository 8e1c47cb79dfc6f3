/**
 * A real vLLM on the CPU for tests, with the trial engine's model. It is looked for at FLM_TEST_VLLM, a directory that
 * shared/vllm/setup.sh has filled; `bun run verify:real` else fills one in the cache with that script, found at
 * FLM_TEST_VLLM_SETUP or beside the repository: 1 GB to download, 2.8 GB of disk, about a minute.
 */
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { missingTrialEngine, trialCacheDir, trialModelFile } from '../real/trial-engine';
import { eventually } from '../support/eventually';
import { REPOSITORY } from '../support/executable';
import { freePort } from '../support/ports';
import { pidsIn } from '../support/processes';

/** A little more than the two minutes that two busy cores take. */
const READY_MS = 240_000;

export interface VllmOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** What `--api-key` is told. */
  readonly key?: string;
  /** Requests it works on at once; more wait inside of it. Default 8. */
  readonly atOnce?: number;
}

export interface RealVllm extends AsyncDisposable {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly port: number;
  readonly model: string;
  /** As it tells it itself. */
  readonly version: string;
  /** How long it took until it answered. */
  readonly readyMs: number;
  /** Requests it works on, and requests that wait inside of it, by its own /metrics. */
  load(): Promise<{ readonly running: number; readonly waiting: number }>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<number>;
}

/** Why there is no vLLM to test with, or null when there is: it may be set up for that. Asked outside of any test. */
export async function missingVllm(): Promise<string | null> {
  const named = process.env.FLM_TEST_VLLM;
  if (named) return isComplete(named) ? null : `FLM_TEST_VLLM is ${named}, which setup.sh has not filled`;
  if (isComplete(directory())) return null;
  if (process.env.FLM_TEST_SLOW !== '1') return 'FLM_TEST_VLLM names none; bun run verify:real sets one up';
  const script = join(
    resolve(process.env.FLM_TEST_VLLM_SETUP || join(REPOSITORY, '../shared/vllm')),
    'setup.sh',
  );
  if (!existsSync(script))
    return `FLM_TEST_VLLM names none, and there is no ${script} (FLM_TEST_VLLM_SETUP) to set one up`;
  return (await missingTrialEngine()) ?? (await setUp(script));
}

/** @returns null when it is done, else what went wrong */
async function setUp(script: string): Promise<string | null> {
  console.warn(`vLLM: ${script} fills ${directory()}, which downloads 1 GB`);
  const models = join(directory(), 'gguf');
  rmSync(models, { recursive: true, force: true });
  mkdirSync(models, { recursive: true });
  symlinkSync(await trialModelFile(), join(models, 'smollm2.gguf'));
  const child = Bun.spawn(['bash', script, directory()], {
    env: { ...process.env, GGUF_DIR: models },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const told = await new Response(child.stderr).text();
  if ((await child.exited) === 0 && isComplete(directory())) return null;
  return `setup.sh failed: ${told.trim().slice(-300)}`;
}

function directory(): string {
  return resolve(process.env.FLM_TEST_VLLM || join(dirname(trialCacheDir()), 'vllm'));
}

/** The last thing that setup.sh writes is the model's tokenizer. */
function isComplete(dir: string): boolean {
  return ['venv/bin/vllm', 'smollm2/tokenizer_config.json'].every((file) => existsSync(join(dir, file)));
}

/** Starts one and waits until it answers. It takes 3.6 GB of memory: one at a time. */
export async function startVllm({ port, key, atOnce = 8 }: VllmOptions = {}): Promise<RealVllm> {
  const startedMs = performance.now();
  const dir = directory();
  const bound = port ?? (await freePort());
  const baseUrl = `http://127.0.0.1:${bound}`;
  // Its processes write titles over their arguments and environments: what is left of them is known by this directory.
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'flm-vllm-')));
  const model = 'smollm2';
  const log = join(dir, 'server.log');
  const flags = {
    host: '127.0.0.1',
    port: bound,
    'served-model-name': model,
    'max-model-len': 2048,
    'max-num-seqs': atOnce,
    dtype: 'bfloat16',
    'tool-call-parser': 'hermes',
    'chat-template': join(REPOSITORY, 'src/engines/trial/template.jinja'),
    ...(key === undefined ? {} : { 'api-key': key }),
  };
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const server = Bun.spawn(
    [
      join(dir, 'venv/bin/vllm'),
      ...['serve', join(dir, 'smollm2'), '--enforce-eager', '--enable-auto-tool-choice'],
      ...words,
    ],
    {
      cwd: home,
      env: {
        PATH: process.env.PATH,
        HOME: home,
        HF_HUB_OFFLINE: '1',
        VLLM_NO_USAGE_STATS: '1',
        DO_NOT_TRACK: '1',
        VLLM_CPU_KVCACHE_SPACE: '1',
        VLLM_TARGET_DEVICE: 'cpu',
        VLLM_CPU_OMP_THREADS_BIND: 'nobind',
        OMP_NUM_THREADS: '1',
      },
      stdio: ['ignore', Bun.file(log), Bun.file(log)],
    },
  );
  const stop = async () => {
    server.kill('SIGKILL');
    await server.exited;
    // What it started works on without it.
    for (const pid of pidsIn(home)) end(pid);
    await eventually(() => pidsIn(home).length === 0, 20_000, 50);
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await eventually(
      () => server.exitCode !== null || fetch(`${baseUrl}/health`).then(isOk, () => false),
      READY_MS,
      250,
    );
    if (server.exitCode !== null) throw new Error(`vLLM ended by itself, see ${log}`);
    const { version } = (await (await fetch(`${baseUrl}/version`)).json()) as { version: string };
    return {
      baseUrl,
      port: bound,
      model,
      version,
      readyMs: performance.now() - startedMs,
      load: () => loadOf(baseUrl),
      signal: (name) => void server.kill(name),
      exited: server.exited,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {} // It has ended meanwhile.
}

async function loadOf(baseUrl: string): Promise<{ running: number; waiting: number }> {
  const response = await fetch(`${baseUrl}/metrics`, { keepalive: false });
  const text = await response.text();
  const read = (name: string) =>
    Number(new RegExp(`^vllm:num_requests_${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
  return { running: read('running'), waiting: read('waiting') };
}

function isOk(response: Response): boolean {
  return response.ok;
}
