/** How a new key is shown to a person. */
import type { CreatedKey } from '../../src/admission';
import { FlmError } from '../../src/lib/errors';
import { printable } from '../table';
import { localTime } from '../time';

/** The failure to show a key, with what has become of the key. */
export function unseen(error: unknown, hint: string): unknown {
  if (!(error instanceof FlmError)) return error;
  return new FlmError(error.code, { meta: error.meta, cause: error.cause, hint });
}

export function keyText({ id, label, plain_key: plainKey, expires_at: expiresAt }: CreatedKey): string {
  return [
    plainKey,
    '',
    `Key ${id} for "${printable(label)}"${expiresAt === null ? '' : `, good until ${localTime(expiresAt)}`}.`,
    'Keep it now: it is not shown again.',
  ].join('\n');
}
