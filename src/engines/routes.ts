/** `/api/v1/engines`: where the models run. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import {
  EngineInput,
  EngineList,
  EngineRemoved,
  type EnginesApi,
  EngineView,
  HealthHistory,
  TrialView,
} from './model';

export function enginesRoutes(engines: EnginesApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/engines', tags: ['engines'], ...STRICT })
    .use(guard)
    .get('/', () => engines.list(), {
      scope: 'engines:read',
      response: EngineList,
      detail: { operationId: 'listEngines', summary: 'List the engines FLM knows' },
    })
    .post('/', ({ body }) => engines.add(body), {
      scope: 'engines:write',
      body: EngineInput,
      response: EngineView,
      detail: { operationId: 'addEngine', summary: 'Add an engine' },
    })
    .get(
      '/health-history',
      ({ query: { engine, model, hours, limit } }) =>
        engines.healthHistory({
          engine: engine ?? null,
          model: model ?? null,
          hours: hours ?? 24,
          limit: limit ?? 100,
        }),
      {
        scope: 'engines:read',
        query: t.Object({
          engine: t.Optional(t.String({ maxLength: 100 })),
          model: t.Optional(t.String({ maxLength: 200 })),
          hours: t.Optional(t.Integer({ minimum: 1, maximum: 8_784 })),
          limit: t.Optional(t.Integer({ minimum: 1, maximum: 10_000 })),
        }),
        response: HealthHistory,
        detail: { operationId: 'readHealthHistory', summary: 'How engines and their models were over time' },
      },
    )
    .post('/detect', () => engines.detect(), {
      scope: 'engines:write',
      response: EngineList,
      detail: { operationId: 'detectEngines', summary: 'Look for engines now' },
    })
    .post('/trial/start', () => engines.startTrial(), {
      scope: 'engines:write',
      response: TrialView,
      detail: { operationId: 'startTrialEngine', summary: 'Start the trial engine' },
    })
    .post('/trial/stop', () => engines.stopTrial(), {
      scope: 'engines:write',
      response: TrialView,
      detail: { operationId: 'stopTrialEngine', summary: 'Stop the trial engine' },
    })
    .delete('/:id', ({ params: { id } }) => engines.remove(id), {
      scope: 'engines:write',
      params: t.Object({ id: t.String({ maxLength: 200 }) }),
      response: EngineRemoved,
      detail: { operationId: 'removeEngine', summary: 'Forget an engine' },
    });
}
