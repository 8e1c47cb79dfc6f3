/** `flm engines list` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { ENGINE_ARG, onlyEngine } from './filter';
import { enginesText } from './text';
import { trialNote } from './try';

export default command({
  about: 'List the engines FLM knows, and how they are.',
  args: { engine: ENGINE_ARG },
  examples: ['flm engines list', 'flm engines list --engine ollama', 'flm engines list --json'],
  async run({ cli, args }) {
    const { list, mode } = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, async (backend) => ({ list: await backend.engines.list(), mode: backend.mode })),
    );
    const shown = onlyEngine(list, args.engine);
    cli.result(shown, () => enginesText(shown, trialNote(cli, mode, list)));
  },
});
