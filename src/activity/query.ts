/** Finds rows in the file of one day. Each query is told which index to take: the rarest thing that is asked for. */
import { ipBucket, parseIp } from '../lib/ip';
import type { ActivityFilter, StatsBy, StatsQuery } from './model';
import { KINDS, OUTCOMES, type RowKind } from './row';
import type { DayStore } from './store';

/** Numbers of rows, both included. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

export interface FindOptions {
  readonly kinds: readonly RowKind[];
  readonly order: 'newest' | 'oldest';
  readonly limit: number;
  readonly span: Span;
}

/** Beyond this many rows it does not matter how many more there are. */
const COUNT_LIMIT = 20_000;

/** Numbers of rows that match, within a span. */
export function findRows(store: DayStore, filter: ActivityFilter, options: FindOptions): readonly number[] {
  const plan = planOf(store, filter, options.kinds);
  const span = plan === null ? null : within(store, filter, options.span);
  if (plan === null || span === null) return [];
  const { index, where, args } = plan;
  const kinds = options.kinds.map((kind) => KINDS.indexOf(kind)).join(', ');
  const sql = `SELECT seq FROM "rows" ${index === null ? 'NOT INDEXED' : `INDEXED BY ${index}`}
    WHERE seq BETWEEN ? AND ? ${KIND_IS_CLEAR.has(index ?? '') ? '' : `AND kind IN (${kinds})`}
    ${where.map((term) => `AND ${term}`).join(' ')} ORDER BY seq ${options.order === 'newest' ? 'DESC' : 'ASC'} LIMIT ?`;
  const raws = store.sqlite.prepare(sql).all(span.first, span.last, ...args, options.limit) as {
    seq: number;
  }[];
  return raws.map(({ seq }) => seq);
}

/** Only requests of somebody who was recognised have a key, a model or an engine. */
const KIND_IS_CLEAR: ReadonlySet<string> = new Set([
  'rows_key',
  'rows_model',
  'rows_engine',
  'rows_notable',
  'rows_counted',
]);

interface QueryPlan {
  readonly index: string | null;
  readonly where: readonly string[];
  readonly args: readonly (string | number | Buffer)[];
}

/** Null when nothing in this file can match. */
function planOf(store: DayStore, filter: ActivityFilter, kinds: readonly RowKind[]): QueryPlan | null {
  const where: string[] = [];
  const args: (string | number | Buffer)[] = [];
  const indexes: { readonly name: string; readonly rows: number }[] = [];

  for (const field of ['key', 'model', 'engine'] as const) {
    const text = filter[field];
    if (text === null) continue;
    const id = numberOf(store, 'SELECT id AS n FROM names WHERE text = ?', text);
    if (id === null) return null;
    where.push(`"${field}" = ?`);
    args.push(id);
    indexes.push({ name: `rows_${field}`, rows: countOf(store, `"${field}" = ?`, id) });
  }
  if (filter.ip !== null) {
    const ip = parseIp(filter.ip) ?? filter.ip;
    const address = kinds.includes('refusals') && parseIp(ip) !== null ? ipBucket(ip) : ip;
    const id = numberOf(store, 'SELECT id AS n FROM clients WHERE address = ?', address);
    if (id === null) return null;
    where.push('client = ?');
    args.push(id);
    indexes.push({ name: 'rows_client', rows: countOf(store, 'client = ?', id) });
  }
  if (filter.requestId !== null) {
    where.push('request_id = ?');
    args.push(Buffer.from(filter.requestId.replaceAll('-', ''), 'hex'));
  }
  if (filter.outcome !== null) {
    where.push('outcome = ?', 'kind = 0');
    args.push(OUTCOMES.indexOf(filter.outcome));
  }
  const [low, high] = statusRange(filter.status);
  if (filter.status !== null) {
    where.push('status BETWEEN ? AND ?', 'kind = 0');
    args.push(low, high);
  }
  if (filter.sinceMs !== null) {
    where.push('at_ms >= ?');
    args.push(filter.sinceMs);
  }
  if (filter.untilMs !== null) {
    where.push('at_ms <= ?');
    args.push(filter.untilMs);
  }
  if (kinds.length === 1 && kinds[0] === 'refusals')
    return { index: 'rows_counted', where: [...where, 'kind = 2'], args };
  const isNotable =
    (filter.outcome !== null && filter.outcome !== 'done') || (filter.status !== null && low >= 400);
  if (isNotable) {
    const rows = countOf(store, NOTABLE);
    // First among equals: it holds everything that can be asked for.
    indexes.unshift({ name: 'rows_notable', rows });
  }
  const best = indexes.sort((a, b) => a.rows - b.rows)[0];
  if (best?.name === 'rows_notable') where.push(NOTABLE);
  return { index: best?.name ?? null, where, args };
}

