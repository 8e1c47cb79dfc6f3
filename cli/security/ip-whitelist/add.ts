/** `flm security ip-whitelist add` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { whitelistText } from '../policy/text';
import { inputOf, NETWORK_ARGS } from './network';

export default command({
  about: 'Let an address or network in. With the first one, nobody else gets in any more.',
  args: NETWORK_ARGS,
  examples: ['flm security ip-whitelist add 192.168.0.0/16', 'flm security ip-whitelist add 2001:db8:1::/48'],
  async run({ cli, args }) {
    const list = await withBackend(cli, (backend) => backend.policy.allow(inputOf(args)));
    cli.result(list, () => whitelistText(list));
  },
});
