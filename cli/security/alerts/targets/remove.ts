/** `flm security alerts targets remove` */
import { withBackend } from '../../../backend';
import { command } from '../../../command';

export default command({
  about: 'Remove a webhook, its key, and what waits for it.',
  args: { id: { type: 'positional', required: true, description: 'The target.' } },
  examples: ['flm security alerts targets remove ops'],
  async run({ cli, args }) {
    const removed = await withBackend(cli, (backend) => backend.alerts.removeTarget(args.id));
    cli.result(removed, () => `The target ${removed.id} is gone.`);
  },
});
