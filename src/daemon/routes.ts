/** `/api/v1/daemon`: the process that serves, as other processes of this FLM talk to it. */
import { Elysia } from 'elysia';
import { type ScopeGuard, STRICT } from '../lib/scope-guard';
import { type DaemonApi, ElderAnswer, ElderReport, Legacy, Stopping } from './model';

export function daemonRoutes(daemon: DaemonApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1/daemon', tags: ['daemon'], ...STRICT })
    .use(guard)
    .post('/stop', () => daemon.stop(), {
      scope: 'proxies:write',
      response: Stopping,
      detail: { operationId: 'stopFlm', summary: 'Stop FLM' },
    })
    .post('/hand-over', () => daemon.handOver(), {
      scope: 'admin:write',
      response: Legacy,
      detail: {
        operationId: 'handOver',
        summary: 'Leave the data directory to a new process (for FLM itself)',
      },
    })
    .post('/elders', ({ body }) => daemon.elder(body), {
      scope: 'admin:write',
      body: ElderReport,
      response: ElderAnswer,
      detail: {
        operationId: 'tellOfElder',
        summary: 'What a replaced process tells until its end (for FLM itself)',
      },
    });
}
