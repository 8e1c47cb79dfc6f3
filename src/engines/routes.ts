/** `/api/v1/engines`: where the models run. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import { EngineInput, EngineList, EngineRemoved, type EnginesApi, EngineView, TrialView } from './model';

export function enginesRoutes(engines: EnginesApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/engines', tags: ['engines'], ...STRICT })
    .use(guard)
    .get('/', () => engines.list(), {
      scope: 'engines:read',
      response: EngineList,
      detail: { summary: 'List the engines FLM knows' },
    })
    .post('/', ({ body }) => engines.add(body), {
      scope: 'engines:write',
      body: EngineInput,
      response: EngineView,
      detail: { summary: 'Add an engine' },
    })
    .post('/detect', () => engines.detect(), {
      scope: 'engines:write',
      response: EngineList,
      detail: { summary: 'Look for engines now' },
    })
    .post('/trial/start', () => engines.startTrial(), {
      scope: 'engines:write',
      response: TrialView,
      detail: { summary: 'Start the trial engine' },
    })
    .post('/trial/stop', () => engines.stopTrial(), {
      scope: 'engines:write',
      response: TrialView,
      detail: { summary: 'Stop the trial engine' },
    })
    .delete('/:id', ({ params: { id } }) => engines.remove(id), {
      scope: 'engines:write',
      params: t.Object({ id: t.String({ maxLength: 200 }) }),
      response: EngineRemoved,
      detail: { summary: 'Forget an engine' },
    });
}
