/** What the verbs that change the list take. */
import type { ArgsDef } from 'citty';
import type { NetworkInput } from '../../../src/policy';

export const NETWORK_ARGS = {
  network: {
    type: 'positional',
    required: true,
    description: 'An address, or a network such as 192.168.0.0/16.',
  },
  note: {
    type: 'string',
    valueHint: 'text',
    description: 'Why, for whoever reads the history of the policy.',
  },
  force: {
    type: 'boolean',
    description: 'Also when that shuts out everybody who used FLM in the last hour.',
  },
} as const satisfies ArgsDef;

interface Given {
  readonly network: string;
  readonly note?: string | undefined;
  readonly force?: boolean | undefined;
}

export function inputOf({ network, note, force }: Given): NetworkInput {
  return { network, ...(note === undefined ? {} : { note }), ...(force === true ? { force } : {}) };
}
