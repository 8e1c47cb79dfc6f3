/** `flm security alerts remove` */
import { withBackend } from '../../backend';
import { command } from '../../command';

export default command({
  about: 'Remove a rule. To keep it for later: flm security alerts set <rule> --off',
  args: { id: { type: 'positional', required: true, description: 'The rule.' } },
  examples: ['flm security alerts remove bans'],
  async run({ cli, args }) {
    const removed = await withBackend(cli, (backend) => backend.alerts.removeRule(args.id));
    cli.result(removed, () => `The rule ${removed.id} is gone.`);
  },
});
