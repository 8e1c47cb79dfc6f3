/** Options that take one of a few words. */
import { FlmError } from '../src/lib/errors';

/** The word itself, where it is one of them. @throws INVALID_INPUT naming those that are */
export function wordOf<const Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  const reason = `"${text}" is none of ${words.join(', ')}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: `--${name}`, reason } });
}
