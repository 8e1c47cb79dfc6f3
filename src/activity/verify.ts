/**
 * Holds the request log against itself, against the book of days and against the anchors in the audit chain, and names the
 * first thing that is not as FLM wrote it. Blocks are followed by their numbers, in whichever file each of them is.
 */
import type { ActivityAnchor, ActivityEvidence, ActivityRemoval } from '../contract';
import { reasonOf } from '../lib/errors';
import type { DayFiles } from './files';
import type { Ledger, LedgerDay } from './ledger';
import type { ActivityVerdict, FAULTS } from './model';
import { commitmentOf, GENESIS, LINK_BYTES, linkOf } from './row';
import type { Block, DayStore } from './store';

type FaultKind = (typeof FAULTS)[number];

interface Where {
  readonly day: string | null;
  readonly block: number | null;
  readonly row: number | null;
}

const NOWHERE: Where = { day: null, block: null, row: null };

/** Thrown to end the walk: nothing behind the first fault can be said for sure. */
class Fault extends Error {
  readonly kind: FaultKind;
  readonly where: Where;

  constructor(kind: FaultKind, message: string, where: Partial<Where> = {}) {
    super(message);
    this.kind = kind;
    this.where = { ...NOWHERE, ...where };
  }
}

interface OpenDay {
  readonly day: string;
  readonly store: DayStore;
  readonly blocks: readonly Block[];
}

interface Placed {
  readonly at: OpenDay;
  readonly block: Block;
}

/** The evidence is that of the audit chain. */
export interface VerifyOptions extends ActivityEvidence {
  readonly files: DayFiles;
  readonly ledger: Ledger;
}

export function verify({ files, ledger, anchors, removals }: VerifyOptions): ActivityVerdict {
  const open: OpenDay[] = [];
  const counts = { rows: 0, blocks: 0 };
  const known = { days: [] as readonly LedgerDay[] };
  let fault: Fault | null = null;
  let lastRow = 0;
  try {
    // The book before and after the files: what it promised before is there, but for what was put away meanwhile.
    const promised = readLedger(ledger);
    openDays(files, open);
    known.days = readLedger(ledger);
    requireDays(promised, known.days, open);
    // An archived day that is here has to be whole.
    const away = known.days.filter(
      ({ day, state }) => state !== 'here' && !open.some((file) => file.day === day),
    );
    requireRecords(away, removals);
    const placed = open.flatMap((at) => at.blocks.map((block) => ({ at, block })));
    placed.sort((a, b) => a.block.n - b.block.n);
    lastRow = placed.at(-1)?.block.lastRow ?? 0;
    walk(placed, away, counts);
    requireNoStrays(open);
    compare(placed, promised, away, anchors);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    fault = error;
  } finally {
    for (const { store } of open) {
      store.release();
      store.close();
    }
  }
  const here = known.days.filter(({ state }) => state !== 'removed');
  const anchored = Math.max(0, ...here.map((entry) => entry.lastRow), ...anchors.map(({ rows }) => rows));
  return {
    valid: fault === null,
    days: open.length,
    rows: counts.rows,
    blocks: counts.blocks,
    removed_days: known.days.filter(({ state }) => state === 'removed').map(({ day }) => day),
    anchored_rows: anchored,
    unanchored_rows: Math.max(0, lastRow - anchored),
    fault: fault === null ? null : { kind: fault.kind, ...fault.where, message: fault.message },
  };
}

function readLedger(ledger: Ledger): readonly LedgerDay[] {
  try {
    return ledger.read();
  } catch (error) {
    throw new Fault('ledger', `the book of days (ledger.json) is not as FLM wrote it: ${reasonOf(error)}`);
  }
}

/** Opens every day there is, on one state of each. */
function openDays(files: DayFiles, open: OpenDay[]): void {
  const archived = new Set(files.archived());
  for (const day of [...new Set([...archived, ...files.days()])].sort()) {
    try {
      const store = archived.has(day) ? files.openArchived(day, 'read') : files.open(day, 'read');
      store.hold();
      open.push({ day, store, blocks: store.blocks() });
    } catch (error) {
      throw new Fault('unreadable', `the file of ${day} cannot be read: ${reasonOf(error)}`, { day });
    }
  }
  for (const { day, store } of open) {
    const named = store.day();
    if (named !== day)
      throw new Fault('wrong-day', `the file of ${day} is that of ${named ?? 'no day'}`, { day });
  }
}

/** What the book says is here has to be here. */
function requireDays(
  promised: readonly LedgerDay[],
  days: readonly LedgerDay[],
  open: readonly OpenDay[],
): void {
  for (const { day, state, firstBlock } of promised) {
    const isAway = days.some((entry) => entry.day === day && entry.state !== 'here');
    if (state === 'here' && !isAway && !open.some((file) => file.day === day))
      throw new Fault('missing-day', `the file of ${day} is gone, and that is not on record`, {
        day,
        block: firstBlock,
      });
  }
}

/**
 * Whoever has the key can write into the book that a day was removed. The audit chain has to say so too, and that it was
 * these blocks: an entry that was made longer would hide the day beside it.
 */
