/** The options of a list that goes on. */
import type { ActivityPage } from '../../src/activity';
import { wholeNumber } from '../numbers';

export const PAGE_ARGS = {
  limit: { type: 'string', valueHint: 'n', description: 'At most so many rows, 1 to 1000. Default: 50.' },
  cursor: {
    type: 'string',
    valueHint: 'cursor',
    description: 'Where the list before this one ended: its "next".',
  },
} as const;

/** @throws INVALID_INPUT */
export function pageOf(args: {
  readonly limit?: string | undefined;
  readonly cursor?: string | undefined;
}): ActivityPage {
  return {
    limit: wholeNumber('limit', args.limit, { min: 1, max: 1_000 }) ?? 50,
    cursor: args.cursor ?? null,
  };
}
