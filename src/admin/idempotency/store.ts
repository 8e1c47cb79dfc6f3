/** The idempotency_keys table of security.db. */
import { eq, isNull, lte } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../../db';

export interface StoredAnswer {
  readonly keyHash: Buffer;
  readonly requestHash: Buffer;
  /** Null while the first request is under way. */
  readonly status: number | null;
  /** Sealed; null with it. */
  readonly answer: Buffer | null;
}

export interface IdempotencyStore {
  /** Takes the key for a request that begins, or returns what is there. */
  begin(
    row: Pick<StoredAnswer, 'keyHash' | 'requestHash'>,
    nowMs: number,
    expiresAtMs: number,
  ): Promise<StoredAnswer | null>;
  finish(keyHash: Buffer, status: number, answer: Buffer): Promise<void>;
  /** Gives the key back: the request may be made anew. */
  release(keyHash: Buffer): Promise<void>;
  /** Gives back what a process that is gone has left under way. */
  releaseUnfinished(): Promise<void>;
  sweep(nowMs: number): Promise<void>;
}

export function createIdempotencyStore(db: SecurityDb): IdempotencyStore {
  const { idempotencyKeys: keys } = securitySchema;
  return {
    async begin({ keyHash, requestHash }, nowMs, expiresAtMs) {
      return db.transaction((tx) => {
        tx.delete(keys).where(lte(keys.expiresAtMs, nowMs)).run();
        const fresh = { keyHash, requestHash, status: null, answer: null, createdAtMs: nowMs, expiresAtMs };
        if (tx.insert(keys).values(fresh).onConflictDoNothing().run().changes > 0) return null;
        return tx.select().from(keys).where(eq(keys.keyHash, keyHash)).get() ?? null;
      });
    },

    async finish(keyHash, status, answer) {
      db.update(keys).set({ status, answer }).where(eq(keys.keyHash, keyHash)).run();
    },

    async release(keyHash) {
      db.delete(keys).where(eq(keys.keyHash, keyHash)).run();
    },

    async releaseUnfinished() {
      db.delete(keys).where(isNull(keys.status)).run();
    },

    async sweep(nowMs) {
      db.delete(keys).where(lte(keys.expiresAtMs, nowMs)).run();
    },
  };
}
