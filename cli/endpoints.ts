/** Where FLM can be reached, as rows for `columns`: this machine, its networks, and the whole world. */
import type { Status } from '../src/admin/client';

export function endpointRows({ endpoints }: Pick<Status, 'endpoints'>): (readonly [string, string])[] {
  const { localhost, local_networks: networks, public: open } = endpoints;
  return [
    ...labelled('API', localhost === null ? [] : [api(localhost)]),
    ...labelled('Network', networks.map(api)),
    ...labelled(
      'Public',
      open.map((url) => `${api(url)}  (not encrypted)`),
    ),
  ];
}

function api(url: string): string {
  return `${url}/v1`;
}

function labelled(label: string, lines: readonly string[]): (readonly [string, string])[] {
  return lines.map((line, index) => [index === 0 ? label : '', line]);
}
