/**
 * The file of one day. In plain SQL below Drizzle: a row must cost microseconds, and SQLite has to be told which index to
 * take. Numbers of rows and blocks, and the digests, are the writer's business.
 */
import type { Database as SqliteDatabase, Statement } from 'better-sqlite3';
import type { DayDb } from '../../db/days';
import {
  commitmentOf,
  GENESIS,
  KINDS,
  LINK_BYTES,
  type LogRow,
  linkOf,
  OUTCOMES,
  type StoredRow,
} from './row';

export interface Block {
  readonly n: number;
  readonly firstRow: number;
  readonly lastRow: number;
  readonly minAtMs: number;
  readonly maxAtMs: number;
  readonly previous: Buffer;
  readonly digest: Buffer;
}

/** The end of the chain: the last row, the block it is in, and the digest up to there. */
export interface Head {
  readonly row: number;
  readonly block: number;
  readonly digest: Buffer;
}

export const NO_ROWS: Head = { row: 0, block: 0, digest: GENESIS };

/** A row as it lies in the file, with what the chain needs of it. */
export interface LinkedRow {
  readonly row: StoredRow;
  readonly commitment: Buffer;
  /** Null where the salt or the address was erased; then there is nothing to compare. */
  readonly salt: Buffer | null;
  readonly link: Buffer;
}

export interface DayStore {
  /** The day that the file says it is for; null for one that nothing was written to. */
  day(): string | null;
  blocks(): readonly Block[];
  lastBlock(): Block | null;
  /** The last batch that was written, or null. */
  lastBatch(): string | null;
  /**
   * Adds rows after `head`, to `block` (of this file) or to a new one, all or nothing; returns the block they are in.
   * @throws what SQLite says; nothing was changed then
   */
  append(rows: readonly LogRow[], head: Head, block: Block | null, batch: string | null): Block;
  /** Rows that told of a request and have no end in this file. */
  unclosed(): readonly { readonly seq: number; readonly requestId: string }[];
  /** Whether a row of this file ends the request that row `seq` told of. */
  closes(seq: number): boolean;
  /** The rows of a block, in order. */
  linked(firstRow: number, lastRow: number): IterableIterator<LinkedRow>;
  /** The first row whose number lies between, both ends included; null without one. */
  firstBetween(first: number, last: number): number | null;
  /** The text that rows know by its number. */
  name(id: number): string;
  rows(seqs: readonly number[]): readonly StoredRow[];
  /** Forgets who clients with these addresses were; how many there were. */
  erase(addresses: readonly string[]): number;
  /** Afterwards what was written is on the disk. Waits for nobody who reads. */
  sync(): void;
  /** All of the journal is written into the file, and the journal is empty afterwards. */
  checkpoint(): void;
  /** From here to `release` one state of the file is read, whatever is written meanwhile. */
  hold(): void;
  release(): void;
  readonly sqlite: SqliteDatabase;
  close(): void;
}

interface RawRow {
  readonly seq: number;
  readonly kind: number;
  readonly at_ms: number;
  readonly request_id: Buffer | null;
  readonly client: number;
  readonly method: number | null;
  readonly path: number | null;
  readonly key: number | null;
  readonly model: number | null;
  readonly engine: number | null;
  readonly outcome: number;
  readonly status: number;
  readonly error: number | null;
  readonly attempts: number;
  readonly is_stream: number;
  readonly waited_ms: number;
  readonly first_byte_ms: number | null;
  readonly first_token_ms: number | null;
  readonly duration_ms: number;
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
  readonly cached_tokens: number | null;
  readonly reasoning_tokens: number | null;
  readonly opened_seq: number | null;
  readonly count: number | null;
  readonly link: Buffer;
}

interface RawClient {
  readonly id: number;
  readonly address: string | null;
  readonly salt: Buffer | null;
  readonly commitment: Buffer;
}

