/** The admin_sessions table of security.db. */
import { desc, eq, lte, or } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../../db';
import type { AuditEvent } from '../../contract';

export interface StoredSession {
  readonly id: string;
  /** SHA-256 of what the browser or script shows, 32 bytes. */
  readonly tokenHash: Buffer;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
  /** When it ends however much it is used. */
  readonly expiresAtMs: number;
}

/** Each change is made together with its place on record, or not at all. */
export interface SessionStore {
  insert(session: StoredSession, event: AuditEvent): Promise<void>;
  find(tokenHash: Buffer): Promise<StoredSession | null>;
  /** All of them, newest first. */
  list(): Promise<readonly StoredSession[]>;
  used(id: string, atMs: number): Promise<void>;
  /** Whether there was one; the event is put on record then. */
  remove(id: string, event: AuditEvent): Promise<boolean>;
  /** Drops those that ended by then, or were last used by then. */
  sweep(endedByMs: number, usedByMs: number): Promise<void>;
}

export function createSessionStore(db: SecurityDb, record: (event: AuditEvent) => void): SessionStore {
  const { adminSessions: sessions } = securitySchema;
  return {
    async insert(session, event) {
      db.transaction((tx) => {
        tx.insert(sessions).values(session).run();
        record(event);
      });
    },

    async find(tokenHash) {
      return db.select().from(sessions).where(eq(sessions.tokenHash, tokenHash)).get() ?? null;
    },

    async list() {
      return db.select().from(sessions).orderBy(desc(sessions.createdAtMs), desc(sessions.id)).all();
    },

    async used(id, atMs) {
      db.update(sessions).set({ lastUsedAtMs: atMs }).where(eq(sessions.id, id)).run();
    },

    async remove(id, event) {
      return db.transaction((tx) => {
        const isGone = tx.delete(sessions).where(eq(sessions.id, id)).run().changes > 0;
        if (isGone) record(event);
        return isGone;
      });
    },

    async sweep(endedByMs, usedByMs) {
      db.delete(sessions)
        .where(or(lte(sessions.expiresAtMs, endedByMs), lte(sessions.lastUsedAtMs, usedByMs)))
        .run();
    },
  };
}
