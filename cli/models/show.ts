/** `flm models show` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { detailText } from './text';

export default command({
  about: 'Show what a name means: every copy of the model, and how it is doing.',
  args: {
    name: {
      type: 'positional',
      required: true,
      description: 'A model, an alias, or flm://<engine>/<model>.',
    },
  },
  examples: ['flm models show llama3.2', 'flm models show flm://ollama-default/llama3.2 --json'],
  async run({ cli, args }) {
    const detail = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.models.show(args.name)),
    );
    cli.result(detail, () => detailText(detail));
  },
});