function requireRecords(away: readonly LedgerDay[], removals: readonly ActivityRemoval[]): void {
  for (const entry of away) {
    const { day, firstBlock, lastBlock, digest } = entry;
    const isOnRecord = removals.some(
      (removal) =>
        removal.day === day &&
        (removal.firstBlock ?? firstBlock) === firstBlock &&
        (removal.block ?? lastBlock) === lastBlock &&
        (removal.digest ?? digest) === digest,
    );
    if (isOnRecord) continue;
    throw new Fault(
      'missing-day',
      `the file of ${day} is gone; the book of days says that it was put away, the audit chain does not`,
      { day, block: firstBlock },
    );
  }
}

function walk(
  placed: readonly Placed[],
  away: readonly LedgerDay[],
  counts: { rows: number; blocks: number },
): void {
  let before: Pick<Block, 'n' | 'lastRow' | 'digest'> = { n: 0, lastRow: 0, digest: GENESIS };
  for (const { at, block } of placed) {
    const where = { day: at.day, block: block.n, row: block.firstRow };
    if (block.n === before.n) throw new Fault('wrong-block', `block ${block.n} is there twice`, where);
    if (block.n === before.n + 1) {
      if (block.firstRow !== before.lastRow + 1 || !block.previous.equals(before.digest))
        throw new Fault('wrong-block', `block ${block.n} does not follow on the one before it`, where);
    } else {
      requireOnRecord(before.n + 1, block, away, where);
    }
    checkRows(at, block);
    counts.blocks++;
    counts.rows += block.lastRow - block.firstRow + 1;
    before = block;
  }
}

/** Blocks that are not here have to be those of days that were put away. */
function requireOnRecord(firstMissing: number, next: Block, away: readonly LedgerDay[], where: Where): void {
  for (let n = firstMissing; n < next.n; n++) {
    const entry = away.find((day) => n >= day.firstBlock && n <= day.lastBlock);
    if (entry === undefined)
      throw new Fault('missing-block', `block ${n} is gone, and that is not on record`, {
        day: where.day,
        block: n,
      });
    n = Math.max(n, Math.min(entry.lastBlock, next.n - 1));
  }
  const last = away.find((day) => day.lastBlock === next.n - 1);
  if (last !== undefined && last.digest !== next.previous.toString('hex'))
    throw new Fault(
      'wrong-block',
      `block ${next.n} does not follow on ${last.day}, which was put away`,
      where,
    );
}

function checkRows({ day, store }: OpenDay, block: Block): void {
  let digest = block.previous;
  let seq = block.firstRow;
  for (const { row, commitment, salt, link } of store.linked(block.firstRow, block.lastRow)) {
    const where = { day, block: block.n, row: seq };
    if (row.seq !== seq) throw new Fault('missing-row', `row ${seq} is gone`, where);
    digest = linkOf(digest, seq, commitment, row);
    if (!digest.subarray(0, LINK_BYTES).equals(link))
      throw new Fault('changed-row', `row ${seq} is not as it was written`, where);
    if (!isCommitted(row.address, salt, commitment))
      throw new Fault('changed-address', `the address of row ${seq} is not as it was written`, where);
    seq++;
  }
  if (seq !== block.lastRow + 1)
    throw new Fault('missing-row', `row ${seq} is gone`, { day, block: block.n, row: seq });
  if (!digest.equals(block.digest))
    throw new Fault('wrong-block', `block ${block.n} does not end with the digest of its rows`, {
      day,
      block: block.n,
    });
}

/** An address and its salt go together, when they are erased and before. */
function isCommitted(address: string | null, salt: Buffer | null, commitment: Buffer): boolean {
  if (address === null || salt === null) return address === null && salt === null;
  return commitmentOf(salt, address).equals(commitment);
}

/** Rows that are in no block were put in by somebody else. */
function requireNoStrays(open: readonly OpenDay[]): void {
  for (const { day, store, blocks } of open) {
    let next = Number.MIN_SAFE_INTEGER;
    for (const { firstRow, lastRow } of [...blocks, { firstRow: Number.MAX_SAFE_INTEGER, lastRow: 0 }]) {
      const row = store.firstBetween(next, firstRow - 1);
      if (row !== null) throw new Fault('extra-row', `row ${row} belongs to no block`, { day, row });
      next = lastRow + 1;
    }
  }
}

/** What was put on record has to be there, with the digest it had. */
function compare(
  placed: readonly Placed[],
  promised: readonly LedgerDay[],
  away: readonly LedgerDay[],
  anchors: readonly ActivityAnchor[],
): void {
  const blocks = new Map(placed.map(({ block }) => [block.n, block]));
  const onRecord = [
    ...promised
      .filter(({ state }) => state === 'here')
      .map((entry) => ({ ...entry, block: entry.lastBlock })),
    ...anchors,
  ].sort((a, b) => a.block - b.block);
  for (const { day, block: n, digest } of onRecord) {
    const block = blocks.get(n);
    // Of that very day: the blocks of another one may have been removed with it.
    const isAway = away.some((entry) => entry.day === day && n >= entry.firstBlock && n <= entry.lastBlock);
    if (block === undefined && isAway) continue;
    const where = { day, block: n };
    if (block === undefined)
      throw new Fault('anchor', `the log ends before block ${n}, which is on record`, where);
    if (block.digest.toString('hex') !== digest)
      throw new Fault('anchor', `block ${n} is another one than on record`, where);
  }
}
