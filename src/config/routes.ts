/** `/api/v1/config`: the settings. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import {
  type ConfigApi,
  SettingChange,
  SettingExplanation,
  SettingInput,
  SettingList,
  SettingView,
} from './model';

const params = t.Object({ key: t.String({ maxLength: 200 }) });

export function configRoutes(config: ConfigApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/config', tags: ['config'], ...STRICT })
    .use(guard)
    .get('/', () => config.list(), {
      scope: 'config:read',
      response: SettingList,
      detail: { operationId: 'listSettings', summary: 'List all settings' },
    })
    .get('/:key', ({ params: { key } }) => config.get(key), {
      scope: 'config:read',
      params,
      response: SettingView,
      detail: { operationId: 'getSetting', summary: 'Read a setting' },
    })
    .get('/:key/explain', ({ params: { key } }) => config.explain(key), {
      scope: 'config:read',
      params,
      response: SettingExplanation,
      detail: {
        operationId: 'explainSetting',
        summary: 'What a setting is for and where its value comes from',
      },
    })
    .put('/:key', ({ params: { key }, body: { value } }) => config.set(key, value), {
      scope: 'config:write',
      params,
      body: SettingInput,
      response: SettingChange,
      detail: { operationId: 'setSetting', summary: 'Change a setting' },
    })
    .delete('/:key', ({ params: { key } }) => config.unset(key), {
      scope: 'config:write',
      params,
      response: SettingChange,
      detail: { operationId: 'unsetSetting', summary: 'Take a change back' },
    });
}
