/** The options that say which requests, the same for every verb that takes them. */
import { type ActivityFilter, OUTCOME_FILTERS } from '../../src/activity';
import { FlmError } from '../../src/lib/errors';
import type { Cli } from '../cli';
import { DURATION, parseDuration } from '../duration';

export const RANGE_ARGS = {
  since: {
    type: 'string',
    valueHint: 'time',
    description: `Requests that arrived since then: a time such as 2026-11-23T08:00, or how long ago (${DURATION}).`,
  },
  until: { type: 'string', valueHint: 'time', description: 'Requests that arrived until then; as --since.' },
} as const;

export const FILTER_ARGS = {
  ...RANGE_ARGS,
  key: { type: 'string', valueHint: 'id', description: 'Of this API key.' },
  model: { type: 'string', valueHint: 'name', description: 'For this model, as clients wrote it.' },
  engine: { type: 'string', valueHint: 'id', description: 'That this engine was asked for.' },
  status: {
    type: 'string',
    valueHint: 'status',
    description: 'Answered with this HTTP status, such as 404, or 4xx.',
  },
  outcome: {
    type: 'string',
    valueHint: OUTCOME_FILTERS.join('|'),
    description: `How it ended: ${OUTCOME_FILTERS.join(', ')}.`,
  },
  ip: { type: 'string', valueHint: 'address', description: 'Of the client with this address.' },
  request: { type: 'string', valueHint: 'id', description: 'With this id, as in x-request-id.' },
} as const;

type Given<Name extends string> = { readonly [Key in Name]?: string | undefined };

/** @throws INVALID_INPUT */
export function rangeOf(cli: Cli, args: Given<'since' | 'until'>) {
  return {
    sinceMs: timeOf(cli, '--since', args.since),
    untilMs: timeOf(cli, '--until', args.until),
  };
}

/** @throws INVALID_INPUT */
export function filterOf(cli: Cli, args: Given<keyof typeof FILTER_ARGS>): ActivityFilter {
  const outcome = OUTCOME_FILTERS.find((known) => known === args.outcome) ?? null;
  if (args.outcome !== undefined && outcome === null)
    throw invalid('--outcome', `"${args.outcome}" is none of ${OUTCOME_FILTERS.join(', ')}`);
  if (args.status !== undefined && !/^[1-5](?:\d\d|xx)$/.test(args.status))
    throw invalid('--status', `"${args.status}" is no status such as 404 or 4xx`);
  return {
    ...rangeOf(cli, args),
    key: args.key ?? null,
    model: args.model ?? null,
    engine: args.engine ?? null,
    status: args.status ?? null,
    outcome,
    ip: args.ip ?? null,
    requestId: args.request ?? null,
  };
}

function timeOf(cli: Cli, option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d+[smhdw]$/.test(text)) return cli.clock.nowMs() - parseDuration(option, text) * 1_000;
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw invalid(option, `"${text}" is neither a time such as 2026-11-23T08:00 nor a length such as 24h`);
  return ms;
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
