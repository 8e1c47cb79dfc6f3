/** Tables of config.db (FLM-124): what the owner set up. Times are integer milliseconds UTC. */
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

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
});

/** Proxies that run now; a row whose process is gone is left over from a crash (FLM-067). */
export const activeProxyHandles = sqliteTable('active_proxy_handles', {
  id: text('id').primaryKey(),
  handleJson: text('handle_json').notNull(),
  createdAtMs: integer('created_at_ms').notNull(),
});
