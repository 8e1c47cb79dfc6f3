/** The request log as the admin API tells it (FLM-118). */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';

const count = (description: string) => Type.Integer({ description });

export const ActivityEntry = Type.Object(
  {
    time: Type.String({ format: 'date-time', description: 'When the request arrived.' }),
    request_id: Type.String({ description: 'As in x-request-id.' }),
    client_ip: nullable(Type.String(), { description: 'Null once it was erased.' }),
    method: Type.String(),
    endpoint: Type.String({ examples: ['/v1/chat/completions'] }),
    api_key_id: nullable(Type.String()),
    model: nullable(Type.String(), { description: 'As the client wrote it.' }),
    engine_id: nullable(Type.String(), { description: 'The engine that was asked last.' }),
    attempts: count('Engines that were asked.'),
    stream: Type.Boolean(),
    outcome: oneOf(['done', 'aborted', 'failed', 'refused', 'running', 'unknown'], {
      description: 'aborted: the client left. running: it is not over yet. unknown: FLM ended before it did.',
    }),
    status: nullable(Type.Integer(), { description: 'HTTP status; null while there is no answer.' }),
    error: nullable(Type.String(), { description: 'Code of the error the client was told.' }),
    queue_ms: count('Time in the queues of engines.'),
    first_byte_ms: nullable(Type.Integer()),
    first_token_ms: nullable(Type.Integer()),
    latency_ms: count('From its arrival to its last byte, or to the moment it was told of.'),
    prompt_tokens: nullable(Type.Integer()),
    completion_tokens: nullable(Type.Integer()),
    cached_tokens: nullable(Type.Integer()),
    reasoning_tokens: nullable(Type.Integer()),
  },
  { description: 'One request of somebody with a key.' },
);
export type ActivityEntry = Static<typeof ActivityEntry>;

export const ActivityList = Type.Object(
  {
    items: Type.Array(ActivityEntry),
    next: nullable(Type.String({ description: 'Where the list goes on.' })),
  },
  { description: 'Requests, newest first.' },
);
export type ActivityList = Static<typeof ActivityList>;

export const RefusalEntry = Type.Object({
  time: Type.String({ format: 'date-time', description: 'The minute.' }),
  source: nullable(Type.String(), {
    description: 'An IPv4 address, the /64 of an IPv6 one, or (others); null once it was erased.',
  }),
  endpoint: Type.String({ description: 'What is made up is /v1/… or (other).' }),
  reason: Type.String(),
  status: Type.Integer(),
  requests: Type.Integer(),
});
export type RefusalEntry = Static<typeof RefusalEntry>;

export const RefusalList = Type.Object(
  { items: Type.Array(RefusalEntry), next: nullable(Type.String()) },
  {
    description: 'Requests that were refused before anybody was recognised, counted by minute; newest first.',
  },
);
export type RefusalList = Static<typeof RefusalList>;

export const STATS_BY = ['model', 'key', 'engine', 'day'] as const;
export type StatsBy = (typeof STATS_BY)[number];

const Totals = {
  requests: Type.Integer(),
  errors: count('Answered with 400 or more, or broken off by the engine.'),
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  p50_ms: nullable(Type.Integer(), { description: 'Half of them took no longer, to 1 %.' }),
  p95_ms: nullable(Type.Integer()),
};

export const ActivityStats = Type.Object(
  {
    by: oneOf(STATS_BY),
    since: nullable(Type.String({ format: 'date-time' })),
    until: nullable(Type.String({ format: 'date-time' })),
    items: Type.Array(Type.Object({ name: nullable(Type.String()), ...Totals })),
    total: Type.Object(Totals),
    refused: count('Requests that were refused before anybody was recognised; they are in no group.'),
  },
  { description: 'What requests add up to, the most frequent first.' },
);
export type ActivityStats = Static<typeof ActivityStats>;

export const FAULTS = [
  'ledger',
  'missing-day',
  'wrong-day',
  'unreadable',
  'missing-block',
  'wrong-block',
  'missing-row',
  'extra-row',
  'changed-row',
  'changed-address',
  'anchor',
] as const;

export const ActivityVerdict = Type.Object(
  {
    valid: Type.Boolean(),
    days: Type.Integer(),
    rows: count('Rows that were examined.'),
    blocks: Type.Integer(),
    removed_days: Type.Array(Type.String(), { description: 'Days that are gone, on record.' }),
    anchored_rows: count('Rows up to the last anchor that was compared.'),
    unanchored_rows: count('Rows after it: they could be cut off unnoticed.'),
    fault: nullable(
      Type.Object({
        kind: oneOf(FAULTS),
        day: nullable(Type.String()),
        block: nullable(Type.Integer()),
        row: nullable(Type.Integer()),
        message: Type.String(),
      }),
      { description: 'The first thing that is not as it was written.' },
    ),
  },
  { description: 'Whether the request log is as FLM wrote it.' },
);
export type ActivityVerdict = Static<typeof ActivityVerdict>;

export const EraseInput = Type.Object(
  { ip: Type.String({ minLength: 2, maxLength: 45, description: 'The address of the client.' }) },
  { additionalProperties: false },
);
export type EraseInput = Static<typeof EraseInput>;

export const Erased = Type.Object(
  {
    days: count('Days in which the address stood.'),
    places: count('Places it was erased from.'),
  },
  { description: 'What was erased.' },
);
export type Erased = Static<typeof Erased>;

export const OUTCOME_FILTERS = ['done', 'aborted', 'failed', 'refused'] as const;

/** Which requests. Null means any. */
export interface ActivityFilter {
  readonly key: string | null;
  readonly model: string | null;
  readonly engine: string | null;
  /** `404`, or a class such as `4xx`. */
  readonly status: string | null;
  readonly outcome: (typeof OUTCOME_FILTERS)[number] | null;
  readonly ip: string | null;
  readonly requestId: string | null;
  /** Arrival, milliseconds UTC, both included. */
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
}

export interface ActivityPage {
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor: string | null;
}

export interface StatsQuery {
  readonly by: StatsBy;
  readonly key: string | null;
  readonly model: string | null;
  readonly engine: string | null;
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
}

export const EXPORT_FORMATS = ['json', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What can be asked of the request log, here or in the FLM that runs. */
export interface ActivityApi {
  /** @throws INVALID_INPUT for a cursor, a status or an address that is none */
  list(filter: ActivityFilter, page: ActivityPage): Promise<ActivityList>;
  refusals(range: Pick<ActivityFilter, 'sinceMs' | 'untilMs'>, page: ActivityPage): Promise<RefusalList>;
  stats(query: StatsQuery): Promise<ActivityStats>;
  /** Pieces of text, oldest rows first: a JSON object a line, or CSV with a header. @throws as list */
  export(filter: ActivityFilter, format: ExportFormat): AsyncIterable<string>;
  verify(): Promise<ActivityVerdict>;
  /** @throws INVALID_INPUT when it is no address */
  erase(input: EraseInput): Promise<Erased>;
}
