/** `/api/v1/security`: who is refused, and what strangers do. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import {
  AddressStanding,
  AnomalyList,
  AnomalyQuery,
  BanInput,
  BanList,
  BanQuery,
  BansCleared,
  BanView,
  IntrusionList,
  IntrusionQuery,
  type SecurityApi,
  SecurityStats,
  SourceQuery,
  Unbanned,
} from './model';

/** What comes as text in a query is a number only for Elysia's own types. */
const numbers = {
  limit: t.Optional(t.Integer({ minimum: 1, maximum: 1_000, description: 'Default: 100.' })),
  offset: t.Optional(
    t.Integer({
      minimum: 0,
      maximum: 1_000_000,
      description: 'Rows to pass over. A cursor misses nothing.',
    }),
  ),
};
const minScore = t.Optional(t.Integer({ minimum: 0, maximum: 1_000 }));

export function securityRoutes(security: SecurityApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/security', tags: ['security'], ...STRICT })
    .use(guard)
    .get('/bans', ({ query }) => security.bans(query), {
      scope: 'security:read',
      query: t.Object({ ...BanQuery.properties, limit: numbers.limit }),
      response: BanList,
      detail: { operationId: 'listBans', summary: 'List who is refused' },
    })
    .post('/bans', ({ body }) => security.ban(body), {
      scope: 'security:write',
      body: BanInput,
      response: BanView,
      detail: { operationId: 'addBan', summary: 'Refuse an address or network, also with a valid key' },
    })
    .delete('/bans', ({ query: { ip } }) => security.unban(ip), {
      scope: 'security:write',
      query: SourceQuery,
      response: Unbanned,
      detail: { operationId: 'liftBan', summary: 'Refuse an address or network no longer' },
    })
    .post('/bans/clear', () => security.clearBans(), {
      scope: 'security:write',
      response: BansCleared,
      detail: { operationId: 'clearBans', summary: 'Lift all bans that would end by themselves' },
    })
    .get('/addresses', ({ query: { ip } }) => security.standing(ip), {
      scope: 'security:read',
      query: SourceQuery,
      response: AddressStanding,
      detail: { operationId: 'showAddress', summary: 'How an address stands' },
    })
    .get('/intrusions', ({ query }) => security.intrusions(query), {
      scope: 'security:read',
      query: t.Object({ ...IntrusionQuery.properties, ...numbers, min_score: minScore }),
      response: IntrusionList,
      detail: { operationId: 'listIntrusions', summary: 'List what strangers did to find a way in' },
    })
    .get('/anomalies', ({ query }) => security.anomalies(query), {
      scope: 'security:read',
      query: t.Object({ ...AnomalyQuery.properties, ...numbers }),
      response: AnomalyList,
      detail: { operationId: 'listAnomalies', summary: 'List what no client does' },
    })
    .get('/stats', () => security.stats(), {
      scope: 'security:read',
      response: SecurityStats,
      detail: { operationId: 'readSecurityStats', summary: 'What abuse protection does' },
    });
}
