/** Shapes of the sessions of the admin API. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../../lib/schema';

const Time = Type.String({ format: 'date-time' });

export const SessionInput = Type.Object(
  {
    token: Type.String({ minLength: 1, maxLength: 200, description: 'What "flm admin token" has printed.' }),
    as: Type.Optional(
      oneOf(['cookie', 'bearer'], {
        description: 'How the session is shown from then on. Default: cookie, for browsers.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type SessionInput = Static<typeof SessionInput>;

export const SessionView = Type.Object(
  {
    id: Type.String(),
    ip: nullable(Type.String()),
    user_agent: nullable(Type.String()),
    created_at: Time,
    last_used_at: Time,
    expires_at: Type.String({ format: 'date-time', description: 'When it ends if nobody uses it.' }),
  },
  { description: 'A session of the admin API.' },
);
export type SessionView = Static<typeof SessionView>;

export const OpenedSession = Type.Object(
  {
    ...SessionView.properties,
    bearer: nullable(Type.String(), {
      description: 'For "Authorization: Bearer", where that was asked for. It is shown this once.',
    }),
  },
  { description: 'A new session.' },
);
export type OpenedSession = Static<typeof OpenedSession>;

export const SessionList = Type.Object(
  { items: Type.Array(SessionView), next: Type.Null() },
  { description: 'All sessions, newest first.' },
);
export type SessionList = Static<typeof SessionList>;

export const SessionClosed = Type.Object(
  { id: Type.String(), closed: Type.Literal(true) },
  { description: 'The session has ended.' },
);
export type SessionClosed = Static<typeof SessionClosed>;

export const IssuedToken = Type.Object(
  {
    token: Type.String({ description: 'Opens one session. It is shown this once and kept in memory only.' }),
    expires_at: Time,
    url: Type.String({ examples: ['http://127.0.0.1:7843'] }),
  },
  { description: 'A token that opens one session.' },
);
export type IssuedToken = Static<typeof IssuedToken>;

/** What the CLI needs of the sessions, whether FLM runs or not. */
export interface SessionsApi {
  /** @throws ADMIN_PORT_OFF; PROXY_NOT_RUNNING where nobody could take it */
  issueToken(): Promise<IssuedToken>;
  list(): Promise<SessionList>;
  /** @throws SESSION_NOT_FOUND */
  close(id: string): Promise<SessionClosed>;
}
