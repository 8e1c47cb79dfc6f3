/** `flm security certificates list` */
import type { CertificateView } from '../../../certs';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { type Row, table } from '../../table';
import { localTime } from '../../time';

export default command({
  about: 'List the certificates that FLM shows, those that end first in front.',
  examples: ['flm security certificates list', 'flm security certificates list --json'],
  async run({ cli }) {
    const list = await withBackend(cli, ({ certs }) => certs.list());
    cli.result(list, () =>
      table(
        ['ID', 'MODE', 'NAMES', 'STATUS', 'ENDS', 'ISSUER'],
        list.items.map(rowOf),
        'There is no certificate yet. Bring one with: flm security certificates import --cert fullchain.pem --key key.pem',
      ),
    );
  },
});

/** Enough to tell them apart, and to remove one. */
const SHOWN_ID = 16;

function rowOf({ id, mode, domain, names, status, expires_at: end, issuer }: CertificateView): Row {
  return {
    cells: [id.slice(0, SHOWN_ID), mode, domain, status, localTime(end), issuer],
    below: names.length > 1 ? `also ${names.slice(1).join(', ')}` : null,
  };
}
