/** `flm activity list` */
import { withBackend } from '../backend';
import { command } from '../command';
import { FILTER_ARGS, filterOf } from './filter';
import { PAGE_ARGS, pageOf } from './page';
import { listText } from './text';

export default command({
  about: 'List requests of clients, newest first.',
  args: { ...FILTER_ARGS, ...PAGE_ARGS },
  details: [
    'The outcome is "running" while a request is not over, and "unknown" where FLM',
    'ended before it was.',
    'Requests that were refused before anybody was recognised are in:',
    'flm activity refusals',
  ],
  examples: [
    'flm activity list',
    'flm activity list --status 5xx --since 24h',
    'flm activity list --key Ab12Cd34',
  ],
  async run({ cli, args }) {
    const [filter, page] = [filterOf(cli, args), pageOf(args)];
    const list = await withBackend(cli, (backend) => backend.activity.list(filter, page));
    cli.result(list, () => listText(list));
  },
});
