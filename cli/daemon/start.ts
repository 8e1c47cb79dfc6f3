/** Starts FLM in the background and waits until it serves, or says why it does not. */

import { type Message, readMessages, startSupervisor } from '../../src/daemon';
import { ensureDataDir } from '../../src/lib/data-dir';
import { errorFromWire, FlmError } from '../../src/lib/errors';
import { ensurePrivateDir } from '../../src/lib/files';
import { logPathIn } from '../../src/lib/paths';
import type { ProxyView } from '../../src/listeners';
import type { Cli } from '../cli';
import type { ServeOrder } from './order';

/** How long a start may take (FLM-069), and one that takes over from another process. */
const START_MS = 10_000;
const TAKE_OVER_MS = 20_000;

/**
 * The proxy that was asked for, or the first of the saved ones; null when none could be started yet.
 * @throws what kept it from starting; DAEMON_FAILED. Then nothing of it stays behind.
 */
export async function startDaemon(cli: Cli, order: ServeOrder): Promise<ProxyView | null> {
  const { paths, env, interrupted } = cli;
  ensureDataDir(paths, env);
  ensurePrivateDir(paths.logsDir);
  const supervisor = startSupervisor(paths, order);
  supervisor.unref();
  const { stdout } = supervisor;
  if (!(stdout instanceof ReadableStream)) throw new FlmError('INTERNAL_ERROR');
  const waitMs = order.takeOver ? TAKE_OVER_MS : START_MS;
  const message = await Promise.race([firstOf(stdout), given(waitMs, interrupted)]);
  if (message === 'late') supervisor.kill('SIGTERM');
  if (interrupted.aborted) throw interrupted.reason;
  if (message === 'late') throw failed(cli, `it was not ready after ${waitMs / 1_000} seconds`);
  if (message === null || message.type === 'bye') throw failed(cli, 'it ended without a word');
  if (message.type === 'failed') throw errorFromWire(message.error);
  // Written by the same program a moment ago.
  return message.result as ProxyView | null;
}

async function firstOf(stream: ReadableStream<Uint8Array>): Promise<Message | null> {
  let first: Message | null = null;
  await readMessages(stream, (message) => {
    first = message;
    return 'enough';
  });
  return first;
}

function given(ms: number, signal: AbortSignal): Promise<'late'> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('late'), ms).unref();
    signal.addEventListener('abort', () => resolve('late'), { once: true });
  });
}

function failed({ paths }: Cli, reason: string): FlmError {
  return new FlmError('DAEMON_FAILED', { meta: { reason, log: logPathIn(paths.logsDir) } });
}
