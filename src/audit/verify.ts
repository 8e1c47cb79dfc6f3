/**
 * Examines the chains: row by row, in slices of a few milliseconds, and names the first row of each that is not what was
 * written. What somebody with the keys of this installation has rewritten as a whole is told only by a checkpoint.
 */
import { isRecord, parseJson } from '../lib/json';
import { type AuditRow, GENESIS, type Head, hashOf, keepsCommitment } from './chain';
import type { AuditStore } from './store';

export const PROBLEMS = [
  'edited',
  'missing',
  'inserted',
  'reordered',
  'truncated',
  'rewritten',
  'erased',
  'waiting',
  'foreign',
] as const;

export interface Finding {
  readonly writer: string;
  /** The first row that is not as it was written; null where the whole chain is meant. */
  readonly seq: number | null;
  readonly problem: (typeof PROBLEMS)[number];
  readonly message: string;
}

export interface Examined {
  readonly writer: string;
  /** Rows from the first on that are as they were written. */
  readonly rows: number;
  readonly finding: Finding | null;
  /** Rows whose personal data are gone, and how many of them erasures on record account for. */
  readonly erased: number;
  readonly erasedOnRecord: number;
  /** The last row that tells of a checkpoint. */
  readonly lastCheckpoint: { readonly seq: number; readonly atMs: number } | null;
}

/** What else tells how a chain was: a checkpoint kept elsewhere, or what config.db remembers. */
export interface Witness extends Head {
  /** In words: `the checkpoint`. */
  readonly name: string;
}

type Rows = Pick<AuditStore, 'heads' | 'page' | 'placeOfHash'>;

/** Rows that are read and digested at once: a few milliseconds of work. */
const PAGE = 128;
/** Rows that may have been taken out in one place and still be told as missing, not as an edit. */
const MAX_GAP = 1_000;

/** Examines the chain of one writer. `pause` lets others work between two slices. */
export async function examine(
  store: Rows,
  writer: string,
  witnesses: readonly Witness[],
  pause: () => Promise<void>,
): Promise<Examined> {
  let last: Head = { writer, seq: 0, hash: GENESIS };
  let erased = 0;
  let erasedOnRecord = 0;
  let lastCheckpoint: Examined['lastCheckpoint'] = null;

  function result(finding: Omit<Finding, 'writer'> | null): Examined {
    const told = finding === null ? null : { writer, ...finding };
    return { writer, rows: last.seq, finding: told, erased, erasedOnRecord, lastCheckpoint };
  }

  for (;;) {
    const page = store.page(writer, last.seq === 0 ? Number.MIN_SAFE_INTEGER : last.seq, PAGE);
    if (page.length === 0) {
      return result(lookAtEnd(store, last, witnesses));
    }
    for (const row of page) {
      const finding = lookAtRow(store, row, last, witnesses);
      if (finding !== null) return result(finding);
      last = { writer, seq: row.seq, hash: row.hash };
      if (row.personalCommitment !== null && row.personalJson === null) erased++;
      if (row.type === 'audit.erased') erasedOnRecord += rowsIn(row.detailsJson);
      if (row.type === 'audit.checkpoint') lastCheckpoint = { seq: row.seq, atMs: row.atMs };
    }
    await pause();
  }
}

/**
 * What is wrong with all chains together, each of which was examined. There is one writer to an installation: `own`. Where
 * its chain does not hold, what it says of erasures is not known as a whole.
 */
export function lookAtAll(chains: readonly Examined[], own: string): Finding[] {
  const findings = chains.flatMap(({ writer, finding }): Finding[] => {
    if (finding !== null) return [finding];
    if (writer === own) return [];
    const message = `A chain of the writer "${writer.slice(0, 60)}", which is not this installation (${own}).`;
    return [{ writer, seq: null, problem: 'foreign', message }];
  });
  const isOwnWhole = chains.every(({ writer, finding }) => writer !== own || finding === null);
  // An erasure goes through the rows of every writer, and is on record in one chain.
  const gone = chains.reduce((sum, { erased, erasedOnRecord }) => sum + erased - erasedOnRecord, 0);
  if (!isOwnWhole || gone <= 0) return findings;
  const message = `The personal data of ${gone} rows are gone, and no erasure is on record.`;
  return [...findings, { writer: own, seq: null, problem: 'erased', message }];
}

type Told = Omit<Finding, 'writer'> | null;

