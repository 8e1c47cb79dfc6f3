/** `flm egress login remove` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { egressText } from '../text';

export default command({
  about: 'Forget the user name and the passwords.',
  examples: ['flm egress login remove'],
  async run({ cli }) {
    const status = await withBackend(cli, (backend) => backend.wayOut.removeLogin());
    cli.result(status, () => egressText(status));
  },
});
