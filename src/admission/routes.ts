/** `/api/v1/keys`: the API keys of clients. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import type { Keys } from './keys';
import {
  ApiKey,
  ApiKeyList,
  CreatedKey,
  EphemeralKey,
  KeyChange,
  KeyInput,
  RevokedKey,
  RotatedKey,
  RotateInput,
} from './model';

const params = t.Object({ id: t.String({ maxLength: 100 }) });

/** How long the owner's own chat may take to start a request. */
const EPHEMERAL_MS = 60_000;

export function keysRoutes(keys: Keys, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/keys', tags: ['keys'], ...STRICT })
    .use(guard)
    .get('/', () => keys.list(), {
      scope: 'keys:read',
      response: ApiKeyList,
      detail: { operationId: 'listKeys', summary: 'List all API keys' },
    })
    .post('/', ({ body }) => keys.create(body), {
      scope: 'keys:write',
      body: KeyInput,
      response: CreatedKey,
      detail: { operationId: 'createKey', summary: 'Create an API key' },
    })
    .post('/ephemeral', () => ({ plain_key: keys.issueEphemeral('flm chat', EPHEMERAL_MS).plain }), {
      scope: 'keys:write',
      response: EphemeralKey,
      detail: { operationId: 'issueEphemeralKey', summary: 'A key for one minute, kept in memory only' },
    })
    .post('/:id', ({ params: { id }, body }) => keys.update(id, body), {
      scope: 'keys:write',
      params,
      body: KeyChange,
      response: ApiKey,
      detail: { operationId: 'updateKey', summary: 'Change limits, lists or label of an API key' },
    })
    .post('/:id/collect', ({ params: { id } }) => keys.collect(id), {
      scope: 'keys:write',
      params,
      response: CreatedKey,
      detail: { operationId: 'collectKey', summary: 'Fetch, once, the key that a rotation by itself made' },
    })
    .post('/:id/rotate', ({ params: { id }, body }) => keys.rotate(id, body), {
      scope: 'keys:write',
      params,
      body: RotateInput,
      response: RotatedKey,
      detail: { operationId: 'rotateKey', summary: 'Replace an API key' },
    })
    .post('/:id/revoke', ({ params: { id } }) => keys.revoke(id), {
      scope: 'keys:write',
      params,
      response: RevokedKey,
      detail: { operationId: 'revokeKey', summary: 'Revoke an API key' },
    });
}
