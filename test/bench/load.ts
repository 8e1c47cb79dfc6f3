/**
 * The load generator, a process of its own so that its work never runs on the loop that starts and measures others.
 * `runLoad` starts it; the specification goes in on stdin (it holds a key), the result comes back on stdout as JSON.
 */
import { type HttpLoad, type HttpResult, loadHttp } from './load-http';
import { loadStreams, type StreamLoad, type StreamResult } from './load-streams';
import { loadTls, type TlsLoad, type TlsResult } from './load-tls';
import type { Stage } from './stage';

type Load = HttpLoad | StreamLoad | TlsLoad;

/** Runs one load to its end. @throws Error with the generator's own words when it fails. */
export function runLoad(stage: Stage, load: HttpLoad): Promise<HttpResult>;
export function runLoad(stage: Stage, load: StreamLoad): Promise<StreamResult>;
export function runLoad(stage: Stage, load: TlsLoad): Promise<TlsResult>;
export async function runLoad(stage: Stage, load: Load): Promise<HttpResult | StreamResult | TlsResult> {
  const { stdout, stderr, exitCode } = await stage.run([process.execPath, import.meta.path], {
    stdin: JSON.stringify(load),
  });
  if (exitCode !== 0) throw new Error(`load generator: ${stderr.trim() || `exit code ${exitCode}`}`);
  return JSON.parse(stdout);
}

function resultOf(load: Load): Promise<HttpResult | StreamResult | TlsResult> {
  if (load.kind === 'http') return loadHttp(load);
  return load.kind === 'tls' ? loadTls(load) : loadStreams(load);
}

if (import.meta.main) {
  const load: Load = await Bun.stdin.json();
  try {
    console.log(JSON.stringify(await resultOf(load)));
    process.exit(0);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
