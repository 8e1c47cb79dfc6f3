/** Tables of config.db (FLM-124): what the owner set up. Times are integer milliseconds UTC. */
import { blob, index, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** Settings that were set with `flm config set`; everything else is default, file, environment or flag. */
export const settings = sqliteTable('settings', {
  key: text('key').primaryKey(),
  value: text('value').notNull(),
  updatedAtMs: integer('updated_at_ms').notNull(),
  notes: text('notes'),
});

/** Engines added by hand. Their credentials are in security.db. */
export const engines = sqliteTable('engines', {
  id: text('id').primaryKey(),
  kind: text('kind').notNull(),
  baseUrl: text('base_url').notNull(),
  slots: integer('slots'),
  createdAtMs: integer('created_at_ms').notNull(),
});

/** The last way each proxy was started, without secrets (FLM-067). */
export const proxyProfiles = sqliteTable('proxy_profiles', {
  id: text('id').primaryKey(),
  configJson: text('config_json').notNull(),
  createdAtMs: integer('created_at_ms').notNull(),
  /** 1 while the owner wants it to run: such a proxy is started again with FLM. */
  isWanted: integer('is_wanted', { mode: 'boolean' }).notNull().default(false),
});

/** Proxies that run now; a row whose process is gone is left over from a crash (FLM-067). */
export const activeProxyHandles = sqliteTable('active_proxy_handles', {
  id: text('id').primaryKey(),
  handleJson: text('handle_json').notNull(),
  createdAtMs: integer('created_at_ms').notNull(),
});

/** What the owner says of a name that clients ask for: other names it stands for, and how to choose among engines. */
export const modelRoutes = sqliteTable('model_routes', {
  /** The name as clients write it. */
  name: text('name').primaryKey(),
  /**
   * JSON list of places, the first asked first, each a list of `{model, weight}` that share it; null when the name stands
   * for itself.
   */
  targetsJson: text('targets_json'),
  /** How to choose among engines, or null for the default. */
  strategy: text('strategy'),
  updatedAtMs: integer('updated_at_ms').notNull(),
});

/** How engines and their models were over time (FLM-047). */
export const engineHealthLogs = sqliteTable(
  'engine_health_logs',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    engineId: text('engine_id').notNull(),
    /** The engine's own name of a model for results of requests, null for looks at the engine. */
    modelId: text('model_id'),
    status: text('status').notNull(),
    latencyMs: integer('latency_ms'),
    /** 0 to 1. */
    errorRate: real('error_rate').notNull(),
    /** Requests the row sums up, 0 for a look. */
    requests: integer('requests').notNull(),
    createdAtMs: integer('created_at_ms').notNull(),
  },
  (table) => [
    index('engine_health_logs_engine').on(table.engineId, table.createdAtMs),
    index('engine_health_logs_time').on(table.createdAtMs),
  ],
);

/** Changes of this database that are not yet in the audit chain, which is in the other one. Written with the change. */
export const auditOutbox = sqliteTable('audit_outbox', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  /** The event with its id, time and actor. */
  eventJson: text('event_json').notNull(),
});

/**
 * How far the audit chain in the other database had come. It follows that chain's own head, so a security.db that was
 * put back to an earlier day is noticed.
 */
export const auditWitnesses = sqliteTable('audit_witnesses', {
  writer: text('writer').primaryKey(),
  seq: integer('seq').notNull(),
  hash: blob('hash', { mode: 'buffer' }).notNull(),
});
