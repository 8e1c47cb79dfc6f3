/** `flm security alerts list` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { rulesText } from './text';

export default command({
  about: 'List the rules: what you are told of, and where.',
  examples: ['flm security alerts', 'flm security alerts list --json'],
  async run({ cli }) {
    const list = await withBackend(cli, (backend) => backend.alerts.rules());
    cli.result(list, () => rulesText(list.items));
  },
});
