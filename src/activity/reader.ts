/** Reads the request log over all days: pages, sums and exports. Knows nothing of threads, as the writer. */
import { csvRow } from '../lib/csv';
import { FlmError } from '../lib/errors';
import { parseIp } from '../lib/ip';
import type { DayFiles } from './files';
import type {
  ActivityEntry,
  ActivityFilter,
  ActivityList,
  ActivityPage,
  ActivityStats,
  ExportFormat,
  RefusalEntry,
  RefusalList,
  StatsQuery,
} from './model';
import { EVERYTHING, findRows, groupsOf, refusedOn } from './query';
import { dayAfter, dayOf, type RowKind, type StoredRow } from './row';
import type { DayStore } from './store';
import { addGroup, newSums, type Sums, statsOf } from './sums';

export interface ListQuery {
  readonly filter: ActivityFilter;
  readonly page: ActivityPage;
  /** Requests that are under way at this moment: they are told as running, others without an end as unknown. */
  readonly running: readonly string[];
}

export interface ExportQuery {
  readonly filter: ActivityFilter;
  readonly format: ExportFormat;
  /** Null for the first piece. */
  readonly cursor: string | null;
  readonly running: readonly string[];
}

export interface Reader {
  /** @throws INVALID_INPUT */
  list(query: ListQuery): ActivityList;
  refusals(query: Omit<ListQuery, 'running'>): RefusalList;
  stats(query: StatsQuery): ActivityStats;
  /** The next piece of an export, and where the one after it begins. @throws INVALID_INPUT */
  piece(query: ExportQuery): { readonly text: string; readonly next: string | null };
  close(): void;
}

/** No request takes longer (proxy.stream_timeout_ms): rows lie in the file of the day they ended on. */
const LONGEST_DAYS = 1;
const PIECE_ROWS = 2_000;
const MAX_OPEN_FILES = 8;
const EVERY_ROW = Number.MAX_SAFE_INTEGER;

/** A row to begin with: in its day, after (export) or before (list) this number. */
interface Place {
  readonly day: string;
  readonly seq: number;
}

export function createReader(files: DayFiles): Reader {
  const open = new Map<string, DayStore>();

  function storeOf(day: string): DayStore {
    let store = open.get(day);
    if (store !== undefined) open.delete(day);
    store ??= files.open(day, 'read');
    open.set(day, store); // The last one that is asked for is the last one to be closed.
    for (const [oldest, { close }] of open) {
      if (open.size <= MAX_OPEN_FILES) break;
      open.delete(oldest);
      close();
    }
    return store;
  }

  function daysFor({ sinceMs, untilMs }: Pick<ActivityFilter, 'sinceMs' | 'untilMs'>): string[] {
    const days = files.days();
    // A day that was removed meanwhile is not asked for again.
    for (const [day, { close }] of open) {
      if (days.includes(day)) continue;
      open.delete(day);
      close();
    }
    const first = sinceMs === null ? '' : dayOf(sinceMs);
    const last = untilMs === null ? '9999' : dayAfter(dayOf(untilMs), LONGEST_DAYS);
    return days.filter((day) => day >= first && day <= last);
  }

  /** Rows that match, in order, each with its day, beginning at a place. */
  function* walk(
    filter: ActivityFilter,
    kinds: readonly RowKind[],
    order: 'newest' | 'oldest',
    from: Place | null,
    chunk: number,
  ): Generator<{ readonly day: string; readonly row: StoredRow }> {
    const days = daysFor(filter);
    if (order === 'newest') days.reverse();
    for (const day of days) {
      if (from !== null && (order === 'newest' ? day > from.day : day < from.day)) continue;
      let at = from?.day === day ? from.seq : order === 'newest' ? EVERY_ROW : 0;
      for (;;) {
        const span = order === 'newest' ? { first: 0, last: at - 1 } : { first: at + 1, last: EVERY_ROW };
        const seqs = findRows(storeOf(day), filter, { kinds, order, limit: chunk, span });
        for (const row of storeOf(day).rows(seqs)) yield { day, row };
        const last = seqs.at(-1);
        if (last === undefined || seqs.length < chunk) break;
        at = last;
      }
    }
  }

  /** Whether a later row tells the end of what this one told the beginning of. */
  function isClosed(day: string, seq: number): boolean {
    return files.days().some((other) => other >= day && storeOf(other).closes(seq));
  }

  function entriesOf(
    { filter, page, running }: ListQuery,
    order: 'newest' | 'oldest',
  ): { readonly items: ActivityEntry[]; readonly next: string | null } {
    const checked = checkedFilter(filter);
    const now = new Set(running);
    const items: ActivityEntry[] = [];
    let last: Place | null = null;
    for (const { day, row } of walk(
      checked,
      ['request', 'opened'],
      order,
      placeOf(page.cursor),
      page.limit + 1,
    )) {
      if (items.length === page.limit) return { items, next: last === null ? null : cursorOf(last) };
      last = { day, seq: row.seq };
      if (row.kind === 'opened' && isClosed(day, row.seq)) continue;
      items.push(entryOf(row, now));
    }
    return { items, next: null };
  }

  return {
    list: (query) => entriesOf(query, 'newest'),

    refusals({ filter, page }) {
      const items: RefusalEntry[] = [];
      let last: Place | null = null;
      for (const { day, row } of walk(
        checkedFilter(filter),
        ['refusals'],
        'newest',
        placeOf(page.cursor),
        page.limit + 1,
      )) {
        if (items.length === page.limit) return { items, next: last === null ? null : cursorOf(last) };
        last = { day, seq: row.seq };
        items.push(refusalOf(row));
      }
      return { items, next: null };
    },

    stats(query) {
      const sums = new Map<string | null, Sums>();
      const total = newSums();
      let refused = 0;
      for (const day of daysFor(query)) {
        for (const group of groupsOf(storeOf(day), day, query)) {
          const sum = sums.get(group.name) ?? newSums();
          sums.set(group.name, sum);
          addGroup(sum, group);
          addGroup(total, group);
        }
        refused += refusedOn(storeOf(day), query);
      }
      return statsOf(query, sums, total, refused);
    },

    piece({ filter, format, cursor, running }) {
      const page = { limit: PIECE_ROWS, cursor };
      const { items, next } = entriesOf({ filter, page, running }, 'oldest');
      const lines = items.map((item) =>
        format === 'csv' ? csvRow(Object.values(item)) : `${JSON.stringify(item)}\n`,
      );
      if (format === 'csv' && cursor === null) lines.unshift(csvRow(CSV_HEADER));
      return { text: lines.join(''), next };
    },

    close() {
      for (const { close } of open.values()) close();
      open.clear();
    },
  };
}

