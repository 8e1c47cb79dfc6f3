/** The FLM row: the executable (or the source) with a data directory of its own, one engine and one key. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, waitForOk } from './ports';
import { processTree } from './proc';
import type { Row } from './rows';
import type { Service, Stage, StageOptions } from './stage';

const ROOT = join(import.meta.dir, '..', '..');

/** How FLM is started: the compiled executable or `bun src/main.ts`. */
export type FlmForm = 'executable' | 'source';

/** FLM with its engine and key stored, not yet running. */
export interface Flm {
  command: string[];
  options: StageOptions;
  version: string;
  /** The key the load sends, `flm_…`. */
  key: string;
}

/** The file FLM is started from. */
export function flmFile(form: FlmForm): string {
  return form === 'executable' ? join(ROOT, 'dist', 'flm') : join(ROOT, 'src', 'main.ts');
}

/** Stores the mock engines and a key in a new data directory. @throws Error that says why there is no FLM row. */
export async function prepareFlm(
  stage: Stage,
  form: FlmForm,
  enginePorts: readonly number[],
  extra: Record<string, string> = {},
): Promise<Flm> {
  const file = flmFile(form);
  if (!existsSync(file)) {
    throw new Error(`${file} does not exist${form === 'executable' ? ' (bun run build makes it)' : ''}`);
  }
  const command = form === 'executable' ? [file] : [process.execPath, file];
  const directory = stage.directory('data');
  // From an empty directory: the executable must not find a bunfig.toml or .env of ours.
  const env = { FLM_DATA_DIR: directory, FLM_DISABLE_KEYRING: '1', FLM_ADMIN_PORT: '0', ...extra };
  const options = { cwd: directory, env };
  const ask = async (words: string): Promise<Record<string, unknown>> => {
    const { stdout, stderr, exitCode } = await stage.run([...command, ...words.split(' ')], options);
    if (exitCode !== 0) throw new Error(`flm ${words}: exit ${exitCode}: ${stderr.trim()}`);
    return dataOf(words, stdout);
  };
  const version = await ask('version --format json');
  for (const [index, port] of enginePorts.entries()) {
    await ask(`engines add --kind openai --url http://127.0.0.1:${port} --id bench-${index} --format json`);
  }
  const made = await ask('api-keys create --label bench --format json');
  if (typeof made.plain_key !== 'string') throw new Error('flm api-keys create printed no data.plain_key');
  return { command, options, version: String(version.version ?? 'unknown'), key: made.plain_key };
}

/** Starts `flm up` on a free port, with these further words, without waiting for it. */
export function startFlm(
  stage: Stage,
  flm: Flm,
  words: readonly string[] = [],
): { service: Service; port: number } {
  const port = freePort();
  const service = stage.start(
    [...flm.command, 'up', '--port', String(port), '--format', 'json', ...words],
    flm.options,
  );
  return { service, port };
}

/** A row that starts FLM and learns from `flm status` which process serves. */
export function flmRow(stage: Stage, flm: Flm): Row {
  return {
    name: 'flm',
    async start() {
      const { service, port } = startFlm(stage, flm);
      await waitForOk(`http://127.0.0.1:${port}/health`, service);
      const { stdout } = await stage.run([...flm.command, 'status', '--format', 'json'], flm.options);
      const { listen_addr: address, pid } = dataOf('status', stdout);
      const listening = Number(String(address).split(':').at(-1));
      const pids = () => [
        ...new Set([...processTree(service.pid), ...(typeof pid === 'number' ? [pid] : [])]),
      ];
      return { port: listening || port, pids, stop: service.stop };
    },
  };
}

/** The `data` object of a JSON result. */
function dataOf(words: string, stdout: string): Record<string, unknown> {
  const result: { data?: unknown } = JSON.parse(stdout);
  if (typeof result.data !== 'object' || result.data === null)
    throw new Error(`flm ${words} printed no data`);
  return { ...result.data };
}
