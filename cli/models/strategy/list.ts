/** `flm models strategy list` */
import { withBackend } from '../../backend';
import { withProgress } from '../../cli';
import { command } from '../../command';
import { strategiesText } from '../text';

export default command({
  about: 'List the strategies that were set.',
  examples: ['flm models strategy list', 'flm models strategy list --json'],
  async run({ cli }) {
    const list = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.models.strategies()),
    );
    cli.result(list, () => strategiesText(list.items));
  },
});
