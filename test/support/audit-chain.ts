/** A long audit chain, and everything that somebody with the database open could do to it behind FLM's back. */
import { type Databases, openDatabases } from '../../db';
import { type Audit, type AuditStore, createAudit, createAuditStore } from '../../src/audit';
import { type AuditRow, hashOf } from '../../src/audit/chain';
import { actingAs } from '../../src/lib/actor';
import { type ManualClock, manualClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { type TestDir, testDir } from './data-dir';

export interface TestChain extends AsyncDisposable {
  readonly data: TestDir;
  readonly db: Databases;
  readonly store: AuditStore;
  readonly audit: Audit;
  readonly clock: ManualClock;
  readonly writer: string;
}

export async function testChain(idleMs?: number): Promise<TestChain> {
  const data = testDir();
  const clock = manualClock();
  const db = await openDatabases({ paths: data.paths, env: data.env, clock, lockWaitMs: 0 });
  const store = createAuditStore(db.config, db.security);
  const audit = await createAudit({
    store,
    clock,
    log: silentLog,
    ...(idleMs === undefined ? {} : { idleMs }),
  });
  const writer = store.heads()[0]?.writer ?? '';
  return {
    data,
    db,
    store,
    audit,
    clock,
    writer,
    async [Symbol.asyncDispose]() {
      await audit.close();
      db.close();
      data[Symbol.dispose]();
    },
  };
}

/** Adds rows in one transaction, as many at once as nobody does: every third has an address. */
export function fill({ db, audit, clock }: TestChain, rows: number): void {
  const actor = { kind: 'owner', id: 'owner', via: 'tcp', requestId: 'r', traceId: null } as const;
  db.security.transaction(() => {
    for (let n = 1; n <= rows; n++) {
      clock.advance(1_000);
      const ip = n % 3 === 0 ? `192.0.2.${n % 250}` : null;
      actingAs({ ...actor, ip }, () =>
        audit.inSecurityDb.write({
          type: n % 2 === 0 ? 'config.set' : 'key.created',
          severity: n % 10 === 0 ? 'high' : 'low',
          target: `thing:${n % 100}`,
          details: { n },
        }),
      );
    }
  });
}

export function rowAt({ store, writer }: TestChain, seq: number): AuditRow {
  const [row] = store.page(writer, seq - 1, 1);
  if (row?.seq !== seq) throw new Error(`there is no row ${seq}`);
  return row;
}

/** Runs `attack`, then `look`, and undoes the attack. */
export async function attacked<Result>(
  { db }: TestChain,
  attack: () => void,
  look: () => Promise<Result>,
): Promise<Result> {
  const { $client } = db.security;
  $client.exec('BEGIN');
  try {
    attack();
    return await look();
  } finally {
    $client.exec('ROLLBACK');
  }
}

const COLUMNS: Readonly<Record<keyof AuditRow, string>> = {
  seq: 'seq',
  writer: 'writer',
  id: 'id',
  atMs: 'at_ms',
  type: 'type',
  severity: 'severity',
  actorKind: 'actor_kind',
  actorId: 'actor_id',
  via: 'via',
  target: 'target',
  requestId: 'request_id',
  traceId: 'trace_id',
  detailsJson: 'details_json',
  personalJson: 'personal_json',
  personalSalt: 'personal_salt',
  personalCommitment: 'personal_commitment',
  previousHash: 'previous_hash',
  hash: 'hash',
};

/** What can be changed in a row and still be stored. The number is another matter: that is reordering. */
export const EDITS: readonly (readonly [keyof AuditRow, unknown])[] = [
  ['id', 'another'],
  ['atMs', 1],
  ['type', 'config.unset'],
  ['severity', 'critical'],
  ['actorKind', 'key'],
  ['actorId', 'somebody'],
  ['via', 'inside'],
  ['target', null],
  ['requestId', 'x'],
  ['traceId', 'x'],
  ['detailsJson', '{"n":0}'],
  ['detailsJson', null],
  ['personalJson', '{"ip":"203.0.113.9"}'],
  ['personalSalt', Buffer.alloc(16)],
  ['personalCommitment', Buffer.alloc(32)],
  ['previousHash', Buffer.alloc(32, 1)],
  ['hash', Buffer.alloc(32, 2)],
];

export function edit({ db, writer }: TestChain, seq: number, field: keyof AuditRow, value: unknown): void {
  db.security.$client
    .prepare(`UPDATE audit_logs SET ${COLUMNS[field]} = ? WHERE writer = ? AND seq = ?`)
    .run(value, writer, seq);
}

/** Changes what a row says and makes its digest fit. */
export function forge(chain: TestChain, seq: number, change: Partial<AuditRow>): void {
  const row = { ...rowAt(chain, seq), ...change };
  for (const [field, value] of Object.entries(change)) edit(chain, seq, field as keyof AuditRow, value);
  edit(chain, seq, 'hash', hashOf(row));
}

/** Moves the rows after `seq` by `by` places. */
function shift({ db, writer }: TestChain, seq: number, by: number): void {
  const { $client } = db.security;
  // Through negative numbers, so that no two ever have the same.
  $client.prepare('UPDATE audit_logs SET seq = -(seq + ?) WHERE writer = ? AND seq > ?').run(by, writer, seq);
  $client.prepare('UPDATE audit_logs SET seq = -seq WHERE writer = ? AND seq < 0').run(writer);
}

/** Deletes rows; `close` gives the ones after them their numbers. */
export function remove(chain: TestChain, seq: number, count: number, close: boolean): void {
  const { db, writer } = chain;
  db.security.$client
    .prepare('DELETE FROM audit_logs WHERE writer = ? AND seq BETWEEN ? AND ?')
    .run(writer, seq, seq + count - 1);
  if (close) shift(chain, seq, -count);
}

/** Puts a row in, before the one that is there; `chained` makes its digest fit the row before it. */
export function insert(chain: TestChain, seq: number, chained: boolean): void {
  const before = seq === 1 ? Buffer.alloc(32) : rowAt(chain, seq - 1).hash;
  shift(chain, seq - 1, 1);
  put(chain, seq, chained ? before : Buffer.alloc(32, 3));
}

/** A row out of nothing. */
export function put({ db, writer }: TestChain, seq: number, previousHash: Buffer): void {
  const row = {
    seq,
    writer,
    id: crypto.randomUUID(),
    atMs: 1,
    type: 'key.revoked',
    severity: 'low',
    actorKind: 'owner',
    actorId: 'owner',
    via: 'socket',
    target: 'key:x',
    requestId: null,
    traceId: null,
    detailsJson: null,
    personalCommitment: null,
    previousHash,
  };
  const full: AuditRow = { ...row, personalJson: null, personalSalt: null, hash: hashOf(row) };
  const names = Object.keys(COLUMNS) as (keyof AuditRow)[];
  db.security.$client
    .prepare(
      `INSERT INTO audit_logs (${names.map((name) => COLUMNS[name]).join()}) VALUES (${names.map(() => '?').join()})`,
    )
    .run(...names.map((name) => full[name]));
}

/** Gives two rows each other's number. */
export function swap({ db, writer }: TestChain, one: number, other: number): void {
  const move = db.security.$client.prepare('UPDATE audit_logs SET seq = ? WHERE writer = ? AND seq = ?');
  move.run(-1, writer, one);
  move.run(one, writer, other);
  move.run(other, writer, -1);
}

export function truncate({ db, writer }: TestChain, from: number): void {
  db.security.$client.prepare('DELETE FROM audit_logs WHERE writer = ? AND seq >= ?').run(writer, from);
}

/** Makes the head fit the last row that is there. */
export function moveHead({ db, writer }: TestChain): void {
  db.security.$client
    .prepare(
      `UPDATE audit_heads SET (seq, hash) =
       (SELECT seq, hash FROM audit_logs WHERE writer = @writer ORDER BY seq DESC LIMIT 1) WHERE writer = @writer`,
    )
    .run({ writer });
}

/** What an attacker does who has the keys and knows FLM: changes a row, and makes everything after it fit again. */
export function rewriteFrom(chain: TestChain, seq: number, change: Partial<AuditRow>): void {
  const { store, writer } = chain;
  let previousHash: Buffer | null = null;
  let at = seq - 1;
  for (;;) {
    const rows = store.page(writer, at, 500);
    if (rows.length === 0) break;
    for (const row of rows) {
      const next: AuditRow = {
        ...row,
        ...(row.seq === seq ? change : {}),
        previousHash: previousHash ?? row.previousHash,
      };
      const hash = hashOf(next);
      for (const [field, value] of Object.entries(row.seq === seq ? change : {}))
        edit(chain, row.seq, field as keyof AuditRow, value);
      edit(chain, row.seq, 'previousHash', next.previousHash);
      edit(chain, row.seq, 'hash', hash);
      previousHash = hash;
      at = row.seq;
    }
  }
  moveHead(chain);
}

export interface Attack {
  readonly name: string;
  /** Does it somewhere near `at`, and tells what has to be found. */
  run(chain: TestChain, at: number, last: number): { readonly problem: string; readonly seq: number };
}

/** Every kind of attack that leaves a trace in the chain itself. */
export const ATTACKS: readonly Attack[] = [
  ...EDITS.map(
    ([field, value], index): Attack => ({
      name: `edits ${field} (${index})`,
      run(chain, at) {
        // Rows with an address are those that three divides.
        const seq = field.startsWith('personal') ? Math.max(3, at - (at % 3)) : at;
        edit(chain, seq, field, value);
        return { problem: 'edited', seq };
      },
    }),
  ),
  {
    name: 'edits a row and makes its digest fit',
    run(chain, at) {
      forge(chain, at, { target: 'thing:else' });
      return { problem: 'edited', seq: at };
    },
  },
  {
    name: 'replaces a row by one that fits nowhere',
    run(chain, at) {
      forge(chain, at, { target: 'thing:else', previousHash: Buffer.alloc(32, 9) });
      return { problem: 'edited', seq: at };
    },
  },
  ...[1, 7].flatMap((count): Attack[] => [
    {
      name: `deletes ${count}, and leaves a gap`,
      run(chain, at, last) {
        const seq = Math.min(at, last - count);
        remove(chain, seq, count, false);
        return { problem: 'missing', seq };
      },
    },
    {
      name: `deletes ${count}, and closes the gap`,
      run(chain, at, last) {
        const seq = Math.min(at, last - count);
        remove(chain, seq, count, true);
        return { problem: 'missing', seq };
      },
    },
    {
      name: `deletes ${count}, closes the gap and moves the head`,
      run(chain, at, last) {
        const seq = Math.min(at, last - count);
        remove(chain, seq, count, true);
        moveHead(chain);
        return { problem: 'missing', seq };
      },
    },
    {
      name: `puts ${count} in that fit the row before`,
      run(chain, at) {
        for (let n = 0; n < count; n++) insert(chain, at + n, true);
        return { problem: 'inserted', seq: at };
      },
    },
  ]),
  {
    name: 'puts one in that fits nothing',
    run(chain, at) {
      insert(chain, at, false);
      return { problem: 'inserted', seq: at };
    },
  },
  {
    name: 'puts one behind the end',
    run(chain, _at, last) {
      put(chain, last + 1, rowAt(chain, last).hash);
      return { problem: 'inserted', seq: last + 1 };
    },
  },
  {
    name: 'puts one before the beginning',
    run(chain) {
      put(chain, 0, Buffer.alloc(32));
      return { problem: 'inserted', seq: 0 };
    },
  },
  {
    name: 'swaps two neighbours',
    run(chain, at, last) {
      const seq = Math.min(at, last - 1);
      swap(chain, seq, seq + 1);
      return { problem: 'reordered', seq };
    },
  },
  {
    name: 'swaps two that are far apart',
    run(chain, at, last) {
      const seq = Math.min(at, last - 50);
      swap(chain, seq, seq + 50);
      return { problem: 'reordered', seq };
    },
  },
  {
    name: 'cuts off the end',
    run(chain, at) {
      truncate(chain, at);
      return { problem: 'truncated', seq: at };
    },
  },
];