/** Word for word what the index rows_notable is for: else SQLite would not take it. */
const NOTABLE = 'kind = 0 AND (outcome <> 0 OR status >= 400)';

function numberOf(store: DayStore, sql: string, arg: string): number | null {
  const raw = store.sqlite.prepare(sql).get(arg) as { n: number } | undefined;
  return raw?.n ?? null;
}

function countOf(store: DayStore, where: string, ...args: number[]): number {
  const sql = `SELECT count(*) AS n FROM (SELECT 1 FROM "rows" WHERE ${where} LIMIT ${COUNT_LIMIT})`;
  return (store.sqlite.prepare(sql).get(...args) as { n: number }).n;
}

/** `404` or `4xx` as the least and the greatest status. */
function statusRange(status: string | null): readonly [number, number] {
  if (status === null) return [0, 999];
  if (!status.endsWith('xx')) return [Number(status), Number(status)];
  const hundred = Number(status[0]) * 100;
  return [hundred, hundred + 99];
}

/** The part of a span whose blocks hold rows of the time that is asked for, or null. */
function within(
  store: DayStore,
  { sinceMs, untilMs }: Pick<ActivityFilter, 'sinceMs' | 'untilMs'>,
  span: Span,
): Span | null {
  const sql =
    'SELECT min(first_row) AS first, max(last_row) AS last FROM blocks WHERE max_at_ms >= ? AND min_at_ms <= ?';
  const { first, last } = store.sqlite.prepare(sql).get(sinceMs ?? 0, untilMs ?? Number.MAX_SAFE_INTEGER) as {
    first: number | null;
    last: number | null;
  };
  if (first === null || last === null) return null;
  return { first: Math.max(first, span.first), last: Math.min(last, span.last) };
}

export interface StatsGroup {
  readonly name: string | null;
  /** Milliseconds, to 1 %. */
  readonly durationMs: number;
  readonly requests: number;
  readonly errors: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Requests of a day, by group and by how long they took. */
export function groupsOf(store: DayStore, day: string, query: StatsQuery): readonly StatsGroup[] {
  const filter = { ...EVERYTHING, ...query };
  const plan = planOf(store, filter, ['request']);
  const span = plan === null ? null : within(store, filter, { first: 0, last: Number.MAX_SAFE_INTEGER });
  if (plan === null || span === null) return [];
  const group = GROUPS[query.by];
  const sql = `SELECT ${group} AS name, ${ROUNDED} AS duration, count(*) AS requests,
      sum(status >= 400 OR outcome = 2) AS errors, total(prompt_tokens) AS prompt, total(completion_tokens) AS completion
    FROM "rows" NOT INDEXED WHERE kind = 0 AND seq BETWEEN ? AND ? ${plan.where.map((term) => `AND ${term}`).join(' ')}
    GROUP BY 1, 2`;
  const raws = store.sqlite.prepare(sql).all(span.first, span.last, ...plan.args) as {
    name: number | null;
    duration: number;
    requests: number;
    errors: number;
    prompt: number;
    completion: number;
  }[];
  return raws.map((raw) => ({
    name: query.by === 'day' ? day : raw.name === null ? null : store.name(raw.name),
    durationMs: raw.duration,
    requests: raw.requests,
    errors: raw.errors,
    promptTokens: raw.prompt,
    completionTokens: raw.completion,
  }));
}

/** Requests of strangers that were refused on a day. */
export function refusedOn(
  store: DayStore,
  { sinceMs, untilMs }: Pick<StatsQuery, 'sinceMs' | 'untilMs'>,
): number {
  const sql =
    'SELECT coalesce(sum("count"), 0) AS n FROM "rows" INDEXED BY rows_counted WHERE kind = 2 AND at_ms BETWEEN ? AND ?';
  return (store.sqlite.prepare(sql).get(sinceMs ?? 0, untilMs ?? Number.MAX_SAFE_INTEGER) as { n: number }).n;
}

const GROUPS: Readonly<Record<StatsBy, string>> = {
  model: 'model',
  key: '"key"',
  engine: 'engine',
  day: 'NULL',
};

/** Three digits of a duration: as many groups as a person can tell apart, however long requests take. */
const ROUNDED = `CASE WHEN duration_ms < 1000 THEN duration_ms WHEN duration_ms < 10000 THEN duration_ms / 10 * 10
  WHEN duration_ms < 100000 THEN duration_ms / 100 * 100 ELSE duration_ms / 1000 * 1000 END`;

export const EVERYTHING: ActivityFilter = {
  key: null,
  model: null,
  engine: null,
  status: null,
  outcome: null,
  ip: null,
  requestId: null,
  sinceMs: null,
  untilMs: null,
};
