/** The api_keys and installation tables of security.db. */
import { randomBytes } from 'node:crypto';
import { desc, eq, getTableColumns, sql } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../db';
import type { AuditEvent, AuditWriter } from '../contract';
import { parseJson } from '../lib/json';
import { KEY_SCOPES } from './model';
import { type KeyTerms, termsView } from './terms';

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
  readonly terms: KeyTerms;
  /** Whether a rotation by itself made it and its owner has not fetched it. */
  readonly isUncollected: boolean;
}

/** Each change is put on record with it. */
export interface KeyStore {
  /** 32 random bytes of this installation, made on first use. */
  pepper(nowMs: number): Promise<Buffer>;
  /** All keys, newest first. */
  list(): Promise<readonly StoredKey[]>;
  insert(key: StoredKey): Promise<void>;
  /** Label, models and terms. `changed` names what is otherwise. */
  update(key: StoredKey, changed: readonly string[]): Promise<void>;
  /** Both or neither: the new key, and the end of the old one. `plain`: the key itself, kept until somebody fetches it. */
  replace(oldId: string, endsAtMs: number, key: StoredKey, plain: string | null): Promise<void>;
  /** The key itself, which is then nowhere any more; null when it is not there. */
  collect(id: string): Promise<string | null>;
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
      const { uncollected, ...columns } = getTableColumns(apiKeys);
      const rows = db
        .select({ ...columns, isUncollected: sql<number>`${uncollected} IS NOT NULL` })
        .from(apiKeys)
        .orderBy(desc(apiKeys.createdAtMs), desc(apiKeys.id))
        .all();
      return rows.map(keyOf);
    },

    async insert(key) {
      db.transaction((tx) => {
        tx.insert(apiKeys).values(rowOf(key)).run();
        audit.write(created(key));
      });
    },

    async update(key, changed) {
      const { id, label, models, terms } = key;
      db.transaction((tx) => {
        const row = { label, modelsJson: jsonOf(models), ...termColumns(terms) };
        tx.update(apiKeys).set(row).where(eq(apiKeys.id, id)).run();
        const details = { changed, ...told(key) };
        audit.write({ type: 'key.updated', severity: 'medium', target: `key:${id}`, details });
      });
    },

    async replace(oldId, endsAtMs, key, plain) {
      db.transaction((tx) => {
        // What nobody has fetched of the old one is of no more use.
        const ended = { revokedAtMs: endsAtMs, uncollected: null };
        tx.update(apiKeys).set(ended).where(eq(apiKeys.id, oldId)).run();
        tx.insert(apiKeys)
          .values({ ...rowOf(key), uncollected: plain })
          .run();
        const how = plain === null ? {} : { scheduled: true };
        const details = { replaced_by: key.id, ends_at: iso(endsAtMs), ...how };
        audit.write({ type: 'key.rotated', severity: 'medium', target: `key:${oldId}`, details });
        audit.write(created(key));
      });
    },

    async collect(id) {
      return db.transaction((tx) => {
        const row = tx.select({ plain: apiKeys.uncollected }).from(apiKeys).where(eq(apiKeys.id, id)).get();
        if (row === undefined || row.plain === null) return null;
        tx.update(apiKeys).set({ uncollected: null }).where(eq(apiKeys.id, id)).run();
        audit.write({ type: 'key.collected', severity: 'medium', target: `key:${id}`, details: null });
        return row.plain;
      });
    },

    async revoke(id, atMs) {
      db.transaction((tx) => {
        const ended = { revokedAtMs: atMs, uncollected: null };
        const { changes } = tx.update(apiKeys).set(ended).where(eq(apiKeys.id, id)).run();
        if (changes === 0) return;
        const details = { ends_at: iso(atMs) };
        audit.write({ type: 'key.revoked', severity: 'medium', target: `key:${id}`, details });
      });
    },
  };
}

/** A list of a thousand patterns is told by its length and its beginning. */
const SHOWN = 20;

function created(key: StoredKey): AuditEvent {
  const { id, scopes, expiresAtMs, rotatedFrom } = key;
  const details = {
    scopes,
    ...told(key),
    expires_at: expiresAtMs === null ? null : iso(expiresAtMs),
    ...(rotatedFrom === null ? {} : { rotated_from: rotatedFrom }),
  };
  return { type: 'key.created', severity: 'medium', target: `key:${id}`, details };
}

/** What of a key can be changed. Terms that nobody has laid down are not told. */
function told({ label, models, terms }: StoredKey): Readonly<Record<string, unknown>> {
  const view = Object.entries(termsView(terms)).filter(([, value]) => value !== null);
  return {
    label,
    ...shown('models', models),
    ...Object.assign(
      {},
      ...view.map(([name, value]) => (Array.isArray(value) ? shown(name, value) : { [name]: value })),
    ),
  };
}

function shown(name: string, list: readonly unknown[] | null): Readonly<Record<string, unknown>> {
  if (list === null || list.length <= SHOWN) return { [name]: list };
  return { [name]: list.slice(0, SHOWN), [`${name}_in_all`]: list.length };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function rowOf({ scopes, models, terms, isUncollected, ...key }: StoredKey): Row {
  return {
    ...key,
    scopesJson: JSON.stringify(scopes),
    modelsJson: jsonOf(models),
    ...termColumns(terms),
  };
}

function termColumns({ cidrs, origins, certificates, ...numbers }: KeyTerms) {
  const places = { cidrsJson: jsonOf(cidrs), originsJson: jsonOf(origins) };
  return { ...numbers, ...places, clientCertificatesJson: jsonOf(certificates) };
}

function jsonOf(list: readonly string[] | null): string | null {
  return list === null ? null : JSON.stringify(list);
}

type Row = typeof securitySchema.apiKeys.$inferInsert;
type Selected = Omit<typeof securitySchema.apiKeys.$inferSelect, 'uncollected'> & {
  readonly isUncollected: number;
};

function keyOf({
  scopesJson,
  modelsJson,
  cidrsJson,
  originsJson,
  clientCertificatesJson,
  ...row
}: Selected): StoredKey {
  const { id, label, hash, createdAtMs, expiresAtMs, revokedAtMs, rotatedFrom } = row;
  const { requestsPerMinute, burst, tokensPerMinute, parallelRequests, rotateEveryMs, rotateGraceMs } = row;
  const terms = {
    cidrs: cidrsJson === null ? null : wordsIn(cidrsJson),
    origins: originsJson === null ? null : wordsIn(originsJson),
    certificates: clientCertificatesJson === null ? null : wordsIn(clientCertificatesJson),
    ...{ requestsPerMinute, burst, tokensPerMinute, parallelRequests, rotateEveryMs, rotateGraceMs },
  };
  return {
    ...{ id, label, hash, createdAtMs, expiresAtMs, revokedAtMs, rotatedFrom },
    scopes: scopesIn(scopesJson),
    models: modelsJson === null ? null : wordsIn(modelsJson),
    terms,
    isUncollected: row.isUncollected !== 0,
  };
}

/** Scopes of a newer version are not understood, so they grant nothing here. */
function scopesIn(json: string): KeyScope[] {
  const list = parseJson(json);
  return Array.isArray(list) ? KEY_SCOPES.filter((scope) => list.includes(scope)) : [];
}

/** A list that cannot be read allows nothing: fail closed. */
function wordsIn(json: string): string[] {
  const list = parseJson(json);
  return Array.isArray(list) ? list.filter((item): item is string => typeof item === 'string') : [];
}
