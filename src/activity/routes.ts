/** `/api/v1/activity`: the request log. */
import { Elysia, t } from 'elysia';
import { oneOf } from '../lib/schema';
import { MEDIA_FIELD, type ScopeGuard, STRICT } from '../lib/scope-guard';
import {
  type ActivityApi,
  type ActivityFilter,
  ActivityList,
  ActivityStats,
  ActivityVerdict,
  Erased,
  EraseInput,
  EXPORT_FORMATS,
  OUTCOME_FILTERS,
  RefusalList,
  STATS_BY,
} from './model';

const Text = t.Optional(t.String({ minLength: 1, maxLength: 300 }));
const Time = t.Optional(t.String({ format: 'date-time', description: 'Arrival, this moment included.' }));
const Range = { since: Time, until: Time };
const Page = {
  limit: t.Optional(t.Integer({ minimum: 1, maximum: 1_000 })),
  cursor: t.Optional(t.String({ maxLength: 40 })),
};
const Filter = {
  ...Range,
  key: Text,
  model: Text,
  engine: Text,
  status: t.Optional(t.String({ pattern: '^[1-5](\\d\\d|xx)$', description: '`404`, or a class: `4xx`.' })),
  outcome: t.Optional(oneOf(OUTCOME_FILTERS)),
  ip: Text,
  request_id: t.Optional(t.String({ format: 'uuid' })),
};

interface GivenFilter {
  readonly since?: string | Date;
  readonly until?: string | Date;
  readonly key?: string;
  readonly model?: string;
  readonly engine?: string;
  readonly status?: string;
  readonly outcome?: (typeof OUTCOME_FILTERS)[number];
  readonly ip?: string;
  readonly request_id?: string;
}

export function activityRoutes(activity: ActivityApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/activity', tags: ['activity'], ...STRICT })
    .use(guard)
    .get('/', ({ query }) => activity.list(filterOf(query), pageOf(query)), {
      scope: 'activity:read',
      query: t.Object({ ...Filter, ...Page }),
      response: ActivityList,
      detail: { operationId: 'listActivity', summary: 'List requests, newest first' },
    })
    .get('/refusals', ({ query }) => activity.refusals(rangeOf(query), pageOf(query)), {
      scope: 'activity:read',
      query: t.Object({ ...Range, ...Page }),
      response: RefusalList,
      detail: { operationId: 'listRefusals', summary: 'List refused strangers, counted by minute' },
    })
    .get(
      '/stats',
      ({ query: { by, key, model, engine, ...query } }) =>
        activity.stats({
          by: by ?? 'model',
          key: key ?? null,
          model: model ?? null,
          engine: engine ?? null,
          ...rangeOf(query),
        }),
      {
        scope: 'activity:read',
        query: t.Object({ by: t.Optional(oneOf(STATS_BY)), key: Text, model: Text, engine: Text, ...Range }),
        response: ActivityStats,
        detail: { operationId: 'sumActivity', summary: 'What requests add up to' },
      },
    )
    .get(
      '/export',
      ({ query: { format = 'json', ...query } }) =>
        streamOf(activity.export(filterOf(query), format), format),
      {
        scope: 'activity:read',
        query: t.Object({ format: t.Optional(oneOf(EXPORT_FORMATS)), ...Filter }),
        response: t.Any({ description: 'A JSON object a line, or CSV with a header; oldest first.' }),
        detail: {
          operationId: 'exportActivity',
          summary: 'Export requests',
          [MEDIA_FIELD]: ['application/x-ndjson', 'text/csv'],
        },
      },
    )
    .get('/verify', () => activity.verify(), {
      scope: 'activity:read',
      response: ActivityVerdict,
      detail: { operationId: 'verifyActivity', summary: 'Whether the log is as FLM wrote it' },
    })
    .post('/erase', ({ body }) => activity.erase(body), {
      scope: 'activity:write',
      body: EraseInput,
      response: Erased,
      detail: { operationId: 'eraseFromActivity', summary: 'Erase the address of a client' },
    });
}

function filterOf(query: GivenFilter): ActivityFilter {
  return {
    key: query.key ?? null,
    model: query.model ?? null,
    engine: query.engine ?? null,
    status: query.status ?? null,
    outcome: query.outcome ?? null,
    ip: query.ip ?? null,
    requestId: query.request_id ?? null,
    ...rangeOf(query),
  };
}

function rangeOf({ since, until }: Pick<GivenFilter, 'since' | 'until'>) {
  return { sinceMs: msOf(since), untilMs: msOf(until) };
}

function msOf(time: string | Date | undefined): number | null {
  return time === undefined ? null : new Date(time).getTime();
}

function pageOf({ limit, cursor }: { readonly limit?: number; readonly cursor?: string }) {
  return { limit: limit ?? 100, cursor: cursor ?? null };
}

const MEDIA: Readonly<Record<(typeof EXPORT_FORMATS)[number], string>> = {
  json: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8; header=present',
};

/** The first piece is awaited, so that what is wrong with the question is still an error of its own. */
async function streamOf(
  pieces: AsyncIterable<string>,
  format: (typeof EXPORT_FORMATS)[number],
): Promise<Response> {
  const iterator = pieces[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  const first = await iterator.next();
  let next: IteratorResult<string> | null = first;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = next ?? (await iterator.next());
      next = null;
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await iterator.return?.();
    },
  });
  return new Response(stream, { headers: { 'content-type': MEDIA[format] } });
}
