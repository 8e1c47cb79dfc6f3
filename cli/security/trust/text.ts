/** What became of each store of roots, for people. */
import type { StoreReport } from '../../../certs';
import { columns } from '../../table';

const WORDS = {
  added: '✓ trusts it now',
  present: '✓ trusted it already',
  removed: '✓ taken out',
  absent: '✓ was not in it',
  skipped: '- left out',
  failed: '✗ not done',
} as const satisfies Record<StoreReport['result'], string>;

/** One line for each store. */
export function reportText(items: readonly StoreReport[]): string {
  return columns(
    items.map(({ store, result, message }) => [
      store,
      message === null ? WORDS[result] : `${WORDS[result]}: ${message}`,
    ]),
  );
}
