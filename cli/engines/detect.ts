/** `flm engines detect` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { enginesText } from './text';

export default command({
  about: 'Look for engines on this machine now.',
  examples: ['flm engines detect', 'flm engines detect --json'],
  async run({ cli }) {
    const list = await withProgress(cli, 'Looking for engines', () =>
      withBackend(cli, (backend) => backend.engines.detect()),
    );
    cli.result(list, () => enginesText(list));
  },
});
