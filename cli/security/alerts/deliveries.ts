/** `flm security alerts deliveries` */
import { DELIVERY_STATES } from '../../../src/telemetry';
import { withBackend } from '../../backend';
import { wordOf } from '../../choice';
import { command } from '../../command';
import { wholeNumber } from '../../numbers';
import { deliveriesText } from './text';

export default command({
  about: 'Show what was sent, what waits to be sent, and what did not arrive, the newest first.',
  args: {
    state: { type: 'string', valueHint: DELIVERY_STATES.join('|'), description: 'Only these.' },
    limit: { type: 'string', valueHint: 'N', description: 'Rows to show. Default: 100, at most 1000.' },
    cursor: { type: 'string', description: 'Go on where an earlier list ended: its "next".' },
  },
  examples: ['flm security alerts deliveries', 'flm security alerts deliveries --state waiting'],
  async run({ cli, args }) {
    const limit = wholeNumber('limit', args.limit, { min: 1, max: 1_000 });
    const query = {
      ...(args.state === undefined ? {} : { state: wordOf('state', args.state, DELIVERY_STATES) }),
      ...(limit === null ? {} : { limit }),
      ...(args.cursor === undefined ? {} : { cursor: args.cursor }),
    };
    const list = await withBackend(cli, (backend) => backend.alerts.deliveries(query));
    cli.result(list, () => {
      const more = list.next === null ? '' : `\n\nThere are more: --cursor ${list.next}`;
      return deliveriesText(list.items) + more;
    });
  },
});
