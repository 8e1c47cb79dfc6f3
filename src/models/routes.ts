/** `/api/v1/models`: the catalogue as its owner sees it. Names are in queries and bodies: one may be `..` or hold `/`. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import {
  AliasInput,
  AliasList,
  AliasRemoved,
  AliasView,
  ModelDetail,
  ModelList,
  type ModelsApi,
  StrategyInput,
  StrategyList,
  StrategyView,
} from './model';

const named = t.Object({ name: t.String({ maxLength: 400 }) });

export function modelsRoutes(models: ModelsApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/models', tags: ['models'], ...STRICT })
    .use(guard)
    .get('/', ({ query: { engine } }) => models.list(engine ?? null), {
      scope: 'models:read',
      query: t.Object({ engine: t.Optional(t.String({ maxLength: 100 })) }),
      response: ModelList,
      detail: { operationId: 'listModels', summary: 'List the models of all engines, or of one' },
    })
    .get('/named', ({ query: { name } }) => models.show(name), {
      scope: 'models:read',
      query: named,
      response: ModelDetail,
      detail: { operationId: 'showModel', summary: 'Tell what a name means: every copy and how it is doing' },
    })
    .get('/aliases', () => models.aliases(), {
      scope: 'models:read',
      response: AliasList,
      detail: { operationId: 'listAliases', summary: 'List the aliases' },
    })
    .put('/aliases', ({ body }) => models.setAlias(body), {
      scope: 'models:write',
      body: AliasInput,
      response: AliasView,
      detail: { operationId: 'setAlias', summary: 'Make an alias, or give one other targets' },
    })
    .delete('/aliases', ({ query: { name } }) => models.removeAlias(name), {
      scope: 'models:write',
      query: named,
      response: AliasRemoved,
      detail: { operationId: 'removeAlias', summary: 'Forget an alias' },
    })
    .get('/strategies', () => models.strategies(), {
      scope: 'models:read',
      response: StrategyList,
      detail: { operationId: 'listStrategies', summary: 'List the strategies that were set' },
    })
    .put('/strategies', ({ body }) => models.setStrategy(body), {
      scope: 'models:write',
      body: StrategyInput,
      response: StrategyView,
      detail: {
        operationId: 'setStrategy',
        summary: 'Say how to choose among the engines that have a model',
      },
    })
    .delete('/strategies', ({ query: { name } }) => models.unsetStrategy(name), {
      scope: 'models:write',
      query: named,
      response: StrategyView,
      detail: { operationId: 'unsetStrategy', summary: 'Choose by the default again' },
    });
}
