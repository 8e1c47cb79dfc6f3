/** `flm config list` */
import { withBackend } from '../backend';
import { command } from '../command';
import { table } from '../table';

export default command({
  about: 'List all settings and where their values come from.',
  examples: ['flm config list', 'flm config list --json'],
  async run({ cli }) {
    const list = await withBackend(cli, (backend) => backend.config.list());
    cli.result(list, () =>
      table(
        ['SETTING', 'VALUE', 'FROM'],
        list.items.map(({ key, value, source, waits }) => [
          key,
          value === '' ? '(none)' : value,
          waits ? `${source}, after the next start` : source,
        ]),
        'There are no settings.',
      ),
    );
  },
});
