/** `flm security alerts targets list` */
import { withBackend } from '../../../backend';
import { command } from '../../../command';
import { targetsText } from '../text';

export default command({
  about: 'List where alerts go.',
  examples: ['flm security alerts targets list', 'flm security alerts targets list --json'],
  async run({ cli }) {
    const list = await withBackend(cli, (backend) => backend.alerts.targets());
    cli.result(list, () => targetsText(list.items));
  },
});
