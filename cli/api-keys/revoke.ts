/** `flm api-keys revoke` */
import { withBackend } from '../backend';
import { command } from '../command';
import { KEY_WORD, keyIdFor } from './id';

export default command({
  about: 'Revoke an API key. It stops working at once, also for streams under way.',
  args: { id: KEY_WORD },
  examples: ['flm api-keys revoke 4fK2mQ7x', 'flm api-keys revoke phone'],
  async run({ cli, args }) {
    const revoked = await withBackend(cli, async ({ keys }) => keys.revoke(await keyIdFor(keys, args.id)));
    cli.result(revoked, () => `Key ${revoked.id} no longer works.`);
  },
});
