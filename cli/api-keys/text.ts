/** How a new key is shown to a person. */
import type { CreatedKey } from '../../src/admission';

export function keyText({ id, label, plain_key: plainKey, expires_at: expiresAt }: CreatedKey): string {
  return [
    plainKey,
    '',
    `Key ${id} for "${label}"${expiresAt === null ? '' : `, good until ${expiresAt}`}.`,
    'Keep it now: it is not shown again.',
  ].join('\n');
}
