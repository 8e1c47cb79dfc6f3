/** `/api/v1/policy`: the security policy, its versions, and the list of who may come at all. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import {
  HistoryQuery,
  NetworkInput,
  PastPolicy,
  type PolicyApi,
  PolicyChange,
  PolicyDraft,
  PolicyHistory,
  PolicyInput,
  PolicyReview,
  PolicySchema,
  PolicyView,
  RollbackInput,
  Whitelist,
} from './api';
import { POLICY_SCHEMA } from './schema';

const params = t.Object({ version: t.String({ pattern: '^[1-9]\\d{0,14}$' }) });
/** What comes as text in a query is a number only for Elysia's own types. */
const limit = t.Optional(t.Integer({ minimum: 1, maximum: 200, description: 'Default: 20.' }));

export function policyRoutes(policy: PolicyApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/policy', tags: ['policy'], ...STRICT })
    .use(guard)
    .get('/', () => policy.show(), {
      scope: 'policy:read',
      response: PolicyView,
      detail: { operationId: 'getPolicy', summary: 'The security policy in force' },
    })
    .put('/', ({ body }) => policy.set(body), {
      scope: 'policy:write',
      body: PolicyInput,
      response: PolicyChange,
      detail: { operationId: 'setPolicy', summary: 'Replace the security policy' },
    })
    .get('/schema', () => POLICY_SCHEMA, {
      scope: 'policy:read',
      response: PolicySchema,
      detail: { operationId: 'getPolicySchema', summary: 'The JSON Schema of the policy' },
    })
    .post('/validate', ({ body: { document } }) => policy.validate(document), {
      scope: 'policy:read',
      body: PolicyDraft,
      response: PolicyReview,
      detail: { operationId: 'validatePolicy', summary: 'What is wrong with a policy, without storing it' },
    })
    .get('/versions', ({ query }) => policy.history(query), {
      scope: 'policy:read',
      query: t.Object({ ...HistoryQuery.properties, limit }),
      response: PolicyHistory,
      detail: { operationId: 'listPolicyVersions', summary: 'Who changed the policy, when, and what' },
    })
    .get('/versions/:version', ({ params: { version } }) => policy.version(Number(version)), {
      scope: 'policy:read',
      params,
      response: PastPolicy,
      detail: { operationId: 'getPolicyVersion', summary: 'One version of the policy' },
    })
    .post('/rollback', ({ body }) => policy.rollback(body), {
      scope: 'policy:write',
      body: RollbackInput,
      response: PolicyChange,
      detail: { operationId: 'rollBackPolicy', summary: 'Put an earlier version back, as a new one' },
    })
    .get('/ip-whitelist', () => policy.whitelist(), {
      scope: 'policy:read',
      response: Whitelist,
      detail: { operationId: 'listAllowedNetworks', summary: 'Who may come at all' },
    })
    .post('/ip-whitelist/add', ({ body }) => policy.allow(body), {
      scope: 'policy:write',
      body: NetworkInput,
      response: Whitelist,
      detail: { operationId: 'allowNetwork', summary: 'Let an address or network in' },
    })
    .post('/ip-whitelist/remove', ({ body }) => policy.disallow(body), {
      scope: 'policy:write',
      body: NetworkInput,
      response: Whitelist,
      detail: { operationId: 'disallowNetwork', summary: 'Take an address or network off the list' },
    });
}
