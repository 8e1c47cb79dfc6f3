/** The api_keys and installation tables of security.db. */
import { randomBytes } from 'node:crypto';
import { desc, eq } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../db';
import type { AuditEvent, AuditWriter } from '../contract';
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

/** Each change is put on record with it. */
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

export function createKeyStore(db: SecurityDb, audit: AuditWriter): KeyStore {
  const { apiKeys, installation } = securitySchema;
  return {
    async pepper(nowMs) {
      const fresh = { id: 'default', keyPepper: randomBytes(32), createdAtMs: nowMs };
      db.insert(installation).values(fresh).onConflictDoNothing().run();
      const row = db.select().from(installation).where(eq(installation.id, 'default')).get();
      return row?.keyPepper ?? fresh.keyPepper;
    },

    async list() {
      const { id, label, hash, scopesJson, modelsJson, createdAtMs, expiresAtMs, revokedAtMs, rotatedFrom } =
        apiKeys;
      const columns = {
        id,
        label,
        hash,
        scopesJson,
        modelsJson,
        createdAtMs,
        expiresAtMs,
        revokedAtMs,
        rotatedFrom,
      };
      const rows = db
        .select(columns)
        .from(apiKeys)
        .orderBy(desc(apiKeys.createdAtMs), desc(apiKeys.id))
        .all();
      return rows.map(({ scopesJson: scopes, modelsJson: models, ...row }) => ({
        ...row,
        scopes: scopesIn(scopes),
        models: models === null ? null : modelsIn(models),
      }));
    },

    async insert(key) {
      db.transaction((tx) => {
        tx.insert(apiKeys).values(rowOf(key)).run();
        audit.write(created(key));
      });
    },

    async replace(oldId, endsAtMs, key) {
      db.transaction((tx) => {
        tx.update(apiKeys).set({ revokedAtMs: endsAtMs }).where(eq(apiKeys.id, oldId)).run();
        tx.insert(apiKeys).values(rowOf(key)).run();
        const details = { replaced_by: key.id, ends_at: iso(endsAtMs) };
        audit.write({ type: 'key.rotated', severity: 'medium', target: `key:${oldId}`, details });
        audit.write(created(key));
      });
    },

    async revoke(id, atMs) {
      db.transaction((tx) => {
        const { changes } = tx.update(apiKeys).set({ revokedAtMs: atMs }).where(eq(apiKeys.id, id)).run();
        if (changes === 0) return;
        const details = { ends_at: iso(atMs) };
        audit.write({ type: 'key.revoked', severity: 'medium', target: `key:${id}`, details });
      });
    },
  };
}

/** A list of a thousand patterns is told by its length and its beginning. */
const SHOWN_MODELS = 20;

function created({ id, label, scopes, models, expiresAtMs, rotatedFrom }: StoredKey): AuditEvent {
  const details = {
    label,
    scopes,
    models: models?.slice(0, SHOWN_MODELS) ?? null,
    ...(models !== null && models.length > SHOWN_MODELS ? { models_in_all: models.length } : {}),
    expires_at: expiresAtMs === null ? null : iso(expiresAtMs),
    ...(rotatedFrom === null ? {} : { rotated_from: rotatedFrom }),
  };
  return { type: 'key.created', severity: 'medium', target: `key:${id}`, details };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
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
