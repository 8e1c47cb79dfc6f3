/** `flm security policy history` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { wholeNumber } from '../../numbers';
import { historyText } from './text';

export default command({
  about: 'Show who changed the security policy, when, and what, the newest first.',
  args: {
    limit: { type: 'string', valueHint: 'N', description: 'Versions to show. Default: 20, at most 200.' },
    cursor: { type: 'string', description: 'Go on where an earlier list ended: its "next".' },
  },
  examples: ['flm security policy history', 'flm security policy history --limit 5 --json'],
  async run({ cli, args }) {
    const limit = wholeNumber('limit', args.limit, { min: 1, max: 200 });
    const history = await withBackend(cli, (backend) =>
      backend.policy.history({
        ...(limit === null ? {} : { limit }),
        ...(args.cursor === undefined ? {} : { cursor: args.cursor }),
      }),
    );
    cli.result(history, () => historyText(history));
  },
});
