/** `flm models alias list` */
import { withBackend } from '../../backend';
import { withProgress } from '../../cli';
import { command } from '../../command';
import { aliasesText } from '../text';

export default command({
  about: 'List the aliases and what they stand for.',
  examples: ['flm models alias list', 'flm models alias list --json'],
  async run({ cli }) {
    const list = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.models.aliases()),
    );
    cli.result(list, () => aliasesText(list.items));
  },
});
