/** `flm proxy onion remove` */
import { requireRunning } from '../../backend';
import { command } from '../../command';
import { onionProxy } from './which';

export default command({
  about: 'Take a proxy off the Tor network and forget its address. It goes on serving otherwise.',
  args: {
    port: { type: 'string', valueHint: 'N', description: 'The port of the proxy, where several have one.' },
  },
  examples: ['flm proxy onion remove', 'flm proxy onion remove --port 8080'],
  async run({ cli, args }) {
    const client = await requireRunning(cli);
    const id = await onionProxy(client, args.port);
    const proxy = await client.proxies.removeOnion({ id });
    cli.result(proxy, () => `The proxy on port ${proxy.port} is no longer reached through Tor.`);
  },
});
