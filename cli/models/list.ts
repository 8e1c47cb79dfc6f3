/** `flm models list` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { modelsText } from './text';

export default command({
  about: 'List the models of all engines, or of one.',
  args: { engine: { type: 'string', description: 'Only of this engine: its id or its kind.' } },
  examples: ['flm models list', 'flm models list --engine llamacpp'],
  async run({ cli, args }) {
    const list = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.models.list(args.engine ?? null)),
    );
    cli.result(list, () => modelsText(list));
  },
});
