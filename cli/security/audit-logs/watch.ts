/** `flm security audit-logs watch` */

import type { AdminClient } from '../../../src/admin/client';
import type { AuditEntry } from '../../../src/audit';
import { FlmError } from '../../../src/lib/errors';
import { findRunning, requireRunning } from '../../backend';
import type { Cli } from '../../cli';
import { command } from '../../command';
import { wholeNumber } from '../../numbers';
import { isReaderGone, outputFailed } from '../../output';
import { FILTER_ARGS, filterFrom } from './filter';
import { lineText } from './text';

/** How often it is looked whether FLM is back. */
const LOOK_MS = 1_000;

export default command({
  about: 'Follow what is put on record, until Ctrl-C. Goes on when FLM was restarted.',
  args: {
    ...FILTER_ARGS,
    limit: { type: 'string', valueHint: 'N', description: 'Rows of before to begin with. Default: 10.' },
  },
  examples: ['flm security audit-logs watch', 'flm security audit-logs watch --severity high --json'],
  async run({ cli, args }) {
    const limit = wholeNumber('limit', args.limit, { min: 1, max: 1_000 }) ?? 10;
    const query = { ...filterFrom(args, cli), limit };
    let client = await requireRunning(cli);
    let last: number | null = null;
    for (;;) {
      try {
        for await (const entry of client.audit.watch(query, last, cli.interrupted)) {
          last = entry.seq;
          if (!(await shown(cli, entry))) return;
        }
      } catch (error) {
        if (!(error instanceof FlmError && error.code === 'PROXY_NOT_RUNNING')) throw error;
      }
      client = await back(cli);
    }
  },
});

/** False: nobody reads any more. @throws OUTPUT_FAILED */
async function shown(cli: Cli, entry: AuditEntry): Promise<boolean> {
  cli.result(entry, () => lineText(entry));
  // The next one is taken when this one has arrived.
  const lost = await cli.delivered();
  if (lost === null) return true;
  if (isReaderGone(lost)) return false;
  throw outputFailed(lost);
}

/** The FLM that runs, as soon as one does. @throws the abort's reason */
async function back(cli: Cli): Promise<AdminClient> {
  cli.interrupted.throwIfAborted();
  let told = false;
  for (;;) {
    // One that is starting up may listen before it answers.
    const client = await findRunning(cli).catch(() => null);
    if (client !== null) return client;
    if (!told) cli.note('FLM does not run any more. Waiting for it to come back.');
    told = true;
    await sleep(LOOK_MS, cli.interrupted);
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
