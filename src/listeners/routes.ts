/** `/api/v1/proxies`: the listeners of the API for clients. */
import { Elysia } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import { type ExposureApi, ExposureReport } from './exposure-model';
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

export function exposureRoutes({ exposure }: ExposureApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/security/exposure', tags: ['security'], ...STRICT })
    .use(guard)
    .get('/', () => exposure(), {
      scope: 'security:read',
      response: ExposureReport,
      detail: {
        operationId: 'getExposure',
        summary: 'Find out what can be reached from where, and which engines answer without FLM in front',
      },
    });
}
