/** `flm security ip-blocklist unblock` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { unbannedText } from '../text';

export default command({
  about: 'Lift a ban. What the address did is forgotten.',
  args: {
    ip: { type: 'positional', required: true, valueHint: 'ip|cidr', description: 'As the list shows it.' },
  },
  examples: ['flm security ip-blocklist unblock 203.0.113.7'],
  async run({ cli, args }) {
    const lifted = await withBackend(cli, ({ security }) => security.unban(args.ip));
    cli.result(lifted, () => unbannedText(lifted));
  },
});