interface RawBlock {
  readonly n: number;
  readonly first_row: number;
  readonly last_row: number;
  readonly min_at_ms: number;
  readonly max_at_ms: number;
  readonly previous: Buffer;
  readonly digest: Buffer;
}

const SALT_BYTES = 16;
/** Texts that are remembered per file. Somebody with a key may ask for models without end. */
const MAX_CACHED = 20_000;

export function createDayStore(db: DayDb): DayStore {
  const sqlite = db.$client;
  const statements = new Map<string, Statement>();
  const prepare = (sql: string): Statement => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const made = sqlite.prepare(sql);
    statements.set(sql, made);
    return made;
  };
  const get = <Row>(sql: string, ...args: unknown[]) => prepare(sql).get(...args) as Row | undefined;
  const all = <Row>(sql: string, ...args: unknown[]) => prepare(sql).all(...args) as Row[];

  const ids = new Map<string, number>();
  const texts = new Map<number, string>();
  const known = new Map<string, RawClient>();
  const clients = new Map<number, RawClient>();

  function forget(): void {
    for (const cache of [ids, texts, known, clients]) cache.clear();
  }

  function idOf(text: string | null): number | null {
    if (text === null) return null;
    let id = ids.get(text);
    if (id !== undefined) return id;
    id = get<{ id: number }>('SELECT id FROM names WHERE text = ?', text)?.id;
    id ??= Number(prepare('INSERT INTO names (text) VALUES (?)').run(text).lastInsertRowid);
    if (ids.size >= MAX_CACHED) ids.clear();
    ids.set(text, id);
    return id;
  }

  function textOf(id: number | null): string | null {
    if (id === null) return null;
    let text = texts.get(id);
    if (text !== undefined) return text;
    text = get<{ text: string }>('SELECT text FROM names WHERE id = ?', id)?.text ?? '';
    if (texts.size >= MAX_CACHED) texts.clear();
    texts.set(id, text);
    return text;
  }

  /** The client with that address; a new one with a salt of its own when there is none. */
  function clientAt(address: string): RawClient {
    let client = known.get(address);
    if (client !== undefined) return client;
    client = get<RawClient>('SELECT id, address, salt, commitment FROM clients WHERE address = ?', address);
    client ??= addClient(address);
    if (known.size >= MAX_CACHED) known.clear();
    known.set(address, client);
    return client;
  }

  function addClient(address: string): RawClient {
    const salt = Buffer.from(crypto.getRandomValues(new Uint8Array(SALT_BYTES)));
    const commitment = commitmentOf(salt, address);
    const { lastInsertRowid } = prepare(
      'INSERT INTO clients (address, salt, commitment) VALUES (?, ?, ?)',
    ).run(address, salt, commitment);
    return { id: Number(lastInsertRowid), address, salt, commitment };
  }

  function clientOf(id: number): RawClient {
    const found = clients.get(id) ??
      get<RawClient>('SELECT id, address, salt, commitment FROM clients WHERE id = ?', id) ?? {
        // Somebody took it out of the file: the chain will not fit, which is what verify is for.
        id,
        address: null,
        salt: null,
        commitment: Buffer.alloc(0),
      };
    if (clients.size >= MAX_CACHED) clients.clear();
    clients.set(id, found);
    return found;
  }

  function storedOf(raw: RawRow): StoredRow {
    return {
      seq: raw.seq,
      kind: KINDS[raw.kind] ?? 'request',
      atMs: raw.at_ms,
      requestId: raw.request_id === null ? null : uuidOf(raw.request_id),
      address: clientOf(raw.client).address,
      method: textOf(raw.method),
      path: textOf(raw.path),
      key: textOf(raw.key),
      model: textOf(raw.model),
      engine: textOf(raw.engine),
      outcome: OUTCOMES[raw.outcome] ?? 'failed',
      status: raw.status,
      error: textOf(raw.error),
      attempts: raw.attempts,
      isStream: raw.is_stream === 1,
      waitedMs: raw.waited_ms,
      firstByteMs: raw.first_byte_ms,
      firstTokenMs: raw.first_token_ms,
      durationMs: raw.duration_ms,
      promptTokens: raw.prompt_tokens,
      completionTokens: raw.completion_tokens,
      cachedTokens: raw.cached_tokens,
      reasoningTokens: raw.reasoning_tokens,
      openedSeq: raw.opened_seq,
      count: raw.count,
    };
  }

  const blockOf = (raw: RawBlock): Block => ({
    n: raw.n,
    firstRow: raw.first_row,
    lastRow: raw.last_row,
    minAtMs: raw.min_at_ms,
    maxAtMs: raw.max_at_ms,
    previous: raw.previous,
    digest: raw.digest,
  });

  /** The values of a row, in the order of COLUMNS. */
  function valuesOf(seq: number, row: LogRow, client: RawClient, digest: Buffer, values: unknown[]): void {
    values.push(
      seq,
      KINDS.indexOf(row.kind),
      row.atMs,
      row.requestId === null ? null : bytesOf(row.requestId),
      client.id,
      idOf(row.method),
      idOf(row.path),
      idOf(row.key),
      idOf(row.model),
      idOf(row.engine),
      OUTCOMES.indexOf(row.outcome),
      row.status,
      idOf(row.error),
      row.attempts,
      row.isStream ? 1 : 0,
      row.waitedMs,
      row.firstByteMs,
      row.firstTokenMs,
      row.durationMs,
      row.promptTokens,
      row.completionTokens,
      row.cachedTokens,
      row.reasoningTokens,
      row.openedSeq,
      row.count,
      digest.subarray(0, LINK_BYTES),
    );
  }

  /** Several rows a statement: half of what a row costs is the call. */
  function insert(values: readonly unknown[]): void {
    const many = ROWS_AT_ONCE * COLUMNS.length;
    let at = 0;
    for (; at + many <= values.length; at += many) prepare(INSERT_MANY).run(values.slice(at, at + many));
    for (; at < values.length; at += COLUMNS.length)
      prepare(INSERT_ROW).run(values.slice(at, at + COLUMNS.length));
  }

  function write(rows: readonly LogRow[], head: Head, block: Block | null, batch: string | null): Block {
    let { row: seq, digest } = head;
    let [minAtMs, maxAtMs] = [block?.minAtMs ?? Number.MAX_SAFE_INTEGER, block?.maxAtMs ?? 0];
    const values: unknown[] = [];
    for (const row of rows) {
      seq++;
      const client = clientAt(row.address ?? '');
      digest = linkOf(digest, seq, client.commitment, row);
      valuesOf(seq, row, client, digest, values);
      minAtMs = Math.min(minAtMs, row.atMs);
      maxAtMs = Math.max(maxAtMs, row.atMs);
    }
    insert(values);
    const after: Block = {
      n: block?.n ?? head.block + 1,
      firstRow: block?.firstRow ?? head.row + 1,
      lastRow: seq,
      minAtMs,
      maxAtMs,
      previous: block?.previous ?? head.digest,
      digest,
    };
    prepare(UPSERT_BLOCK).run(
      after.n,
      after.firstRow,
      after.lastRow,
      minAtMs,
      maxAtMs,
      after.previous,
      digest,
    );
    if (batch !== null) prepare(UPSERT_META).run('batch', batch);
    return after;
  }

  return {
    sqlite,

    day: () => get<{ value: string }>("SELECT value FROM meta WHERE key = 'day'")?.value ?? null,
    blocks: () => all<RawBlock>('SELECT * FROM blocks ORDER BY n').map(blockOf),
    lastBlock() {
      const raw = get<RawBlock>('SELECT * FROM blocks ORDER BY n DESC LIMIT 1');
      return raw === undefined ? null : blockOf(raw);
    },
    lastBatch: () => get<{ value: string }>("SELECT value FROM meta WHERE key = 'batch'")?.value ?? null,

    append(rows, head, block, batch) {
      try {
        return sqlite.transaction(write).immediate(rows, head, block, batch);
      } catch (error) {
        forget(); // Names that were given numbers in vain.
        throw error;
      }
    },

    unclosed: () =>
      all<{ seq: number; request_id: Buffer }>(
        'SELECT seq, request_id FROM "rows" AS o WHERE kind = 1 AND NOT EXISTS (SELECT 1 FROM "rows" WHERE opened_seq = o.seq)',
      ).map((raw) => ({ seq: raw.seq, requestId: uuidOf(raw.request_id) })),

    closes: (seq) => get('SELECT 1 FROM "rows" WHERE opened_seq = ?', seq) !== undefined,

    *linked(firstRow, lastRow) {
      const raws = prepare('SELECT * FROM "rows" WHERE seq BETWEEN ? AND ? ORDER BY seq').all(
        firstRow,
        lastRow,
      ) as RawRow[];
      for (const raw of raws) {
        const { salt, commitment } = clientOf(raw.client);
        yield { row: storedOf(raw), commitment, salt, link: raw.link };
      }
    },

    firstBetween: (first, last) =>
      get<{ seq: number | null }>('SELECT min(seq) AS seq FROM "rows" WHERE seq BETWEEN ? AND ?', first, last)
        ?.seq ?? null,

    name: (id) => textOf(id) ?? '',
    rows: (seqs) =>
      seqs.flatMap((seq) => {
        const raw = get<RawRow>('SELECT * FROM "rows" WHERE seq = ?', seq);
        return raw === undefined ? [] : [storedOf(raw)];
      }),

    erase(addresses) {
      let erased = 0;
      for (const address of addresses)
        erased += prepare('UPDATE clients SET address = NULL, salt = NULL WHERE address = ?').run(
          address,
        ).changes;
      forget();
      return erased;
    },

    sync: () => void sqlite.pragma('wal_checkpoint(PASSIVE)'),
    checkpoint: () => void sqlite.pragma('wal_checkpoint(TRUNCATE)'),
    hold() {
      sqlite.exec('BEGIN');
      prepare('SELECT 1 FROM meta').get(); // The first read chooses the state.
    },
    release() {
      if (sqlite.inTransaction) sqlite.exec('COMMIT');
    },
    close: () => sqlite.close(),
  };
}

