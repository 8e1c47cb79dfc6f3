/** Where FLM can be reached, as rows for `columns`: this machine, its networks, and the whole world. */
import type { Status } from '../src/admin/client';

/** `uncertified`: hosts at which it listens and that no certificate holds, told where there is nothing else to tell. */
export function endpointRows(
  { endpoints }: Pick<Status, 'endpoints'>,
  uncertified: readonly string[] = [],
): (readonly [string, string])[] {
  const { localhost, local_networks: networks, public: open } = endpoints;
  if (localhost === null && networks.length + open.length === 0 && uncertified.length > 0)
    return [['API', `nowhere yet: no certificate holds ${uncertified.join(', ')}`]];
  return [
    ...labelled('API', localhost === null ? [] : [api(localhost)]),
    ...labelled('Network', networks.map(api)),
    ...labelled(
      'Public',
      open.map((url) => (url.startsWith('https:') ? api(url) : `${api(url)}  (not encrypted)`)),
    ),
  ];
}

/** `127.0.0.1:8080`, and with HTTPS `127.0.0.1:8081 (HTTPS; 8080 leads there)`. */
export function listensText({
  listen_addr: address,
  https_port: httpsPort,
  port,
}: Pick<Status['proxies'][number], 'listen_addr' | 'https_port' | 'port'>): string {
  if (httpsPort === null) return address;
  return `${address.slice(0, address.lastIndexOf(':'))}:${httpsPort} (HTTPS; ${port} leads there)`;
}

function api(url: string): string {
  return `${url}/v1`;
}

function labelled(label: string, lines: readonly string[]): (readonly [string, string])[] {
  return lines.map((line, index) => [index === 0 ? label : '', line]);
}
