/** `flm engines try`: the trial engine, installed here and run by FLM. */

import type { EgressMode } from '../../src/egress';
import { createTrial, type EngineList, type Trial, type TrialView } from '../../src/engines';
import { FlmError } from '../../src/lib/errors';
import { type Backend, findRunning, withBackend } from '../backend';
import type { Cli } from '../cli';
import { command } from '../command';
import { stderrLog } from '../log';

export default command({
  about: 'Install a small real engine to try FLM with: llama.cpp and SmolLM2-135M, 130 MB.',
  args: { remove: { type: 'boolean', description: 'Stop it and take it off the disk.' } },
  examples: ['flm engines try', 'flm engines try --remove'],
  async run({ cli, args }) {
    const trial = openTrial(cli);
    if (args.remove === true) return remove(cli, trial);
    const { mode } = await withBackend(cli, (backend) => backend.wayOut.status());
    await installTrial(cli, trial, mode);
    const client = await findRunning(cli);
    if (client === null) {
      const view: TrialView = {
        installed: true,
        running: false,
        url: null,
        pid: null,
        model: trial.state().model,
        error: null,
      };
      return cli.result(view, () => 'The trial engine is installed. It runs with FLM: flm up');
    }
    const view = await client.engines.startTrial();
    cli.result(view, () => `The trial engine runs at ${view.url} with the model ${view.model}.`);
  },
});

/** The trial engine's files; whether it runs is the running FLM's business. */
export function openTrial(cli: Cli): Trial {
  const { paths, env, clock } = cli;
  return createTrial({
    dir: paths.trialDir,
    env,
    clock,
    log: stderrLog(cli, () => 'warn'),
    onChange: () => {},
  });
}

/** What is to be said of a trial engine that is installed and not in the list; null where there is none. */
export function trialNote(cli: Cli, mode: Backend['mode'], { items }: EngineList): string | null {
  if (items.some((engine) => engine.origin === 'trial') || !openTrial(cli).state().installed) return null;
  return mode === 'offline'
    ? 'The trial engine is installed and starts with FLM: flm up'
    : 'The trial engine is installed and does not run. Start it: flm engines try';
}

/** Installs it unless it is there; what happens is told on stderr. @throws TRIAL_UNAVAILABLE, IO_ERROR */
export async function installTrial(cli: Cli, trial: Trial, mode: EgressMode): Promise<void> {
  // pip and uv are programs of their own, and know no tunnel.
  if (mode !== 'direct' && !trial.state().installed) {
    const reason = `its download would not go through the tunnel, and egress.mode is ${mode}`;
    throw new FlmError('TRIAL_UNAVAILABLE', { meta: { reason } });
  }
  await trial.install({ progress: cli.note, signal: cli.interrupted });
}

async function remove(cli: Cli, trial: Trial): Promise<void> {
  const client = await findRunning(cli);
  await client?.engines.stopTrial();
  await trial.remove();
  cli.result({ installed: false, removed: true }, () => 'The trial engine is removed.');
}
