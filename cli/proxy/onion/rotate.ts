/** `flm proxy onion rotate` */
import { requireRunning } from '../../backend';
import { command } from '../../command';
import { columns } from '../../table';
import { onionRow } from '../text';
import { onionProxy } from './which';

export default command({
  about: 'Give an onion service another address. The one before leads nowhere any more.',
  args: {
    port: { type: 'string', valueHint: 'N', description: 'The port of the proxy, where several have one.' },
  },
  examples: ['flm proxy onion rotate', 'flm proxy onion rotate --port 8080'],
  async run({ cli, args }) {
    const client = await requireRunning(cli);
    const id = await onionProxy(client, args.port);
    const proxy = await client.proxies.rotateOnion({ id });
    cli.result(proxy, () => columns(onionRow(proxy)));
  },
});
