/** `flm api-keys rotate` */
import { withBackend } from '../backend';
import { command } from '../command';
import { parseDuration } from '../duration';
import { keyText } from './text';

export default command({
  about: 'Replace an API key by a new one with the same rights.',
  args: {
    id: {
      type: 'positional',
      required: true,
      description: 'The key to replace, as "flm api-keys list" shows it.',
    },
    label: { type: 'string', description: 'A new label. Default: the old one.' },
    grace: {
      type: 'string',
      valueHint: '1h',
      description: 'How long the old key goes on working. Default: not at all.',
    },
  },
  examples: ['flm api-keys rotate 4fK2mQ7x', 'flm api-keys rotate 4fK2mQ7x --grace 24h'],
  async run({ cli, args }) {
    const rotated = await withBackend(cli, (backend) =>
      backend.keys.rotate(args.id, {
        ...(args.label === undefined ? {} : { label: args.label }),
        ...(args.grace === undefined ? {} : { grace_s: parseDuration('--grace', args.grace) }),
      }),
    );
    cli.result(
      rotated,
      () =>
        `${keyText(rotated)}\nThe old key ${rotated.old_key_id} works until ${rotated.old_key_valid_until}.`,
    );
  },
});
