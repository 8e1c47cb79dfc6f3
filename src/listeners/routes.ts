/** `/api/v1/proxies`: the listeners of the API for clients. */
import { Elysia } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import {
  OneProxy,
  type ProxiesApi,
  ProxiesReloaded,
  ProxiesStopped,
  ProxyInput,
  ProxyList,
  ProxySelector,
  ProxyView,
} from './model';

export function proxiesRoutes(proxies: ProxiesApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/proxies', tags: ['proxies'], ...STRICT })
    .use(guard)
    .get('/', () => proxies.list(), {
      scope: 'proxies:read',
      response: ProxyList,
      detail: { operationId: 'listProxies', summary: 'List all proxies' },
    })
    .post('/', ({ body }) => proxies.start(body), {
      scope: 'proxies:write',
      body: ProxyInput,
      response: ProxyView,
      detail: { operationId: 'startProxy', summary: 'Start a proxy' },
    })
    .post('/stop', ({ body }) => proxies.stop(body), {
      scope: 'proxies:write',
      body: ProxySelector,
      response: ProxiesStopped,
      detail: { operationId: 'stopProxies', summary: 'Stop proxies' },
    })
    .post('/onion/rotate', ({ body }) => proxies.rotateOnion(body), {
      scope: 'proxies:write',
      body: OneProxy,
      response: ProxyView,
      detail: { operationId: 'rotateOnion', summary: 'Give an onion service another address' },
    })
    .post('/onion/remove', ({ body }) => proxies.removeOnion(body), {
      scope: 'proxies:write',
      body: OneProxy,
      response: ProxyView,
      detail: { operationId: 'removeOnion', summary: 'Remove an onion service' },
    })
    .post('/reload', ({ body }) => proxies.reload(body), {
      scope: 'proxies:write',
      body: ProxySelector,
      response: ProxiesReloaded,
      detail: { operationId: 'reloadProxies', summary: 'Read the settings again' },
    });
}
