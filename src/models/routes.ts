/** `/api/v1/models`: the catalogue as its owner sees it. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import { ModelList, type ModelsApi } from './model';

export function modelsRoutes(models: ModelsApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/models', tags: ['models'], ...STRICT })
    .use(guard)
    .get('/', ({ query: { engine } }) => models.list(engine ?? null), {
      scope: 'models:read',
      query: t.Object({ engine: t.Optional(t.String({ maxLength: 100 })) }),
      response: ModelList,
      detail: { summary: 'List the models of all engines, or of one' },
    });
}
