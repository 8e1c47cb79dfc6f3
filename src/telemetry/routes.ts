/** `/api/v1/alerts`: what the owner is told of, and where. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import {
  AlertDeliveryList,
  AlertDeliveryQuery,
  AlertId,
  AlertRemoved,
  AlertRule,
  AlertRuleInput,
  AlertRuleList,
  type AlertsApi,
  AlertTarget,
  AlertTargetInput,
  AlertTargetList,
  AlertTestInput,
  AlertTestReport,
} from './alerts/model';

const params = t.Object({ id: AlertId });
/** What comes as text in a query is a number only for Elysia's own types. */
const limit = t.Optional(t.Integer({ minimum: 1, maximum: 1_000, description: 'Default: 100.' }));

export function alertsRoutes(alerts: AlertsApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/alerts', tags: ['alerts'], ...STRICT })
    .use(guard)
    .get('/rules', () => alerts.rules(), {
      scope: 'alerts:read',
      response: AlertRuleList,
      detail: { operationId: 'listAlertRules', summary: 'List all alert rules' },
    })
    .put('/rules/:id', ({ params: { id }, body }) => alerts.setRule(id, body), {
      scope: 'alerts:write',
      params,
      body: AlertRuleInput,
      response: AlertRule,
      detail: { operationId: 'setAlertRule', summary: 'Make or change an alert rule' },
    })
    .delete('/rules/:id', ({ params: { id } }) => alerts.removeRule(id), {
      scope: 'alerts:write',
      params,
      response: AlertRemoved,
      detail: { operationId: 'removeAlertRule', summary: 'Remove an alert rule' },
    })
    .get('/targets', () => alerts.targets(), {
      scope: 'alerts:read',
      response: AlertTargetList,
      detail: { operationId: 'listAlertTargets', summary: 'List where alerts go' },
    })
    .put('/targets/:id', ({ params: { id }, body }) => alerts.setTarget(id, body), {
      scope: 'alerts:write',
      params,
      body: AlertTargetInput,
      response: AlertTarget,
      detail: { operationId: 'setAlertTarget', summary: 'Make a webhook, or change where it leads' },
    })
    .delete('/targets/:id', ({ params: { id } }) => alerts.removeTarget(id), {
      scope: 'alerts:write',
      params,
      response: AlertRemoved,
      detail: { operationId: 'removeAlertTarget', summary: 'Remove a webhook' },
    })
    .get('/deliveries', ({ query }) => alerts.deliveries(query), {
      scope: 'alerts:read',
      query: t.Object({ ...AlertDeliveryQuery.properties, limit }, { additionalProperties: false }),
      response: AlertDeliveryList,
      detail: { operationId: 'listAlertDeliveries', summary: 'List what was sent, and what waits' },
    })
    .post('/test', ({ body }) => alerts.test(body), {
      scope: 'alerts:write',
      body: AlertTestInput,
      response: AlertTestReport,
      detail: { operationId: 'testAlerts', summary: 'Send a test message, and say what came back' },
    });
}
