/** FLM in the background, as its users start it: `flm proxy start` and what it leaves running. */

import { readFileSync, statSync } from 'node:fs';
import { isRecord } from '../../src/lib/json';
import { logPathIn } from '../../src/lib/paths';
import type { ProxyView } from '../../src/listeners';
import type { TestDir } from './data-dir';
import { eventually } from './eventually';
import { dataOf, flm } from './executable';
import { processesWith } from './processes';

export interface Daemon extends AsyncDisposable {
  readonly proxy: ProxyView;
  /** `http://127.0.0.1:<port>`, or `https://localhost:<port>` where it speaks TLS. */
  readonly url: string;
  readonly key: string;
}

/** Makes a key and starts FLM in the background on `port`, with these further words. Whatever of it still runs at the end of the scope is killed. */
export async function startDaemon(
  home: TestDir,
  port: number,
  words: readonly string[] = [],
): Promise<Daemon> {
  const made = await dataOf(home.env, ['api-keys', 'create', '--label', 'test']);
  const key = isRecord(made) ? String(made.plain_key) : '';
  const proxy = (await dataOf(home.env, ['proxy', 'start', '--port', String(port), ...words])) as ProxyView;
  return {
    proxy,
    url: proxy.https_port === null ? `http://127.0.0.1:${port}` : `https://localhost:${proxy.https_port}`,
    key,
    [Symbol.asyncDispose]: () => endDaemon(home),
  };
}

/** Ends everything that runs on the data directory. */
export async function endDaemon(home: TestDir): Promise<void> {
  await flm(home.env, ['proxy', 'stop', '--all']);
  await killAll(home);
}

/** As the power does it: nothing is told, and whoever was started anew meanwhile goes with the others. */
export async function killAll(home: TestDir): Promise<void> {
  await eventually(() => {
    for (const { pid } of partsOf(home)) kill(pid);
    return partsOf(home).length === 0;
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** The processes of FLM in the background on that data directory. */
export function partsOf(home: TestDir, role: 'supervise' | 'serve' | null = null) {
  return processesWith(`FLM_DATA_DIR=${home.dir}`).filter(({ command }) =>
    role === null ? / __(?:supervise|serve) /.test(command) : command.includes(` __${role} `),
  );
}

/** Resolves with how long it took until FLM serves again, in milliseconds, by another process than `pid` if that is given. */
export async function untilServing(home: TestDir, not: number | null, withinMs: number): Promise<number> {
  const fromMs = performance.now();
  await eventually(
    async () => {
      const ran = await flm(home.env, ['status']);
      const status: unknown = ran.code === 0 ? JSON.parse(ran.stdout).data : null;
      return isRecord(status) && status.listen_addr !== null && status.pid !== not;
    },
    withinMs,
    5,
  );
  return performance.now() - fromMs;
}

export function logOf(home: TestDir): string {
  const path = logPathIn(home.paths.logsDir);
  return statSync(path, { throwIfNoEntry: false }) === undefined ? '' : readFileSync(path, 'utf8');
}
