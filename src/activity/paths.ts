/** Where the parts of the request log are. */
import { join } from 'node:path';

/** The book of days beside the days. */
export function ledgerPath(dir: string): string {
  return join(dir, 'ledger.json');
}

/** The Worker's script: beside this file from source, and where build.ts puts it otherwise. */
export function workerUrl(): string {
  const script = import.meta.path.endsWith('.ts') ? './worker.ts' : './activity/worker.js';
  return new URL(script, import.meta.url).href;
}
