/** `flm admin token` */
import type { IssuedToken } from '../../src/admin/client';
import { withBackend } from '../backend';
import { command } from '../command';
import { columns } from '../table';
import { localTime } from '../time';

export default command({
  about: 'Print a token that opens one session of the admin API, within five minutes.',
  examples: ['flm admin token', 'flm admin token --json'],
  async run({ cli }) {
    const issued = await withBackend(cli, (backend) => backend.sessions.issueToken());
    cli.result(issued, () => textOf(issued));
  },
});

function textOf({ token, url, expires_at: expiresAt }: IssuedToken): string {
  const rows = columns([
    ['Browser', `${url}/swagger#token=${token}`],
    ['Token', token],
    ['Good until', localTime(expiresAt)],
  ]);
  return `${rows}\n\nIt opens one session, for whoever has it: give it to nobody.`;
}
