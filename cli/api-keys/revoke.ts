/** `flm api-keys revoke` */
import { withBackend } from '../backend';
import { command } from '../command';

export default command({
  about: 'Revoke an API key. It stops working at once, also for streams under way.',
  args: {
    id: { type: 'positional', required: true, description: 'The key, as "flm api-keys list" shows it.' },
  },
  examples: ['flm api-keys revoke 4fK2mQ7x'],
  async run({ cli, args }) {
    const revoked = await withBackend(cli, (backend) => backend.keys.revoke(args.id));
    cli.result(revoked, () => `Key ${revoked.id} no longer works.`);
  },
});
