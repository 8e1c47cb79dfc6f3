/** `flm proxy onion status` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { table } from '../../table';

export default command({
  about: 'List the onion services of the proxies.',
  examples: ['flm proxy onion status', 'flm proxy onion status --json'],
  async run({ cli }) {
    const { items } = await withBackend(cli, (backend) => backend.proxies.list());
    const services = items.flatMap(({ id, port, onion }) => (onion === null ? [] : [{ id, port, ...onion }]));
    cli.result({ items: services, next: null }, () =>
      table(
        ['PROXY', 'ADDRESS', 'PUBLISHED', 'CLIENTS', 'REASON'],
        services.map(({ id, address, published, clients, reason }) => [
          id,
          address ?? '',
          published ? 'yes' : 'no',
          clients === 0 ? 'all' : String(clients),
          reason ?? '',
        ]),
        'No proxy is reached through Tor. Start one with: flm proxy start --onion',
      ),
    );
  },
});
