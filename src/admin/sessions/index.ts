/**
 * Sessions of the admin port: the owner fetches a token that opens one session, at the socket, and shows it at the port. A
 * session's secret is kept as a hash; tokens that wait to be used are in memory only.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ConfigSnapshot } from '../../config';
import type { AuditEvent, Clock, Principal } from '../../contract';
import { FlmError } from '../../lib/errors';
import { newId, randomBase62 } from '../../lib/ids';
import { SESSION_SCOPES } from '../scopes';
import { createLockout } from './lockout';
import type {
  IssuedToken,
  OpenedSession,
  SessionClosed,
  SessionInput,
  SessionList,
  SessionView,
} from './model';
import type { SessionStore, StoredSession } from './store';

export { createSessionStore, type SessionStore } from './store';

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly config: () => ConfigSnapshot;
  /** Puts on record what happens at the door; what changes the table, the store puts there. */
  readonly record: (event: AuditEvent) => Promise<void>;
}

/** Who asks for a session. */
export interface Visitor {
  readonly ip: string | null;
  readonly userAgent: string | null;
}

export interface Opened {
  readonly session: SessionView;
  /** What has to be shown from now on. */
  readonly secret: string;
  readonly maxAgeS: number;
}

export interface Sessions {
  /** A token that opens one session within five minutes; ends a lock-out, for only the owner gets here. */
  issueToken(): Promise<Omit<IssuedToken, 'url'>>;
  /** @throws UNAUTHENTICATED, ADMIN_LOCKED */
  open(token: string, visitor: Visitor): Promise<Opened>;
  /** Whose secret that is. @throws UNAUTHENTICATED when nobody's, or its session has ended; ADMIN_LOCKED */
  identify(secret: string): Promise<Principal>;
  list(): Promise<SessionList>;
  /** @throws SESSION_NOT_FOUND */
  close(id: string): Promise<SessionClosed>;
  /** Calls `handle` with the id of every session that is closed. */
  onClosed(handle: (id: string) => void): void;
}

/** 43 characters of base62 are 256 bits. */
const SECRET_LENGTH = 43;
const TOKEN_MS = 5 * 60_000;
const MAX_TOKENS = 16;
const MAX_CLOSED = 1_000;
/** Within this, a session that was used is not written down again. */
const USED_MS = 60_000;
/** How long it is remembered that a session has ended: who shows it then has not guessed. */
const AFTERLIFE_MS = 24 * 3_600_000;
/** Clocks that are set back do not make sessions last: who comes from further ahead than this is refused. */
const SKEW_MS = 60_000;

