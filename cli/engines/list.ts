/** `flm engines list` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { enginesText } from './text';
import { trialNote } from './try';

export default command({
  about: 'List the engines FLM knows, and how they are.',
  examples: ['flm engines list', 'flm engines list --json'],
  async run({ cli }) {
    const { list, mode } = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, async (backend) => ({ list: await backend.engines.list(), mode: backend.mode })),
    );
    cli.result(list, () => enginesText(list, trialNote(cli, mode, list)));
  },
});
