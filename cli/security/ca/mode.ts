/** The option that says which of the two private authorities is meant. */
import type { ArgsDef } from 'citty';
import { AUTHORITY_MODES, type AuthorityMode } from '../../../certs';

export const MODE_ARG = {
  mode: {
    type: 'enum' as const,
    options: [...AUTHORITY_MODES],
    description:
      'Whose root: that which machines are made to trust, or that of dev-selfsigned. Default: packaged-ca.',
  },
} satisfies ArgsDef;

export function modeFrom(text: string | undefined): AuthorityMode {
  return AUTHORITY_MODES.find((known) => known === text) ?? 'packaged-ca';
}
