/** `flm security ip-blocklist list` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { PAGE_ARGS, pageOf } from '../page';
import { bansText } from '../text';

export default command({
  about: 'List who is banned, the newest first.',
  args: PAGE_ARGS,
  examples: ['flm security ip-blocklist list', 'flm security ip-blocklist list --json'],
  async run({ cli, args }) {
    const page = pageOf(args);
    const list = await withBackend(cli, ({ security }) => security.bans(page));
    cli.result(list, () => bansText(list));
  },
});
