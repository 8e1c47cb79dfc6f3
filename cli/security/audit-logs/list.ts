/** `flm security audit-logs list` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { wholeNumber } from '../../numbers';
import { FILTER_ARGS, filterFrom } from './filter';
import { rowsText } from './text';

export default command({
  about: 'Show who changed what, the newest first.',
  args: {
    ...FILTER_ARGS,
    limit: { type: 'string', valueHint: 'N', description: 'Rows to show. Default: 100, at most 1000.' },
    cursor: { type: 'string', description: 'Go on where an earlier list ended: its "next".' },
  },
  examples: [
    'flm security audit-logs',
    'flm security audit-logs list --event-type key --since 7d',
    'flm security audit-logs list --severity high --json',
  ],
  async run({ cli, args }) {
    const limit = wholeNumber('limit', args.limit, { min: 1, max: 1_000 });
    const query = {
      ...filterFrom(args, cli),
      ...(limit === null ? {} : { limit }),
      ...(args.cursor === undefined ? {} : { cursor: args.cursor }),
    };
    const list = await withBackend(cli, (backend) => backend.audit.list(query));
    cli.result(list, () => {
      const more = list.next === null ? '' : `\n\nThere are more: --cursor ${list.next}`;
      return rowsText(list.items) + more;
    });
  },
});
