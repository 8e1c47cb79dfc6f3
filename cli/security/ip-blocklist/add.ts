/** `flm security ip-blocklist add` */
import { BanInput } from '../../../src/security';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { DURATION, parseDuration } from '../../duration';
import { bannedText } from '../text';

const { for_s: LENGTH } = BanInput.properties;

export default command({
  about: 'Ban an address or network. It is refused at once, also with a valid key.',
  args: {
    ip: {
      type: 'positional',
      required: true,
      valueHint: 'ip|cidr',
      description: 'An address or a network; an IPv6 address stands for its /64.',
    },
    reason: { type: 'string', description: 'Why, for whoever reads the list.' },
    for: {
      type: 'string',
      valueHint: '1h',
      description: `How long: ${DURATION}. Default: until you lift it.`,
    },
    force: {
      type: 'boolean',
      description:
        'Also a network from which somebody used FLM in the last hour, or one wider than /8 (IPv6: /16).',
    },
  },
  examples: [
    'flm security ip-blocklist add 203.0.113.7 --reason "tries keys"',
    'flm security ip-blocklist add 203.0.113.0/24 --for 7d',
  ],
  async run({ cli, args }) {
    const input: BanInput = {
      ip: args.ip,
      ...(args.reason === undefined ? {} : { reason: args.reason }),
      ...(args.for === undefined ? {} : { for_s: parseDuration('--for', args.for, LENGTH) }),
      ...(args.force === true ? { force: true } : {}),
    };
    const ban = await withBackend(cli, ({ security }) => security.ban(input));
    cli.result(ban, () => bannedText(ban));
  },
});
