/** `/api/v1/egress`: how requests leave this machine. */
import { Elysia } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import { type EgressApi, EgressLoginInput, EgressStatus, EgressTestInput, EgressTestReport } from './model';

export function egressRoutes(egress: EgressApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/egress', tags: ['egress'], ...STRICT })
    .use(guard)
    .get('/', () => egress.status(), {
      scope: 'proxies:read',
      response: EgressStatus,
      detail: { operationId: 'getEgress', summary: 'How requests leave this machine' },
    })
    .post('/test', ({ body }) => egress.test(body), {
      scope: 'proxies:write',
      body: EgressTestInput,
      response: EgressTestReport,
      detail: { operationId: 'testEgress', summary: 'Try the way out' },
    })
    .put('/login', ({ body }) => egress.setLogin(body), {
      scope: 'proxies:write',
      body: EgressLoginInput,
      response: EgressStatus,
      detail: { operationId: 'setEgressLogin', summary: 'Set what the SOCKS server is told' },
    })
    .delete('/login', () => egress.removeLogin(), {
      scope: 'proxies:write',
      response: EgressStatus,
      detail: { operationId: 'removeEgressLogin', summary: 'Forget what the SOCKS server is told' },
    });
}
