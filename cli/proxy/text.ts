/** Proxies in words. */
import type { ProxyView } from '../../src/listeners';
import { endpointRows, listensText } from '../endpoints';
import { columns, table } from '../table';
import { clientRows } from './clients';

export function proxiesText(proxies: readonly ProxyView[]): string {
  return table(
    ['ID', 'MODE', 'LISTENS', 'STATUS', 'REQUESTS', 'EGRESS', 'REASON'],
    proxies.map((proxy) => [
      proxy.id,
      proxy.mode,
      listensText(proxy),
      proxy.status,
      String(proxy.requests),
      proxy.egress.socks5_endpoint ?? proxy.egress.mode,
      proxy.last_error ?? '',
    ]),
    'No proxy runs. Start one with: flm proxy start',
  );
}

/** Where it is reached through Tor, or why it is not. */
export function onionRow({ onion }: Pick<ProxyView, 'onion'>): (readonly [string, string])[] {
  if (onion === null) return [];
  const { address, published, reason, clients } = onion;
  const where = address === null ? 'not yet' : `http://${address}/v1`;
  const who = clients === 0 ? '' : ` (for ${clients} ${clients === 1 ? 'client' : 'clients'})`;
  return [['Onion', published ? where + who : `${where}, not published: ${reason ?? ''}`]];
}

/** A line for each proxy besides the one that was told of. */
export function othersText(proxies: readonly ProxyView[], told: ProxyView | null): string[] {
  return proxies
    .filter(({ id }) => id !== told?.id)
    .map(({ port, running, last_error: reason }) =>
      running
        ? `FLM also serves on port ${port}.`
        : `Port ${port} is tried again every five seconds: ${reason ?? 'it does not run'}`,
    );
}

/** `null`: FLM runs, and tries those again that it could not start. */
export function startedText(proxy: ProxyView | null): string {
  if (proxy === null) return 'FLM runs, but none of its proxies does yet: flm proxy status';
  return [
    `FLM serves on port ${proxy.port} (process ${proxy.pid}).`,
    columns([
      ...endpointRows(proxy, proxy.uncertified),
      ...onionRow(proxy),
      ['Listens', listensText(proxy)],
      ...clientRows(proxy),
    ]),
    `Stop it with: flm proxy stop --port ${proxy.port}`,
  ].join('\n');
}
