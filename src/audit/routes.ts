/** `/api/v1/audit`: what is on record, as lists, as it happens, and as files; and whether it is still as it was written. */
import { Elysia, t } from 'elysia';
import { oneOf } from '../lib/schema';
import { MEDIA_FIELD, type ScopeGuard, STRICT } from '../lib/scope-guard';
import { eventStream, lastEventId, textStream } from './events';
import {
  AuditCheckpoint,
  AuditFilter,
  AuditList,
  AuditQuery,
  AuditReport,
  CheckpointQuery,
  Erased,
  EraseInput,
  EXPORT_FORMATS,
  WatchQuery,
} from './model';
import type { Audit } from './service';

const MEDIA_TYPES = { json: 'application/json', csv: 'text/csv; charset=utf-8; header=present' } as const;

/** What comes as text in a query is a number only for Elysia's own types. */
const limit = t.Optional(t.Integer({ minimum: 1, maximum: 1_000, description: 'Default: 100.' }));
const seq = t.Optional(t.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }));

const EventStream = t.String({
  description: 'Server-sent events: each is a row, its id the number of the row.',
});
const File = t.String({ description: 'All rows that match, the oldest first.' });

export function auditRoutes(audit: Audit, guard: ScopeGuard) {
  const stream = (request: Request, query: WatchQuery) => {
    const after = lastEventId(request.headers.get('last-event-id'));
    return eventStream((signal) => audit.follow(query, after, signal), request.signal);
  };
  return new Elysia({ prefix: '/api/v1/audit', tags: ['audit'], ...STRICT })
    .use(guard)
    .get(
      '/events',
      async ({ request, query: { stream: wanted, ...query } }) => {
        const accepts = request.headers.get('accept')?.includes('text/event-stream') === true;
        return wanted === true || (wanted === undefined && accepts)
          ? stream(request, query)
          : Response.json(await audit.list(query));
      },
      {
        scope: 'audit:read',
        query: t.Object({ ...AuditQuery.properties, limit, stream: t.Optional(t.Boolean()) }),
        response: AuditList,
        detail: {
          operationId: 'listAuditEvents',
          summary: 'List what is on record, or follow it with stream=true',
        },
      },
    )
    .get('/events/stream', ({ request, query }) => stream(request, query), {
      scope: 'audit:read',
      query: t.Object({ ...WatchQuery.properties, limit }),
      response: EventStream,
      detail: {
        operationId: 'followAuditEvents',
        summary: 'Follow what is put on record; Last-Event-ID resumes',
        [MEDIA_FIELD]: ['text/event-stream'],
      },
    })
    .get('/verify', ({ query }) => audit.verify(query), {
      scope: 'audit:read',
      query: t.Object({ ...CheckpointQuery.properties, seq }),
      response: AuditReport,
      detail: { operationId: 'verifyAudit', summary: 'Examine the chain, also against a checkpoint' },
    })
    .post('/checkpoint', () => audit.checkpoint(), {
      scope: 'audit:write',
      response: AuditCheckpoint,
      detail: { operationId: 'checkpointAudit', summary: 'How far the chain is, to be kept elsewhere' },
    })
    .get(
      '/export',
      async ({ query: { format = 'json', ...filter } }) =>
        textStream(await audit.export(filter, format), MEDIA_TYPES[format], `audit-log.${format}`),
      {
        scope: 'audit:read',
        query: t.Object({ ...AuditFilter.properties, format: t.Optional(oneOf(EXPORT_FORMATS)) }),
        response: File,
        detail: {
          operationId: 'exportAudit',
          summary: 'Take all rows that match out as a file',
          [MEDIA_FIELD]: ['application/json', 'text/csv'],
        },
      },
    )
    .post('/erase', ({ body }) => audit.erase(body), {
      scope: 'audit:write',
      body: EraseInput,
      response: Erased,
      detail: { operationId: 'eraseFromAudit', summary: 'Erase an address from all rows' },
    });
}
