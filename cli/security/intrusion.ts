/** `flm security intrusion` */
import { withBackend } from '../backend';
import { command } from '../command';
import { wholeNumber } from '../numbers';
import { SIGNAL_ARGS, signalPageOf } from './page';
import { intrusionsText } from './text';

export default command({
  about: 'List what strangers did to find a way in, the newest first.',
  args: {
    ...SIGNAL_ARGS,
    'min-score': { type: 'string', valueHint: 'n', description: 'Only what counts at least this.' },
  },
  examples: ['flm security intrusion', 'flm security intrusion --ip 203.0.113.7 --min-score 20'],
  async run({ cli, args: { 'min-score': least, ...args } }) {
    const minScore = wholeNumber('min-score', least, { min: 0, max: 1_000 });
    const query = { ...signalPageOf(args), ...(minScore === null ? {} : { min_score: minScore }) };
    const list = await withBackend(cli, ({ security }) => security.intrusions(query));
    cli.result(list, () => intrusionsText(list));
  },
});
