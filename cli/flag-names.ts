/** What rooms say of fields of the admin API, in the words of the command line. */
import { errorFromWire, FlmError } from '../src/lib/errors';

/**
 * Does the work; where an INVALID_INPUT of it names a field, it names the flag instead. Only the field at the front and
 * names with an underscore are taken for names: the rest may be what somebody typed.
 */
export async function inFlags<Result>(
  flags: Readonly<Record<string, string>>,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FlmError) || error.code !== 'INVALID_INPUT') throw error;
    throw errorFromWire({ code: error.code, message: flagged(error.message, flags), hint: error.hint });
  }
}

export function flagged(message: string, flags: Readonly<Record<string, string>>): string {
  return Object.entries(flags).reduce((text, [field, flag]) => {
    const place = field.includes('_') ? `\\b${field}\\b` : `^${field}(?=:)`;
    return text.replaceAll(new RegExp(place, 'g'), flag);
  }, message);
}
