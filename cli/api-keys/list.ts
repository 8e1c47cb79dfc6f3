/** `flm api-keys list` */
import { withBackend } from '../backend';
import { command } from '../command';
import { table } from '../table';

export default command({
  about: 'List all API keys, newest first. The keys themselves are kept nowhere.',
  examples: ['flm api-keys list', 'flm api-keys list --json'],
  async run({ cli }) {
    const list = await withBackend(cli, (backend) => backend.keys.list());
    cli.result(list, () =>
      table(
        ['ID', 'LABEL', 'STATUS', 'MODELS', 'CREATED', 'ENDS'],
        list.items.map((key) => [
          key.id,
          key.label,
          key.status,
          key.models === null ? 'all' : key.models.join(', '),
          key.created_at,
          key.revoked_at ?? key.expires_at ?? 'never',
        ]),
        'There is no API key yet. Make one with: flm api-keys create --label my-app',
      ),
    );
  },
});