/** @throws INVALID_INPUT */
function checkedFilter(filter: ActivityFilter): ActivityFilter {
  const { status, ip, requestId } = filter;
  if (status !== null && !/^[1-5](?:\d\d|xx)$/.test(status))
    throw invalid('status', `"${status}" is no status such as 404 or 4xx`);
  if (ip !== null && parseIp(ip) === null) throw invalid('ip', `"${ip}" is no address`);
  if (requestId === null) return filter;
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(requestId))
    throw invalid('request_id', `"${requestId}" is not the id of a request`);
  // The id itself says when the request arrived (RFC 9562 §5.7).
  const atMs = Number.parseInt(requestId.replaceAll('-', '').slice(0, 12), 16);
  const around = { sinceMs: atMs - 2_000, untilMs: atMs + 2_000 };
  return { ...EVERYTHING, ...filter, ...around };
}

function cursorOf({ day, seq }: Place): string {
  return `${day}.${seq}`;
}

/** @throws INVALID_INPUT */
function placeOf(cursor: string | null): Place | null {
  if (cursor === null) return null;
  const [, day, seq] = /^(\d{4}-\d{2}-\d{2})\.(\d{1,15})$/.exec(cursor) ?? [];
  if (day === undefined || seq === undefined) throw invalid('cursor', 'it is none that a list has given');
  return { day, seq: Number(seq) };
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}

function entryOf(row: StoredRow, running: ReadonlySet<string>): ActivityEntry {
  const isOpen = row.kind === 'opened';
  const ending = running.has(row.requestId ?? '') ? 'running' : 'unknown';
  return {
    time: new Date(row.atMs).toISOString(),
    request_id: row.requestId ?? '',
    client_ip: row.address,
    method: row.method ?? '',
    endpoint: row.path ?? '',
    api_key_id: row.key,
    model: row.model,
    engine_id: row.engine,
    attempts: row.attempts,
    stream: row.isStream,
    outcome: isOpen ? ending : row.outcome,
    status: row.status === 0 ? null : row.status,
    error: row.error,
    queue_ms: row.waitedMs,
    first_byte_ms: row.firstByteMs,
    first_token_ms: row.firstTokenMs,
    latency_ms: row.durationMs,
    prompt_tokens: row.promptTokens,
    completion_tokens: row.completionTokens,
    cached_tokens: row.cachedTokens,
    reasoning_tokens: row.reasoningTokens,
  };
}

/** In the order of entryOf. */
const CSV_HEADER: readonly (keyof ActivityEntry)[] = [
  'time',
  'request_id',
  'client_ip',
  'method',
  'endpoint',
  'api_key_id',
  'model',
  'engine_id',
  'attempts',
  'stream',
  'outcome',
  'status',
  'error',
  'queue_ms',
  'first_byte_ms',
  'first_token_ms',
  'latency_ms',
  'prompt_tokens',
  'completion_tokens',
  'cached_tokens',
  'reasoning_tokens',
];

function refusalOf(row: StoredRow): RefusalEntry {
  return {
    time: new Date(row.atMs).toISOString(),
    source: row.address,
    endpoint: row.path ?? '',
    reason: row.error ?? '',
    status: row.status,
    requests: row.count ?? 0,
  };
}
