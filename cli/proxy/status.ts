/** `flm proxy status` */
import { withBackend } from '../backend';
import { command } from '../command';
import { proxiesText } from './text';

export default command({
  about: 'Show all proxies: those that run, and those that are started with FLM.',
  examples: ['flm proxy status', 'flm proxy status --json'],
  async run({ cli }) {
    const list = await withBackend(cli, (backend) => backend.proxies.list());
    cli.result(list, () => proxiesText(list.items));
  },
});
