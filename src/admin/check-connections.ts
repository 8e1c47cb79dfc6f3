/** `flm check` on the connections of clients: whether slow ones and too many of them are cut. */
import type { Connections } from '../listeners';
import type { Check } from './check';

/** Says nothing while nobody can come from elsewhere. */
export function checkConnections({ guard }: Pick<Connections, 'guard'>): Check[] {
  switch (guard()) {
    case 'off':
      return [];
    case 'on':
      return [{ name: 'connections', status: 'ok', message: 'slow ones and too many of them are cut' }];
    case 'unavailable':
      return [
        {
          name: 'connections',
          status: 'warning',
          message:
            'this system does not let FLM see slow headers and idle connections: put a reverse proxy in front of an FLM that strangers can reach',
        },
      ];
  }
}
