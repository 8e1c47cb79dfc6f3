/**
 * The audit chain in security.db, and what belongs to it in config.db: changes on their way to the chain, and how far
 * the chain had come. Rows are added; nothing here removes or changes one, except that personal data can be erased.
 */
import { and, asc, count, desc, eq, gt, inArray, or, type SQL, sql } from 'drizzle-orm';
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

/** What was found among the rows that were looked at. */
export interface Slice {
  readonly rows: readonly AuditRow[];
  /** Where to go on; null when nothing is left. */
  readonly next: Place | null;
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

  /** Rows that match, the newest first, from `before` on: as many as a few milliseconds find. */
  newest(filter: RowFilter, before: Place | null, limit: number): Slice;
  /** Rows that match, the oldest first, after one place and up to another: as many as a few milliseconds find. */
  oldest(filter: RowFilter, after: Place | null, upTo: Place | null, limit: number): Slice;
  /** Erases an address from all rows that hold it, and adds what `draftOf` says of it. Returns how many rows held it. */
  erase(writer: string, ip: string, draftOf: (rows: number) => AuditDraft): Promise<number>;
}

/** Rows that are looked at in one go. */
const SLICE = 2_000;

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

  /** What an index leads to in the order in which rows are shown: one of them, the one that leaves the fewest rows. */
  function leading({ type, severity, target }: RowFilter): SQL | undefined {
    if (target !== null) return eq(logs.target, target);
    if (type?.includes('.') === true) return eq(logs.type, type);
    return severity === null ? undefined : eq(logs.severity, severity);
  }

  /** The whole filter, where the `+` keeps SQLite from an index that would make it sort. */
  function matching(filter: RowFilter): SQL | undefined {
    const { type, severity, actor, target, ip, sinceMs, untilMs } = filter;
    return and(
      // A dot is followed by a slash in the order of characters.
      type === null
        ? undefined
        : type.includes('.')
          ? sql`+${logs.type} = ${type}`
          : sql`+${logs.type} >= ${`${type}.`} AND +${logs.type} < ${`${type}/`}`,
      severity === null ? undefined : sql`+${logs.severity} = ${severity}`,
      // A session of the owner is known by its own id, and by whose it is.
      actor === null ? undefined : or(eq(logs.actorId, actor), eq(logs.actorKind, actor)),
      target === null ? undefined : sql`+${logs.target} = ${target}`,
      ip === null ? undefined : isFrom(ip),
      sinceMs === null ? undefined : sql`+${logs.atMs} >= ${sinceMs}`,
      untilMs === null ? undefined : sql`+${logs.atMs} < ${untilMs}`,
    );
  }

  /** Finds among the next rows that an index leads to, and never looks at more than those at once. */
  function slice(
    filter: RowFilter,
    from: SQL | undefined,
    until: (end: Place) => SQL,
    to: Place | null,
    order: typeof asc,
    limit: number,
  ): Slice {
    const behind = and(leading(filter), from);
    const within = and(behind, to === null ? undefined : until(to));
    const inOrder = [order(logs.writer), order(logs.seq)];
    const end = security
      .select({ writer: logs.writer, seq: logs.seq })
      .from(logs)
      .where(within)
      .orderBy(...inOrder)
      .limit(1)
      .offset(SLICE - 1)
      .get();
    const rows = security
      .select()
      .from(logs)
      // Of two ends SQLite may take the further one for the index, and read on to it.
      .where(and(end === undefined ? within : and(behind, until(end)), matching(filter)))
      .orderBy(...inOrder)
      .limit(limit)
      .all();
    return { rows, next: rows.length === limit ? (rows.at(-1) ?? null) : (end ?? null) };
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
        const last = found.at(-1);
        // From one to the next: DISTINCT would read every row.
        const row = security
          .select({ writer: logs.writer })
          .from(logs)
          .where(last === undefined ? undefined : gt(logs.writer, last))
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
      return slice(filter, from, (end) => sql`${placeOfRow} >= ${pair(end)}`, null, desc, limit);
    },

    oldest(filter, after, upTo, limit) {
      const from = after === null ? undefined : sql`${placeOfRow} > ${pair(after)}`;
      return slice(filter, from, (end) => sql`${placeOfRow} <= ${pair(end)}`, upTo, asc, limit);
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
