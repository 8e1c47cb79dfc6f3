/** `flm egress status` */
import { withBackend } from '../backend';
import { command } from '../command';
import { egressText } from './text';

export default command({
  about: 'Tell how requests leave this machine, and whether the tunnel stands.',
  examples: ['flm egress status', 'flm egress status --json'],
  async run({ cli }) {
    const status = await withBackend(cli, (backend) => backend.wayOut.status());
    cli.result(status, () => egressText(status));
  },
});
