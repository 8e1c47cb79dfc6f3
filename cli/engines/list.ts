/** `flm engines list` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { enginesText } from './text';

export default command({
  about: 'List the engines FLM knows, and how they are.',
  examples: ['flm engines list', 'flm engines list --json'],
  async run({ cli }) {
    const list = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.engines.list()),
    );
    cli.result(list, () => enginesText(list));
  },
});
