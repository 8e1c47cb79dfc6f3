/** `flm security ip-whitelist list` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { whitelistText } from '../policy/text';

export default command({
  about: 'List the addresses and networks that may come at all.',
  examples: ['flm security ip-whitelist list', 'flm security ip-whitelist list --json'],
  async run({ cli }) {
    const list = await withBackend(cli, (backend) => backend.policy.whitelist());
    cli.result(list, () => whitelistText(list));
  },
});
