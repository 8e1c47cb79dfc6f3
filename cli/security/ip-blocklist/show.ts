/** `flm security ip-blocklist show` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { standingText } from '../text';

export default command({
  about: 'How an address stands: whether it is banned, and what it did.',
  args: { ip: { type: 'positional', required: true, valueHint: 'ip', description: 'An address.' } },
  examples: ['flm security ip-blocklist show 203.0.113.7'],
  async run({ cli, args }) {
    const standing = await withBackend(cli, ({ security }) => security.standing(args.ip));
    cli.result(standing, () => standingText(standing));
  },
});
