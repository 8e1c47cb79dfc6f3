/** `flm proxy restart` */
import type { AdminClient } from '../../src/admin/client';
import { readToml } from '../../src/config';
import { FlmError } from '../../src/lib/errors';
import { findRunning, requireRunning } from '../backend';
import { type Cli, withProgress } from '../cli';
import { command } from '../command';
import { startDaemon } from '../daemon/start';
import { startedText } from './text';

export default command({
  about: 'Start FLM anew, with all proxies: to upgrade it, or for settings that count from a start on.',
  args: {
    graceful: {
      type: 'boolean',
      description: 'Lose no request: the new process takes over while the old one finishes its own (Linux).',
    },
  },
  details: [
    'The new process is the program that runs this command. When it cannot start,',
    'the old one goes on (with --graceful).',
  ],
  examples: ['flm proxy restart --graceful', 'flm proxy restart'],
  async run({ cli, args }) {
    const running = await requireRunning(cli);
    const { run_by: runBy, pid } = await running.status();
    if (runBy !== 'supervisor') throw notOurs(runBy);
    const order = { first: null, isPatient: true };
    // Elsewhere the system does not hand new connections from one process to another.
    const isGraceful = args.graceful === true && process.platform === 'linux';
    if (args.graceful === true && !isGraceful)
      cli.note('This system cannot hand a port on: requests under way finish, then FLM starts anew.');
    const proxy = await withProgress(cli, 'Starting FLM anew', async () => {
      if (!isGraceful) {
        // The next process would not start with a file that is wrong, and this one would be gone.
        readToml(cli.paths.configToml);
        await running.daemon.stop();
        await untilGone(cli, pid);
      }
      return startDaemon(cli, { ...order, takeOver: isGraceful });
    });
    cli.result(proxy, () => startedText(proxy));
  },
});

const LOOK_MS = 50;

/** Resolves when the process has given up the admin socket and the data directory is free, or Ctrl-C is pressed. */
async function untilGone(cli: Cli, pid: number | null): Promise<void> {
  while (!cli.interrupted.aborted) {
    const found = await findRunning(cli);
    if (found === null || (await pidOf(found)) !== pid) return;
    await Bun.sleep(LOOK_MS);
  }
}

/** Null when it has ended since it was found. */
async function pidOf(client: AdminClient): Promise<number | null> {
  try {
    return (await client.status()).pid;
  } catch (error) {
    if (error instanceof FlmError && error.code === 'PROXY_NOT_RUNNING') return null;
    throw error;
  }
}

function notOurs(runBy: 'service' | 'foreground' | null): FlmError {
  return runBy === 'service'
    ? new FlmError('HANDOVER_UNAVAILABLE', {
        meta: { reason: 'a service manager runs it' },
        hint: 'Restart the service: systemctl --user restart flm, or without --user for the whole system.',
      })
    : new FlmError('HANDOVER_UNAVAILABLE', {
        meta: { reason: 'it runs in the foreground' },
        hint: 'Stop it where it runs, and start it again there.',
      });
}
