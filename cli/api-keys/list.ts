/** `flm api-keys list` */
import type { ApiKey } from '../../src/admission';
import { withBackend } from '../backend';
import { command } from '../command';
import { type Row, table } from '../table';
import { localTime } from '../time';
import { termsText } from './text';

export default command({
  about: 'List all API keys, newest first. The keys themselves are kept nowhere.',
  examples: ['flm api-keys list', 'flm api-keys list --json'],
  async run({ cli }) {
    const list = await withBackend(cli, (backend) => backend.keys.list());
    cli.result(list, () =>
      table(
        ['ID', 'LABEL', 'STATUS', 'MODELS', 'CREATED', 'ENDS'],
        list.items.map(rowOf),
        'There is no API key yet. Make one with: flm api-keys create --label my-app',
      ),
    );
  },
});

function rowOf(key: ApiKey): Row {
  const { id, label, status, models, created_at: created, ...ends } = key;
  const end = ends.revoked_at ?? ends.expires_at;
  const terms = termsText(key);
  return {
    cells: [
      id,
      label,
      status,
      models === null ? 'all' : String(models.length),
      localTime(created),
      end === null ? 'never' : localTime(end),
    ],
    below: terms.length === 0 ? null : terms.join(' · '),
  };
}
