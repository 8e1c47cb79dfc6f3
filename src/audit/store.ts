/**
 * The audit chain in security.db, and what belongs to it in config.db: changes on their way to the chain, and how far
 * the chain had come. Rows are added; nothing here removes or changes one, except that personal data can be erased.
 */
import { and, asc, count, desc, eq, gt, gte, inArray, lt, or, type SQL, sql } from 'drizzle-orm';
import { type ConfigDb, configSchema, type SecurityDb, securitySchema } from '../../db';
import { sqliteCode } from '../../db/sqlite';
import { FlmError } from '../lib/errors';
import { type AuditDraft, type AuditRow, chained, GENESIS, type Head } from './chain';

/** Which rows; null stands for any. */
export interface RowFilter {
  /** A whole type, or the part before the dot for all of them: `key`. */
  readonly type: string | null;
  readonly severity: string | null;
  readonly actor: string | null;
  readonly target: string | null;
  readonly ip: string | null;
  /** From this time on. */
  readonly sinceMs: number | null;
  /** Before this time. */
  readonly untilMs: number | null;
}

/** A place in all chains: those of a later installation come after those of an earlier one. */
export interface Place {
  readonly writer: string;
  readonly seq: number;
}

export interface Waiting {
  /** All 64 bits of it, as decimal digits: somebody else may have chosen it. */
  readonly id: string;
  readonly eventJson: string;
}

export interface AuditStore {
  /** The writer of this installation; `fresh` becomes it when there is none. */
  writer(fresh: string): Promise<string>;
  /** Adds a row inside the transaction that security.db is in. @throws INTERNAL_ERROR without one; what SQLite says */
  append(writer: string, draft: AuditDraft): void;
  /** Adds a row in a transaction of its own. */
  add(writer: string, draft: AuditDraft): Promise<void>;
  /** Keeps a draft in config.db, inside the transaction that it is in. @throws as append */
  enqueue(draft: AuditDraft): void;
  /** Drafts that are not in the chain yet, the oldest first: those after `after`, or all. */
  waiting(after: string | null, limit: number): readonly Waiting[];
  /** Adds those that are not there yet. Returns those that no row can hold. @throws what SQLite says of the chain */
  addMissing(writer: string, drafts: readonly AuditDraft[]): readonly AuditDraft[];
  /** Forgets drafts that are in the chain, and remembers how far that is. False: the chain is not the one of before. */
  settle(writer: string, waiting: readonly string[]): boolean;

  /** Where each chain ends, by itself and by what config.db remembers. */
  heads(): readonly Head[];
  witnesses(): readonly Head[];
  /** Every writer that has rows. */
  writers(): readonly string[];
  /** Rows of a chain after `seq`, in order. */
  page(writer: string, seq: number, limit: number): readonly AuditRow[];
  /** The first row of a chain with that digest, if there is one. */
  placeOfHash(writer: string, hash: Buffer): number | null;
  /** The last row of a chain that is of one of those types. */
  lastOf(writer: string, types: readonly string[]): AuditRow | null;

  /** Rows that match, the newest first, from `before` on. */
  newest(filter: RowFilter, before: Place | null, limit: number): readonly AuditRow[];
  /** Rows that match, the oldest first, after one place and up to another. */
  oldest(filter: RowFilter, after: Place | null, upTo: Place | null, limit: number): readonly AuditRow[];
  /** Erases an address from all rows that hold it, and adds what `draftOf` says of it. Returns how many rows held it. */
  erase(writer: string, ip: string, draftOf: (rows: number) => AuditDraft): Promise<number>;
}

