/** `/api/v1/session`, by which a stranger becomes somebody, and `/api/v1/sessions` for whoever looks after them. */
import { Elysia, t } from 'elysia';
import { currentActor } from '../../lib/actor';
import { type ScopeGuard, STRICT } from '../../lib/scope-guard';
import { clearedCookie, sessionCookie } from '../cookie';
import { openedView, type Sessions } from './index';
import {
  IssuedToken,
  OpenedSession,
  SessionClosed,
  SessionInput,
  SessionList,
  type SessionsApi,
} from './model';

export function sessionsRoutes(sessions: Pick<Sessions, 'open'> & SessionsApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1', tags: ['sessions'], ...STRICT })
    .use(guard)
    .post(
      '/session',
      async ({ body, headers, set }) => {
        const visitor = { ip: currentActor().ip, userAgent: headers['user-agent'] ?? null };
        const opened = await sessions.open(body.token, visitor);
        if (body.as !== 'bearer') set.headers['set-cookie'] = sessionCookie(opened.secret, opened.maxAgeS);
        return openedView(opened, body.as);
      },
      {
        anonymous: 'Scope: none; a token of `flm admin token` opens one session.',
        body: SessionInput,
        response: OpenedSession,
        detail: { operationId: 'openSession', summary: 'Open a session with a one-time token' },
      },
    )
    .delete(
      '/session',
      async ({ set }) => {
        const closed = await sessions.close(currentActor().id);
        set.headers['set-cookie'] = clearedCookie();
        return closed;
      },
      {
        scope: 'status:read',
        response: SessionClosed,
        detail: { operationId: 'closeSession', summary: 'End the session that asks' },
      },
    )
    .post('/sessions/tokens', () => sessions.issueToken(), {
      scope: 'admin:write',
      response: IssuedToken,
      detail: { operationId: 'issueToken', summary: 'Make a token that opens one session' },
    })
    .get('/sessions', () => sessions.list(), {
      scope: 'admin:write',
      response: SessionList,
      detail: { operationId: 'listSessions', summary: 'List the sessions' },
    })
    .delete('/sessions/:id', ({ params: { id } }) => sessions.close(id), {
      scope: 'admin:write',
      params: t.Object({ id: t.String({ maxLength: 100 }) }),
      response: SessionClosed,
      detail: { operationId: 'revokeSession', summary: 'End a session' },
    });
}
