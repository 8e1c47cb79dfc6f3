/** Which key a person means: its id, its label when only one usable key has it, or the key itself, which holds its id. */
import type { KeysApi } from '../../src/admission';
import { FlmError } from '../../src/lib/errors';

/** What `rotate` and `revoke` take. */
export const KEY_WORD = {
  type: 'positional',
  required: true,
  description: 'The key: its id, as "flm api-keys list" shows it, or its label.',
} as const;

/**
 * `among`: of keys with the label rather those that wait to be collected.
 * @throws INVALID_INPUT when several usable keys have the label
 */
export async function keyIdFor(
  keys: Pick<KeysApi, 'list'>,
  text: string,
  among: 'usable' | 'waiting' = 'usable',
): Promise<string> {
  const { items } = await keys.list();
  if (items.some((key) => key.id === text)) return text;
  const usable = items.filter((key) => key.label === text && key.status === 'active');
  const waiting = usable.filter((key) => key.is_uncollected);
  const labelled = among === 'waiting' && waiting.length > 0 ? waiting : usable;
  if (labelled.length > 1) {
    const ids = labelled.map((key) => key.id).join(', ');
    throw new FlmError('INVALID_INPUT', {
      meta: { field: 'id', reason: `${labelled.length} keys have the label "${text}": ${ids}` },
      hint: 'Give one of these ids.',
    });
  }
  // Whoever pasted the whole key has pasted its id.
  return labelled[0]?.id ?? /^flm_([0-9A-Za-z]{8})/.exec(text)?.[1] ?? text;
}
