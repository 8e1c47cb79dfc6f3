/** `flm security audit-logs erase` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { count } from '../../words';

export default command({
  about: 'Erase an address from all rows. The log stays valid, and the erasure is put on record.',
  args: {
    ip: { type: 'string', required: true, valueHint: 'address', description: 'The address to erase.' },
  },
  examples: ['flm security audit-logs erase --ip 203.0.113.7'],
  async run({ cli, args: { ip } }) {
    const erased = await withBackend(cli, (backend) => backend.audit.erase({ ip }));
    cli.result(erased, () =>
      erased.rows === 0
        ? 'No row holds that address.'
        : `The address is erased from ${count(erased.rows, 'row')}.`,
    );
  },
});