/** What is wrong with the row that follows `last`, or has been wrong with `last` itself. */
function lookAtRow(store: Rows, row: AuditRow, last: Head, witnesses: readonly Witness[]): Told {
  const seq = last.seq + 1;
  if (row.seq < seq)
    return { seq: row.seq, problem: 'inserted', message: `No row has the number ${row.seq}.` };
  if (row.seq > seq) return missing(seq, row.seq - 1);
  if (!row.previousHash.equals(last.hash) || !hashOf(row).equals(row.hash))
    return reasonFor(store, row, last);
  if (!keepsCommitment(row))
    return { seq, problem: 'edited', message: `The personal data of row ${seq} are not the ones it had.` };
  const denied = witnesses.find((witness) => witness.seq === seq && !witness.hash.equals(row.hash));
  if (denied === undefined) return null;
  const message = `Row ${seq} is not the one that ${denied.name} tells of: it or rows before it were written anew.`;
  return { seq, problem: 'rewritten', message };
}

/** Why the digests do not fit: found from where the row says it belongs, and from the row behind it. */
function reasonFor(store: Rows, row: AuditRow, last: Head): Told {
  const { writer, seq } = row;
  const head = store.heads().find((known) => known.writer === writer);
  const [next] = store.page(writer, seq, 1);
  const place = row.previousHash.equals(GENESIS) ? 0 : store.placeOfHash(writer, row.previousHash);
  // It follows a row that comes later, and no other row does.
  if (place !== null && place > seq && !isFollowed(store, writer, place, row))
    return { seq, problem: 'reordered', message: `Row ${seq} belongs behind row ${place}.` };
  if (next?.previousHash.equals(last.hash) === true) return inserted(seq, seq);
  // It follows a row further up: those in between came later.
  if (place !== null && place < last.seq) return inserted(place + 1, last.seq);
  if (head !== undefined && seq > head.seq) return inserted(head.seq + 1, seq);
  if (row.previousHash.equals(last.hash)) return edited(seq);

  if (!hashOf(row).equals(row.hash)) {
    const gone = gapBefore(row);
    return gone === 0 ? edited(seq) : missing(seq, seq + gone - 1);
  }
  // It is whole, and follows a row that is no more: the one before it was written anew.
  const isGenuine = (next?.previousHash ?? head?.hash)?.equals(row.hash) === true;
  return edited(isGenuine && last.seq > 0 ? last.seq : seq);
}

/** Whether another row than this one comes behind `place` as it should: then this one is a copy of it. */
function isFollowed(store: Rows, writer: string, place: number, row: AuditRow): boolean {
  const [follower] = store.page(writer, place, 1);
  return follower?.previousHash.equals(row.previousHash) === true;
}

/** How many rows were taken out before a row whose number was moved up for it; 0 when that is not what happened. */
function gapBefore(row: AuditRow): number {
  for (let gap = 1; gap <= MAX_GAP; gap++)
    if (hashOf({ ...row, seq: row.seq + gap }).equals(row.hash)) return gap;
  return 0;
}

/** What is wrong with the end of a chain of which every row that is there is right. */
function lookAtEnd(store: Rows, last: Head, witnesses: readonly Witness[]): Told {
  const head = store.heads().find(({ writer }) => writer === last.writer);
  const seq = last.seq + 1;
  const [witness] = witnesses;
  if (head === undefined && last.seq === 0 && witness !== undefined) {
    const message = `The whole chain that ${witness.name} tells of is gone: this is another installation, or all was written anew.`;
    return { seq: null, problem: 'rewritten', message };
  }
  if (head === undefined) {
    const message = 'The end of the chain is not known any more, so rows may be missing there.';
    return { seq, problem: 'truncated', message };
  }
  if (head.seq > last.seq) return truncated(seq, head.seq, 'its head');
  if (head.seq < last.seq) return inserted(head.seq + 1, last.seq);
  if (!head.hash.equals(last.hash)) return edited(last.seq);
  const further = witnesses.find((witness) => witness.seq > last.seq);
  return further === undefined ? null : truncated(seq, further.seq, further.name);
}

function edited(seq: number): Told {
  return { seq, problem: 'edited', message: `Row ${seq} is not as it was written.` };
}

function missing(from: number, to: number): Told {
  return { seq: from, problem: 'missing', message: `${rowsText(from, to)} missing.` };
}

function inserted(from: number, to: number): Told {
  const message = from === to ? `Row ${from} was put in later.` : `Rows ${from} to ${to} were put in later.`;
  return { seq: from, problem: 'inserted', message };
}

function truncated(from: number, to: number, by: string): Told {
  return {
    seq: from,
    problem: 'truncated',
    message: `${rowsText(from, to)} missing at the end, by what ${by} tells.`,
  };
}

function rowsText(from: number, to: number): string {
  return from === to ? `Row ${from} is` : `Rows ${from} to ${to} are`;
}

/** How many rows an erasure on record says it has erased. */
function rowsIn(detailsJson: string | null): number {
  const details = detailsJson === null ? null : parseJson(detailsJson);
  return isRecord(details) && typeof details.rows === 'number' ? details.rows : 0;
}
