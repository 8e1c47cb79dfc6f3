/** `flm activity refusals` */
import { withBackend } from '../backend';
import { command } from '../command';
import { RANGE_ARGS, rangeOf } from './filter';
import { PAGE_ARGS, pageOf } from './page';
import { refusalsText } from './text';

export default command({
  about: 'List requests that were refused before anybody was recognised, counted by minute.',
  args: { ...RANGE_ARGS, ...PAGE_ARGS },
  details: [
    'Counts come within a minute: when the minute they were counted in is over.',
    'In a flood, sources beyond 1,024 a minute and 4,096 an hour are counted',
    'together, as (others).',
  ],
  examples: ['flm activity refusals --since 1h'],
  async run({ cli, args }) {
    const [range, page] = [rangeOf(cli, args), pageOf(args)];
    const list = await withBackend(cli, (backend) => backend.activity.refusals(range, page));
    cli.result(list, () => refusalsText(list));
  },
});
