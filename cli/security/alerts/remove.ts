/** `flm security alerts remove` */
import { withBackend } from '../../backend';
import { command } from '../../command';

export default command({
  about: 'Remove a rule. "flm security alerts set RULE --off" keeps it for later.',
  args: { id: { type: 'positional', required: true, description: 'The rule.' } },
  examples: ['flm security alerts remove bans'],
  async run({ cli, args }) {
    const removed = await withBackend(cli, (backend) => backend.alerts.removeRule(args.id));
    cli.result(removed, () => `The rule ${removed.id} is gone.`);
  },
});