export function createAuditStore(config: ConfigDb, security: SecurityDb): AuditStore {
  const { auditLogs: logs, auditHeads: headTable } = securitySchema;
  const { auditOutbox: outbox, auditWitnesses: witnessTable } = configSchema;

  // Prepared once: a row is part of every change, and a check reads all of them.
  const findHead = security
    .select()
    .from(headTable)
    .where(eq(headTable.writer, sql.placeholder('writer')))
    .prepare();
  const insertRow = security.insert(logs).values(placeholders()).prepare();
  const moveHead = security
    .update(headTable)
    // Drizzle types no placeholder for a set; it fills one in all the same.
    .set({ seq: sql`${sql.placeholder('seq')}`, hash: sql`${sql.placeholder('hash')}` })
    .where(eq(headTable.writer, sql.placeholder('writer')))
    .prepare();
  const pageOf = security
    .select()
    .from(logs)
    .where(and(eq(logs.writer, sql.placeholder('writer')), gt(logs.seq, sql.placeholder('seq'))))
    .orderBy(asc(logs.seq))
    .limit(sql.placeholder('limit'))
    .prepare();

  function headOf(writer: string): Head {
    const head = findHead.get({ writer });
    if (head !== undefined) return head;
    const reason = 'the head of the audit chain is gone';
    throw new FlmError('DB_DAMAGED', { meta: { file: 'security.db', reason } });
  }

  function append(writer: string, draft: AuditDraft): void {
    // Read from the table each time: a head in memory would be wrong after a change that was rolled back.
    const row = chained(draft, headOf(writer));
    insertRow.run({ ...row });
    moveHead.run({ writer, seq: row.seq, hash: row.hash });
  }

  /** Adds those that are not there yet, all or none. */
  function addAll(writer: string, drafts: readonly AuditDraft[]): void {
    security.transaction(
      () => {
        for (const draft of drafts) {
          const there = security.select({ id: logs.id }).from(logs).where(eq(logs.id, draft.id)).get();
          // It was added, and the power went before the outbox knew.
          if (there === undefined) append(writer, draft);
        }
      },
      { behavior: 'immediate' },
    );
  }

  function rowAt(writer: string, seq: number): AuditRow | null {
    return pageOf.all({ writer, seq: seq - 1, limit: 1 }).find((row) => row.seq === seq) ?? null;
  }

  /** Remembers the head in config.db, unless the chain is not the one that was remembered: then that stays evidence. */
  function follow(writer: string): boolean {
    const head = headOf(writer);
    const known = config.select().from(witnessTable).where(eq(witnessTable.writer, writer)).get();
    if (known !== undefined) {
      if (rowAt(writer, known.seq)?.hash.equals(known.hash) !== true) return false;
      if (known.seq === head.seq) return true;
    }
    if (head.seq === 0) return true;
    const set = { seq: head.seq, hash: head.hash };
    config
      .insert(witnessTable)
      .values({ writer, ...set })
      .onConflictDoUpdate({ target: witnessTable.writer, set })
      .run();
    return true;
  }

  function matching(filter: RowFilter): SQL | undefined {
    const { type, severity, actor, target, ip, sinceMs, untilMs } = filter;
    return and(
      // A dot is followed by a slash in the order of characters.
      type === null
        ? undefined
        : type.includes('.')
          ? eq(logs.type, type)
          : and(gte(logs.type, `${type}.`), lt(logs.type, `${type}/`)),
      severity === null ? undefined : eq(logs.severity, severity),
      // A session of the owner is known by its own id, and by whose it is.
      actor === null ? undefined : or(eq(logs.actorId, actor), eq(logs.actorKind, actor)),
      target === null ? undefined : eq(logs.target, target),
      ip === null ? undefined : isFrom(ip),
      sinceMs === null ? undefined : gte(logs.atMs, sinceMs),
      untilMs === null ? undefined : lt(logs.atMs, untilMs),
    );
  }

  const isFrom = (ip: string): SQL => sql`json_extract(${logs.personalJson}, '$.ip') = ${ip}`;
  const placeOfRow = sql`(${logs.writer}, ${logs.seq})`;
  const pair = ({ writer, seq }: Place): SQL => sql`(${writer}, ${seq})`;

  return {
    async writer(fresh) {
      // Identifiers sort by age: the last one is that of this installation, also after a head was lost.
      const last = security.select().from(headTable).orderBy(desc(headTable.writer)).get();
      if (last !== undefined) return last.writer;
      security.insert(headTable).values({ writer: fresh, seq: 0, hash: GENESIS }).run();
      return fresh;
    },

    append(writer, draft) {
      requireTransaction(security);
      append(writer, draft);
    },

    async add(writer, draft) {
      security.transaction(() => append(writer, draft), { behavior: 'immediate' });
    },

    enqueue(draft) {
      requireTransaction(config);
      config
        .insert(outbox)
        .values({ eventJson: JSON.stringify(draft) })
        .run();
    },

    waiting(after, limit) {
      return config
        .select({ id: sql<string>`CAST(${outbox.id} AS TEXT)`, eventJson: outbox.eventJson })
        .from(outbox)
        .where(after === null ? undefined : sql`${outbox.id} > ${after}`)
        .orderBy(asc(outbox.id))
        .limit(limit)
        .all();
    },

    addMissing(writer, drafts) {
      try {
        addAll(writer, drafts);
        return [];
      } catch (error) {
        if (!isUnfit(error)) throw error;
      }
      return drafts.filter((draft) => {
        try {
          addAll(writer, [draft]);
          return false;
        } catch (error) {
          if (!isUnfit(error)) throw error;
          return true;
        }
      });
    },

    settle(writer, waiting) {
      return config.transaction(
        (tx) => {
          if (waiting.length > 0) tx.delete(outbox).where(sql`${outbox.id} IN ${waiting}`).run();
          return follow(writer);
        },
        { behavior: 'immediate' },
      );
    },

    heads: () => security.select().from(headTable).orderBy(asc(headTable.writer)).all(),
    witnesses: () => config.select().from(witnessTable).orderBy(asc(witnessTable.writer)).all(),
    writers() {
      const found: string[] = [];
      for (;;) {
        // From one to the next: DISTINCT would read every row.
        const row = security
          .select({ writer: logs.writer })
          .from(logs)
          .where(gt(logs.writer, found.at(-1) ?? ''))
          .orderBy(asc(logs.writer))
          .limit(1)
          .get();
        if (row === undefined) return found;
        found.push(row.writer);
      }
    },
    page: (writer, seq, limit) => pageOf.all({ writer, seq, limit }),

    placeOfHash(writer, hash) {
      const found = security
        .select({ seq: logs.seq })
        .from(logs)
        .where(and(eq(logs.writer, writer), eq(logs.hash, hash)))
        .orderBy(asc(logs.seq))
        .get();
      return found?.seq ?? null;
    },

    lastOf(writer, types) {
      const row = security
        .select()
        .from(logs)
        .where(and(eq(logs.writer, writer), inArray(logs.type, [...types])))
        .orderBy(desc(logs.seq))
        .limit(1)
        .get();
      return row ?? null;
    },

    newest(filter, before, limit) {
      const from = before === null ? undefined : sql`${placeOfRow} < ${pair(before)}`;
      return security
        .select()
        .from(logs)
        .where(and(matching(filter), from))
        .orderBy(desc(logs.writer), desc(logs.seq))
        .limit(limit)
        .all();
    },

    oldest(filter, after, upTo, limit) {
      const from = after === null ? undefined : sql`${placeOfRow} > ${pair(after)}`;
      const to = upTo === null ? undefined : sql`${placeOfRow} <= ${pair(upTo)}`;
      return security
        .select()
        .from(logs)
        .where(and(matching(filter), from, to))
        .orderBy(asc(logs.writer), asc(logs.seq))
        .limit(limit)
        .all();
    },

    async erase(writer, ip, draftOf) {
      // Else what was erased could be read in the unused parts of the file.
      security.$client.pragma('secure_delete = ON');
      const rows = security.transaction(
        () => {
          const [{ found } = { found: 0 }] = security
            .select({ found: count() })
            .from(logs)
            .where(isFrom(ip))
            .all();
          const draft = draftOf(found);
          append(writer, draft);
          security.update(logs).set({ personalJson: null, personalSalt: null }).where(isFrom(ip)).run();
          return found;
        },
        { behavior: 'immediate' },
      );
      security.$client.pragma('wal_checkpoint(TRUNCATE)');
      return rows;
    },
  };
}

