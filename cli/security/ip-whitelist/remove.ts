/** `flm security ip-whitelist remove` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { whitelistText } from '../policy/text';
import { inputOf, NETWORK_ARGS } from './network';

export default command({
  about: 'Take an address or network off the list. When it was the last one, everybody gets in.',
  args: NETWORK_ARGS,
  examples: ['flm security ip-whitelist remove 192.168.0.0/16'],
  async run({ cli, args }) {
    const list = await withBackend(cli, (backend) => backend.policy.disallow(inputOf(args)));
    cli.result(list, () => whitelistText(list));
  },
});
