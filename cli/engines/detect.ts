/** `flm engines detect` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { ENGINE_ARG, onlyEngine } from './filter';
import { enginesText } from './text';
import { trialNote } from './try';

export default command({
  about: 'Look for engines on this machine now.',
  args: { engine: ENGINE_ARG },
  examples: ['flm engines detect', 'flm engines detect --engine ollama --json'],
  async run({ cli, args }) {
    const { list, mode } = await withProgress(cli, 'Looking for engines', () =>
      withBackend(cli, async (backend) => ({ list: await backend.engines.detect(), mode: backend.mode })),
    );
    const shown = onlyEngine(list, args.engine);
    cli.result(shown, () => enginesText(shown, trialNote(cli, mode, list)));
  },
});
