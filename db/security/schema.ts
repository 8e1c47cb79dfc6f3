/** Tables of security.db (FLM-125), the encrypted one. Times are integer milliseconds UTC. */
import { blob, index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';

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

/** The audit chain: who changed what, each row bound to the one before it (FLM-119, FLM-120, HL-120). Append-only. */
export const auditLogs = sqliteTable(
  'audit_logs',
  {
    /** 1, 2, 3, … per writer, without a gap. */
    seq: integer('seq').notNull(),
    /** The installation that wrote the row: with several, each has a chain of its own. */
    writer: text('writer').notNull(),
    /** UUIDv7 of the event. */
    id: text('id').notNull().unique(),
    atMs: integer('at_ms').notNull(),
    type: text('type').notNull(),
    severity: text('severity').notNull(),
    actorKind: text('actor_kind').notNull(),
    actorId: text('actor_id').notNull(),
    via: text('via').notNull(),
    target: text('target'),
    requestId: text('request_id'),
    traceId: text('trace_id'),
    /** JSON object, or null. */
    detailsJson: text('details_json'),
    /** What names a person (the address), as JSON; null when there was none or it was erased. */
    personalJson: text('personal_json'),
    /** Salt of the commitment; erased with what it salts. */
    personalSalt: blob('personal_salt', { mode: 'buffer' }),
    /** What the chain holds in place of personal data: it stays when they are erased. */
    personalCommitment: blob('personal_commitment', { mode: 'buffer' }),
    previousHash: blob('previous_hash', { mode: 'buffer' }).notNull(),
    hash: blob('hash', { mode: 'buffer' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.writer, table.seq] }),
    index('audit_logs_time').on(table.atMs),
    // In the order in which rows are shown, so that no list has to be sorted.
    index('audit_logs_type').on(table.type, table.writer, table.seq),
    index('audit_logs_severity').on(table.severity, table.writer, table.seq),
    index('audit_logs_target').on(table.target, table.writer, table.seq),
  ],
);

/** The end of each chain, so that rows missing at its end are noticed. */
export const auditHeads = sqliteTable('audit_heads', {
  writer: text('writer').primaryKey(),
  seq: integer('seq').notNull(),
  hash: blob('hash', { mode: 'buffer' }).notNull(),
});

/** Answers that are given again when a client repeats a change it does not know the end of (HL-004). */
export const idempotencyKeys = sqliteTable(
  'idempotency_keys',
  {
    /** SHA-256 of principal and key. */
    keyHash: blob('key_hash', { mode: 'buffer' }).primaryKey(),
    /** SHA-256 of method, path, principal and body. */
    requestHash: blob('request_hash', { mode: 'buffer' }).notNull(),
    /** Null while the first request is under way. */
    status: integer('status'),
    /** The answer, sealed with a key derived from the client's: it may hold a new API key. */
    answer: blob('answer', { mode: 'buffer' }),
    createdAtMs: integer('created_at_ms').notNull(),
    expiresAtMs: integer('expires_at_ms').notNull(),
  },
  (table) => [index('idempotency_keys_expiry').on(table.expiresAtMs)],
);

/** Browsers that have shown a one-time token. */
export const adminSessions = sqliteTable('admin_sessions', {
  /** SHA-256 of the cookie. */
  tokenHash: blob('token_hash', { mode: 'buffer' }).primaryKey(),
  id: text('id').notNull().unique(),
  ip: text('ip'),
  userAgent: text('user_agent'),
  createdAtMs: integer('created_at_ms').notNull(),
  lastUsedAtMs: integer('last_used_at_ms').notNull(),
  expiresAtMs: integer('expires_at_ms').notNull(),
});
