/** `flm models strategy unset` */
import { withBackend } from '../../backend';
import { withProgress } from '../../cli';
import { command } from '../../command';
import { strategyText } from '../text';

export default command({
  about: 'Choose by the default again.',
  args: { name: { type: 'positional', required: true, description: 'A model or an alias.' } },
  examples: ['flm models strategy unset llama3.2'],
  async run({ cli, args }) {
    const view = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.models.unsetStrategy(args.name)),
    );
    cli.result(view, () => strategyText(view));
  },
});