/** Says in a new file which day it is for. */
export function nameDay(store: DayStore, day: string): void {
  store.sqlite.prepare(UPSERT_META).run('day', day);
}

const COLUMNS = [
  'seq',
  'kind',
  'at_ms',
  'request_id',
  'client',
  'method',
  'path',
  '"key"',
  'model',
  'engine',
  'outcome',
  'status',
  'error',
  'attempts',
  'is_stream',
  'waited_ms',
  'first_byte_ms',
  'first_token_ms',
  'duration_ms',
  'prompt_tokens',
  'completion_tokens',
  'cached_tokens',
  'reasoning_tokens',
  'opened_seq',
  '"count"',
  'link',
] as const;
const ROWS_AT_ONCE = 32;
const insertOf = (rows: number) => {
  const places = `(${COLUMNS.map(() => '?').join(', ')})`;
  return `INSERT INTO "rows" (${COLUMNS.join(', ')}) VALUES ${Array(rows).fill(places).join(', ')}`;
};
const INSERT_ROW = insertOf(1);
const INSERT_MANY = insertOf(ROWS_AT_ONCE);

const UPSERT_BLOCK = `INSERT INTO blocks (n, first_row, last_row, min_at_ms, max_at_ms, previous, digest)
  VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (n) DO UPDATE SET last_row = excluded.last_row,
  min_at_ms = excluded.min_at_ms, max_at_ms = excluded.max_at_ms, digest = excluded.digest`;

const UPSERT_META =
  'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value';

function bytesOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

export function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
