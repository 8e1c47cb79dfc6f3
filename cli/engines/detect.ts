/** `flm engines detect` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { enginesText } from './text';
import { trialNote } from './try';

export default command({
  about: 'Look for engines on this machine now.',
  examples: ['flm engines detect', 'flm engines detect --json'],
  async run({ cli }) {
    const { list, mode } = await withProgress(cli, 'Looking for engines', () =>
      withBackend(cli, async (backend) => ({ list: await backend.engines.detect(), mode: backend.mode })),
    );
    cli.result(list, () => enginesText(list, trialNote(cli, mode, list)));
  },
});
