/** `flm security anomaly` */
import { withBackend } from '../backend';
import { command } from '../command';
import { SIGNAL_ARGS, signalPageOf } from './page';
import { anomaliesText } from './text';

export default command({
  about: 'List what no client does, and when the machine was at its limit; the newest first.',
  args: {
    ...SIGNAL_ARGS,
    'anomaly-type': { type: 'string', valueHint: 'request_rate', description: 'Only what is called so.' },
  },
  examples: ['flm security anomaly', 'flm security anomaly --anomaly-type request_rate --limit 10'],
  async run({ cli, args: { 'anomaly-type': type, ...args } }) {
    const query = { ...signalPageOf(args), ...(type === undefined ? {} : { anomaly_type: type }) };
    const list = await withBackend(cli, ({ security }) => security.anomalies(query));
    cli.result(list, () => anomaliesText(list));
  },
});
