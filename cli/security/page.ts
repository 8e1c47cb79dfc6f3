/** The options of the lists of abuse protection. */
import { wholeNumber } from '../numbers';

export const PAGE_ARGS = {
  limit: { type: 'string', valueHint: 'n', description: 'At most so many rows, 1 to 1000. Default: 100.' },
  cursor: {
    type: 'string',
    valueHint: 'cursor',
    description: 'Where the list before this one ended: its "next".',
  },
} as const;

export const SIGNAL_ARGS = {
  ip: { type: 'string', valueHint: 'address', description: 'Only of this address; of IPv6, of its /64.' },
  ...PAGE_ARGS,
  offset: { type: 'string', valueHint: 'n', description: 'Rows to pass over.' },
} as const;

interface Page {
  readonly limit?: string | undefined;
  readonly cursor?: string | undefined;
}

/** @throws INVALID_INPUT */
export function pageOf({ limit, cursor }: Page): { limit: number; cursor?: string } {
  return {
    limit: wholeNumber('limit', limit, { min: 1, max: 1_000 }) ?? 100,
    ...(cursor === undefined ? {} : { cursor }),
  };
}

/** @throws INVALID_INPUT */
export function signalPageOf({
  ip,
  offset,
  ...page
}: Page & { readonly ip?: string | undefined; readonly offset?: string | undefined }) {
  const passed = wholeNumber('offset', offset, { min: 0, max: 1_000_000 });
  return {
    ...pageOf(page),
    ...(ip === undefined ? {} : { ip }),
    ...(passed === null ? {} : { offset: passed }),
  };
}
