/** How a new key is shown to a person. */
import type { CreatedKey } from '../../src/admission';
import { printable } from '../table';
import { localTime } from '../time';

export function keyText({ id, label, plain_key: plainKey, expires_at: expiresAt }: CreatedKey): string {
  return [
    plainKey,
    '',
    `Key ${id} for "${printable(label)}"${expiresAt === null ? '' : `, good until ${localTime(expiresAt)}`}.`,
    'Keep it now: it is not shown again.',
  ].join('\n');
}
