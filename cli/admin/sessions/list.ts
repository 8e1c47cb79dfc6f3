/** `flm admin sessions list` */
import type { SessionView } from '../../../src/admin/client';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { type Row, table } from '../../table';
import { localTime } from '../../time';

export default command({
  about: 'List the sessions of the admin API, newest first.',
  examples: ['flm admin sessions list', 'flm admin sessions list --json'],
  async run({ cli }) {
    const list = await withBackend(cli, (backend) => backend.sessions.list());
    cli.result(list, () =>
      table(
        ['ID', 'OPENED', 'LAST USED', 'ENDS', 'WITH'],
        list.items.map(rowOf),
        'There is no session. "flm admin token" lets a browser or a script open one.',
      ),
    );
  },
});

function rowOf({ id, created_at: opened, last_used_at: used, ...session }: SessionView): Row {
  return {
    cells: [id, localTime(opened), localTime(used), localTime(session.expires_at), session.user_agent ?? '?'],
    below: null,
  };
}
