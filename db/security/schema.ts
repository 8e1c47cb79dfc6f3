/** Tables of security.db (FLM-125), the encrypted one. Times are integer milliseconds UTC. */
import { blob, index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** One row, made with the file: secrets of this installation. */
export const installation = sqliteTable('installation', {
  id: text('id').primaryKey(),
  /** Key of the HMAC over API keys, so that a stolen table alone verifies nothing. */
  keyPepper: blob('key_pepper', { mode: 'buffer' }).notNull(),
  createdAtMs: integer('created_at_ms').notNull(),
});

export const apiKeys = sqliteTable(
  'api_keys',
  {
    /** The eight characters after `flm_`: public. */
    id: text('id').primaryKey(),
    label: text('label').notNull(),
    /** HMAC-SHA-256 of the whole key with the pepper; the key itself is nowhere. */
    hash: blob('hash', { mode: 'buffer' }).notNull().unique(),
    /** JSON array of scopes. */
    scopesJson: text('scopes_json').notNull(),
    /** JSON array of model patterns, or null for all. */
    modelsJson: text('models_json'),
    createdAtMs: integer('created_at_ms').notNull(),
    expiresAtMs: integer('expires_at_ms'),
    /** May lie ahead: a rotated key works until then. */
    revokedAtMs: integer('revoked_at_ms'),
    /** The key that this one replaced. */
    rotatedFrom: text('rotated_from'),
  },
  (table) => [index('api_keys_created').on(table.createdAtMs), index('api_keys_label').on(table.label)],
);

/** What FLM shows to engines that want a key of their own. */
export const engineCredentials = sqliteTable('engine_credentials', {
  engineId: text('engine_id').primaryKey(),
  secret: text('secret').notNull(),
  updatedAtMs: integer('updated_at_ms').notNull(),
});
