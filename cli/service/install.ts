/** `flm service install` */
import { ownProgram } from '../../src/daemon';
import { ensureDataDir } from '../../src/lib/data-dir';
import { FlmError } from '../../src/lib/errors';
import { ensurePrivateDir } from '../../src/lib/files';
import { findRunning } from '../backend';
import { type Cli, withProgress } from '../cli';
import { command } from '../command';
import { accountFor, ensureDirOf, SYSTEM_ARG, thisMachine } from './machine';
import { managerOf } from './manager';
import { serviceText } from './text';

export default command({
  about: 'Let systemd or launchd start FLM, with your session or with the machine, and keep it running.',
  args: {
    ...SYSTEM_ARG,
    user: {
      type: 'string',
      valueHint: 'NAME',
      description: 'With --system: as whom FLM runs. Default: who called sudo.',
    },
  },
  details: [
    'The service starts the saved proxies, or one on proxy.port. Installing it again',
    'replaces it; an FLM that runs in the background gives way to it.',
  ],
  examples: ['flm service install', 'flm service install --system --user flm'],
  async run({ cli, args }) {
    const machine = thisMachine(cli);
    const isSystem = args.system === true;
    const manager = managerOf(machine, isSystem);
    if (args.user !== undefined && !isSystem)
      throw new FlmError('USAGE_ERROR', { meta: { reason: '--user needs --system' } });
    const account = isSystem ? await accountFor(machine, args.user) : null;
    if (account === null) {
      ensureDataDir(cli.paths, cli.env);
      ensurePrivateDir(cli.paths.logsDir);
      await makeRoom(cli);
    } else ensureDirOf(account);
    const state = await withProgress(cli, 'Installing', () =>
      manager.install({
        program: ownProgram(),
        dataDir: account?.dataDir ?? cli.paths.dir,
        user: account?.name ?? null,
      }),
    );
    cli.result(state, () => serviceText(state));
    if (state.manager === 'systemd' && !isSystem)
      cli.note('It ends when you log out. To keep it running: loginctl enable-linger');
  },
});

const LOOK_MS = 50;

/** Ends an FLM that runs in the background, whose proxies are saved. @throws PROXY_ALREADY_RUNNING for one in the foreground */
async function makeRoom(cli: Cli): Promise<void> {
  const running = await findRunning(cli);
  if (running === null) return;
  const { run_by: runBy, pid } = await running.status();
  // The service that is there is started anew by its manager.
  if (runBy === 'service') return;
  if (runBy !== 'supervisor') throw new FlmError('PROXY_ALREADY_RUNNING', { meta: { pid } });
  await running.daemon.stop();
  while (!cli.interrupted.aborted && (await findRunning(cli)) !== null) await Bun.sleep(LOOK_MS);
}
