/**
 * Tables of `activity/<day>.db`, the request log of one UTC day, encrypted like security.db (FLM-118, HL-120). Rows are only
 * ever added. Rows and blocks are numbered through all days. Times are integer milliseconds UTC.
 */
import { sql } from 'drizzle-orm';
import { blob, index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** `day`, which the file is for, and the last batch that was written to it. */
export const meta = sqliteTable('meta', {
  key: text('key').primaryKey(),
  value: text('value').notNull(),
});

/** Texts that rows share: models, engines, keys, paths. */
export const names = sqliteTable('names', {
  id: integer('id').primaryKey(),
  text: text('text').notNull().unique(),
});

/** Whom requests came from. The chain holds the commitment, which stays when the rest is erased. */
export const clients = sqliteTable('clients', {
  id: integer('id').primaryKey(),
  /** An address, or the /64 of one; null once it was erased. */
  address: text('address').unique(),
  /** Erased with the address: without it nobody can try addresses against the commitment. */
  salt: blob('salt', { mode: 'buffer' }),
  /** SHA-256 of salt and address. */
  commitment: blob('commitment', { mode: 'buffer' }).notNull(),
});

export const rows = sqliteTable(
  'rows',
  {
    /** 1, 2, 3, … through all days. */
    seq: integer('seq').primaryKey(),
    /** 0: a request; 1: one that takes long, told before its end; 2: requests of a stranger that were refused, counted. */
    kind: integer('kind').notNull(),
    /** When it arrived; the minute in which they were counted. */
    atMs: integer('at_ms').notNull(),
    /** UUIDv7 in 16 bytes; null for what was counted. */
    requestId: blob('request_id', { mode: 'buffer' }),
    /** The row of `clients`. */
    client: integer('client').notNull(),
    /** These five are rows of `names`. */
    method: integer('method'),
    path: integer('path'),
    key: integer('key'),
    model: integer('model'),
    engine: integer('engine'),
    /** Place in the list done, aborted, failed, refused. */
    outcome: integer('outcome').notNull(),
    status: integer('status').notNull(),
    /** The row of `names`: a code of the error catalogue, or why a stranger was refused. */
    error: integer('error'),
    attempts: integer('attempts').notNull(),
    isStream: integer('is_stream').notNull(),
    waitedMs: integer('waited_ms').notNull(),
    firstByteMs: integer('first_byte_ms'),
    firstTokenMs: integer('first_token_ms'),
    durationMs: integer('duration_ms').notNull(),
    promptTokens: integer('prompt_tokens'),
    completionTokens: integer('completion_tokens'),
    cachedTokens: integer('cached_tokens'),
    reasoningTokens: integer('reasoning_tokens'),
    /** The row of kind 1 that told of it before its end. */
    openedSeq: integer('opened_seq'),
    /** Requests that a row of kind 2 stands for. */
    count: integer('count'),
    /** The first eight bytes of the digest of the chain up to here: they tell which row is the first bad one. */
    link: blob('link', { mode: 'buffer' }).notNull(),
  },
  (table) => [
    index('rows_client').on(table.client),
    // With what is asked for together, so that what no row has is found out without looking at the rows.
    index('rows_key').on(table.key, table.seq, table.model, table.engine).where(sql`key is not null`),
    index('rows_model').on(table.model, table.seq, table.engine).where(sql`model is not null`),
    index('rows_engine').on(table.engine).where(sql`engine is not null`),
    index('rows_notable')
      .on(
        table.status,
        table.outcome,
        table.key,
        table.model,
        table.engine,
        table.client,
        table.atMs,
        table.kind,
      )
      .where(sql`kind = 0 and (outcome <> 0 or status >= 400)`),
    index('rows_counted').on(table.kind).where(sql`kind = 2`),
    index('rows_opened').on(table.requestId).where(sql`kind = 1`),
    index('rows_closing').on(table.openedSeq).where(sql`opened_seq is not null`),
  ],
);

/** Stretches of rows. Each block's digest is over its rows and the digest of the block before it, of whatever day. */
export const blocks = sqliteTable('blocks', {
  /** 1, 2, 3, … through all days. */
  n: integer('n').primaryKey(),
  firstRow: integer('first_row').notNull(),
  lastRow: integer('last_row').notNull(),
  /** Earliest and latest arrival among its rows. */
  minAtMs: integer('min_at_ms').notNull(),
  maxAtMs: integer('max_at_ms').notNull(),
  previous: blob('previous', { mode: 'buffer' }).notNull(),
  digest: blob('digest', { mode: 'buffer' }).notNull(),
});
