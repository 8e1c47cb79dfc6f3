/** Whole numbers as options. */
import { FlmError } from '../src/lib/errors';

/** The number an option holds, or null when it was not given. @throws INVALID_INPUT outside of `min` to `max` */
export function wholeNumber(
  name: string,
  text: string | undefined,
  { min, max }: { readonly min: number; readonly max: number },
): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  const reason = `"${text}" is not a whole number from ${min} to ${max}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: `--${name}`, reason } });
}
