/** Has the databases examined without holding anybody up: in a Worker that lives as long as that takes. */
import type { DatabaseFiles, DbFinding } from '../../db';
import type { CheckAnswer } from './check-worker';

/** Never fails: databases that cannot be examined are what it found. */
export async function checkInWorker(files: DatabaseFiles): Promise<readonly DbFinding[]> {
  const worker = new Worker(workerUrl());
  try {
    const answer = await new Promise<CheckAnswer>((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<CheckAnswer>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve({ reason: event.message });
      };
      worker.addEventListener('close', () => resolve({ reason: 'the examination broke off' }));
      worker.postMessage(files);
    });
    if ('findings' in answer) return answer.findings;
    return [{ name: 'databases', ok: false, message: answer.reason }];
  } finally {
    worker.terminate();
  }
}

/** The Worker's script: beside this file from source, and where build.ts puts it otherwise. */
function workerUrl(): string {
  const script = import.meta.path.endsWith('.ts') ? './check-worker.ts' : './app/check-worker.js';
  return new URL(script, import.meta.url).href;
}
