/** The api_keys and installation tables of security.db. */
import { randomBytes } from 'node:crypto';
import { desc, eq } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../db';
import { parseJson } from '../lib/json';
import { KEY_SCOPES } from './model';

export type KeyScope = (typeof KEY_SCOPES)[number];

export interface StoredKey {
  readonly id: string;
  readonly label: string;
  /** HMAC-SHA-256 of the whole key with the pepper, 32 bytes. */
  readonly hash: Buffer;
  readonly scopes: readonly KeyScope[];
  readonly models: readonly string[] | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
  readonly rotatedFrom: string | null;
}

export interface KeyStore {
  /** 32 random bytes of this installation, made on first use. */
  pepper(nowMs: number): Promise<Buffer>;
  /** All keys, newest first. */
  list(): Promise<readonly StoredKey[]>;
  insert(key: StoredKey): Promise<void>;
  /** Both or neither: the new key, and the end of the old one. */
  replace(oldId: string, endsAtMs: number, key: StoredKey): Promise<void>;
  revoke(id: string, atMs: number): Promise<void>;
}

export function createKeyStore(db: SecurityDb): KeyStore {
  const { apiKeys, installation } = securitySchema;
  return {
    async pepper(nowMs) {
      const fresh = { id: 'default', keyPepper: randomBytes(32), createdAtMs: nowMs };
      db.insert(installation).values(fresh).onConflictDoNothing().run();
      const row = db.select().from(installation).where(eq(installation.id, 'default')).get();
      return row?.keyPepper ?? fresh.keyPepper;
    },

    async list() {
      const rows = db.select().from(apiKeys).orderBy(desc(apiKeys.createdAtMs), desc(apiKeys.id)).all();
      return rows.map(({ scopesJson, modelsJson, ...row }) => ({
        ...row,
        scopes: scopesIn(scopesJson),
        models: modelsJson === null ? null : modelsIn(modelsJson),
      }));
    },

    async insert(key) {
      db.insert(apiKeys).values(rowOf(key)).run();
    },

    async replace(oldId, endsAtMs, key) {
      db.transaction((tx) => {
        tx.update(apiKeys).set({ revokedAtMs: endsAtMs }).where(eq(apiKeys.id, oldId)).run();
        tx.insert(apiKeys).values(rowOf(key)).run();
      });
    },

    async revoke(id, atMs) {
      db.update(apiKeys).set({ revokedAtMs: atMs }).where(eq(apiKeys.id, id)).run();
    },
  };
}

function rowOf({ scopes, models, ...key }: StoredKey): typeof securitySchema.apiKeys.$inferInsert {
  return {
    ...key,
    scopesJson: JSON.stringify(scopes),
    modelsJson: models === null ? null : JSON.stringify(models),
  };
}

/** Scopes of a newer version are not understood, so they grant nothing here. */
function scopesIn(json: string): KeyScope[] {
  const list = parseJson(json);
  return Array.isArray(list) ? KEY_SCOPES.filter((scope) => list.includes(scope)) : [];
}

/** A list that cannot be read allows no model: fail closed. */
function modelsIn(json: string): string[] {
  const list = parseJson(json);
  return Array.isArray(list) ? list.filter((item): item is string => typeof item === 'string') : [];
}
