/** The word that names a setting, the same for every verb that takes one. */
import type { ArgDef } from 'citty';
import { SETTING_KEYS } from '../../src/config';

export const SETTING_WORD = {
  type: 'positional',
  required: true,
  // Shells complete it.
  valueHint: SETTING_KEYS.join('|'),
  description: 'The setting, such as proxy.port.',
} as const satisfies ArgDef;