/** @throws INTERNAL_ERROR: outside of a transaction the change and its row could be parted. */
function requireTransaction({ $client }: Pick<SecurityDb | ConfigDb, '$client'>): void {
  if (!$client.inTransaction)
    throw new FlmError('INTERNAL_ERROR', { cause: new Error('put on record outside of a transaction') });
}

/** Whether an error is about what a draft holds, and not about the chain: then only that draft cannot be added. */
function isUnfit(error: unknown): boolean {
  if (error instanceof FlmError) return false;
  const code = sqliteCode(error);
  return code === null || /^SQLITE_(CONSTRAINT_DATATYPE|MISMATCH|TOOBIG)$/.test(code);
}

/** Each column of a row by its own name. */
function placeholders() {
  return {
    seq: sql.placeholder('seq'),
    writer: sql.placeholder('writer'),
    id: sql.placeholder('id'),
    atMs: sql.placeholder('atMs'),
    type: sql.placeholder('type'),
    severity: sql.placeholder('severity'),
    actorKind: sql.placeholder('actorKind'),
    actorId: sql.placeholder('actorId'),
    via: sql.placeholder('via'),
    target: sql.placeholder('target'),
    requestId: sql.placeholder('requestId'),
    traceId: sql.placeholder('traceId'),
    detailsJson: sql.placeholder('detailsJson'),
    personalJson: sql.placeholder('personalJson'),
    personalSalt: sql.placeholder('personalSalt'),
    personalCommitment: sql.placeholder('personalCommitment'),
    previousHash: sql.placeholder('previousHash'),
    hash: sql.placeholder('hash'),
  };
}
