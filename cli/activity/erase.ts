/** `flm activity erase` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { erasedText } from './text';

export default command({
  about: 'Erase the address of a client from the request log, on all days.',
  args: {
    ip: { type: 'string', required: true, valueHint: 'address', description: 'The address of the client.' },
  },
  details: [
    'The rows stay, without the address, and the log stays valid. That it was done',
    'is put on record, not whose address it was. This cannot be taken back.',
  ],
  examples: ['flm activity erase --ip 203.0.113.7'],
  async run({ cli, args }) {
    const erased = await withProgress(cli, 'Erasing', () =>
      withBackend(cli, (backend) => backend.activity.erase({ ip: args.ip })),
    );
    cli.result(erased, () => erasedText(erased));
  },
});