export function createSessions({ store, clock, config, record }: SessionsOptions): Sessions {
  const lockout = createLockout(clock);
  const watchers: ((id: string) => void)[] = [];
  /** Secrets of sessions that were closed: a page that goes on asking with one has not guessed. */
  const closed = new Set<string>();
  let tokens: { readonly hash: Buffer; readonly untilMs: number }[] = [];

  /** Counts a failed attempt, and says what becomes of it. */
  async function refused(reason: 'token' | 'session'): Promise<FlmError> {
    // Counted before anything is awaited: guesses that come at once are as many.
    const lockedMs = lockout.failed();
    await record({ type: 'admin.auth_failed', severity: 'medium', target: null, details: { reason } });
    if (lockedMs > 0)
      await record({
        type: 'admin.locked_out',
        severity: 'high',
        target: null,
        details: { seconds: Math.ceil(lockedMs / 1_000) },
      });
    return new FlmError('UNAUTHENTICATED');
  }

  function requireUnlocked(): void {
    const seconds = Math.ceil(lockout.remainingMs() / 1_000);
    if (seconds > 0) throw new FlmError('ADMIN_LOCKED', { meta: { seconds, retryAfterSeconds: seconds } });
  }

  /** Whether the token waits to be used; from now on it does not. */
  function take(token: string): boolean {
    const hash = digest(token);
    const nowMs = clock.monotonicMs();
    const found = tokens.filter((waiting) => timingSafeEqual(waiting.hash, hash) && waiting.untilMs > nowMs);
    tokens = tokens.filter((waiting) => !found.includes(waiting));
    return found.length > 0;
  }

  function endOf({ lastUsedAtMs, expiresAtMs }: StoredSession): number {
    return Math.min(expiresAtMs, lastUsedAtMs + config()['admin.session_idle_ms']);
  }

  function isOver(session: StoredSession, nowMs: number): boolean {
    return endOf(session) <= nowMs || session.lastUsedAtMs > nowMs + SKEW_MS;
  }

  function viewOf(session: StoredSession): SessionView {
    return {
      id: session.id,
      ip: session.ip,
      user_agent: session.userAgent,
      created_at: new Date(session.createdAtMs).toISOString(),
      last_used_at: new Date(session.lastUsedAtMs).toISOString(),
      expires_at: new Date(endOf(session)).toISOString(),
    };
  }

  return {
    async issueToken() {
      await record({ type: 'admin.token_issued', severity: 'medium', target: null, details: null });
      const token = randomBase62(SECRET_LENGTH);
      const untilMs = clock.monotonicMs() + TOKEN_MS;
      tokens = [...tokens, { hash: digest(token), untilMs }].slice(-MAX_TOKENS);
      lockout.clear();
      return { token, expires_at: new Date(clock.nowMs() + TOKEN_MS).toISOString() };
    },

    async open(token, { ip, userAgent }) {
      requireUnlocked();
      if (!take(token)) throw await refused('token');
      const secret = randomBase62(SECRET_LENGTH);
      const [createdAtMs, lifetimeMs] = [clock.nowMs(), config()['admin.session_lifetime_ms']];
      const session: StoredSession = {
        id: newId(),
        tokenHash: digest(secret),
        ip,
        userAgent: userAgent?.slice(0, 200) ?? null,
        createdAtMs,
        lastUsedAtMs: createdAtMs,
        expiresAtMs: createdAtMs + lifetimeMs,
      };
      const sweepMs = createdAtMs - AFTERLIFE_MS;
      await store.sweep(sweepMs, sweepMs - config()['admin.session_idle_ms']);
      const target = `session:${session.id}`;
      await store.insert(session, {
        type: 'admin.session_opened',
        severity: 'medium',
        target,
        details: null,
      });
      lockout.clear();
      return { session: viewOf(session), secret, maxAgeS: Math.floor(lifetimeMs / 1_000) };
    },

    async identify(secret) {
      const session = await store.find(digest(secret));
      if (session === null) {
        if (closed.has(digest(secret).toString('hex'))) throw new FlmError('UNAUTHENTICATED');
        requireUnlocked();
        throw await refused('session');
      }
      const nowMs = clock.nowMs();
      // It was a good one: a page that goes on asking with it must not lock its owner out.
      if (isOver(session, nowMs)) throw new FlmError('UNAUTHENTICATED');
      if (nowMs - session.lastUsedAtMs >= USED_MS) await store.used(session.id, nowMs);
      return {
        kind: 'owner',
        id: session.id,
        label: 'session of the owner',
        scopes: SESSION_SCOPES,
        models: null,
      };
    },

    onClosed: (handle) => void watchers.push(handle),

    async list() {
      const nowMs = clock.nowMs();
      const sessions = await store.list();
      return { items: sessions.filter((session) => !isOver(session, nowMs)).map(viewOf), next: null };
    },

    async close(id) {
      const event = {
        type: 'admin.session_closed',
        severity: 'low',
        target: `session:${id}`,
        details: null,
      } as const;
      const session = (await store.list()).find((open) => open.id === id);
      if (!(await store.remove(id, event))) throw new FlmError('SESSION_NOT_FOUND', { meta: { id } });
      if (closed.size >= MAX_CLOSED) closed.clear();
      if (session !== undefined) closed.add(session.tokenHash.toString('hex'));
      for (const watcher of watchers) watcher(id);
      return { id, closed: true };
    },
  };
}

/** What the answer to a new session holds: the secret itself only where no cookie carries it. */
export function openedView({ session, secret }: Opened, as: SessionInput['as']): OpenedSession {
  return { ...session, bearer: as === 'bearer' ? secret : null };
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
