/**
 * Writes the request log: each row into the file of the day it ended on, every row bound to the one before it, whatever
 * day that is in. Knows nothing of threads: the Worker calls it, and tests do.
 */
import { isDamage } from '../../db/days';
import type { ActivityAnchor, AuditEvent, Clock } from '../contract';
import { FlmError } from '../lib/errors';
import { ipBucket, parseIp } from '../lib/ip';
import type { DayFiles } from './files';
import type { Ledger, LedgerDay } from './ledger';
import { createRefusals } from './refusals';
import { dayAfter, dayOf, type LogRow } from './row';
import { type Block, type DayStore, type Head, NO_ROWS, nameDay } from './store';
import type { Batch } from './wire';

export interface WriterSettings {
  readonly retentionDays: number;
  /** Room for all days that are not archived. */
  readonly maxBytes: number;
  /** Days that are too old are moved away instead of removed. */
  readonly archive: boolean;
}

/** What the writer has to tell. */
export interface WriterEvents {
  anchor(details: ActivityAnchor): void;
  /** `onRecord` is called when it is on record, or could not be put there. */
  record(event: AuditEvent, onRecord: (isOnRecord: boolean) => void): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export interface WriterOptions extends WriterEvents {
  readonly files: DayFiles;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly settings: WriterSettings;
}

export interface Writer {
  /**
   * Writes a batch; one that was written already is left out. Returns how many rows were left out because there is no room
   * within the quota. @throws what SQLite says, such as that the disk is full; the batch can be given again
   */
  write(batch: Batch): number;
  /** What is due by the clock: counts of strangers, anchors, days that are too old. Called every second. */
  tick(): void;
  /** Forgets the addresses of one client in all days; how many places held one. */
  erase(ip: string): { readonly places: number; readonly days: number };
  configure(settings: WriterSettings): void;
  /** Writes what waits, anchors it and closes the files. */
  close(): void;
}

const BLOCK_ROWS = 1_000;
const BLOCK_MS = 60_000;
const ANCHOR_MS = 600_000;
const CLEAN_MS = 60_000;
/** More than a day within one run means that somebody set the clock: no reason to remove anything. */
const MAX_JUMP_MS = 26 * 3_600_000;
/** Requests that were told of before their end. */
const MAX_OPENED = 100_000;
/** Files that stay open: around midnight there are two that grow. */
const MAX_OPEN_FILES = 3;

export function createWriter(options: WriterOptions): Writer {
  const { files, ledger, clock } = options;
  let { settings } = options;
  const open = new Map<string, DayStore>();
  const refusals = createRefusals();
  const opened = new Map<string, number>();
  /** Days whose removal is on its way into the audit chain. */
  const leaving = new Set<string>();
  const days = new Map<string, LedgerDay>(readLedger().map((entry) => [entry.day, entry]));
  const started = { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  let block: { readonly day: string; readonly block: Block; readonly sinceMs: number } | null = null;
  let head = findHead();
  let anchored = head.block;
  let anchoredMs = started.monotonicMs;
  let cleanedMs = Number.NEGATIVE_INFINITY;
  let isFull = false;

  function readLedger(): readonly LedgerDay[] {
    try {
      return ledger.read();
    } catch (error) {
      options.warn('the book of days of the request log is not as FLM left it; it was put aside', { error });
      ledger.setAside();
      return [];
    }
  }

  /** The end of the chain is in whichever file was written last. */
  function findHead(): Head {
    let found = NO_ROWS;
    // Also where the file of a day has vanished: numbers that were given are not given again.
    for (const { lastBlock, lastRow, digest } of days.values()) {
      if (lastBlock > found.block)
        found = { block: lastBlock, row: lastRow, digest: Buffer.from(digest, 'hex') };
    }
    for (const day of files.days()) {
      const last = examined(day);
      if (last !== null && last.n > found.block)
        found = { block: last.n, row: last.lastRow, digest: last.digest };
    }
    for (const day of files.days().slice(-2)) {
      for (const { seq, requestId } of storeOf(day).unclosed()) opened.set(requestId, seq);
    }
    return found;
  }

  /** The last block of a day. A file that cannot be read is put aside, so that the days after it can be written. */
  function examined(day: string): Block | null {
    try {
      const store = storeOf(day);
      const last = store.lastBlock();
      if (last !== null) noteDay(day, store, last);
      return last;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      setAside(day, error);
      return null;
    }
  }

  function setAside(day: string, error: unknown): void {
    closeDay(day);
    const name = files.setAside(day, clock.nowMs());
    options.warn('a day of the request log is damaged and was put aside', { day, file: name, error });
  }

  function storeOf(day: string): DayStore {
    let store = open.get(day);
    if (store !== undefined) return store;
    store = files.open(day, 'write');
    open.set(day, store); // At once: whoever fails below finds it to close.
    if (store.day() === null) nameDay(store, day);
    for (const [other, { close }] of open) {
      if (open.size <= MAX_OPEN_FILES) break;
      if (other !== day) {
        open.delete(other);
        close();
      }
    }
    return store;
  }

  function closeDay(day: string): void {
    open.get(day)?.close();
    open.delete(day);
    if (block?.day === day) block = null;
  }

  /** Only with a block that has ended: it is what verify will look for. */
  function noteDay(day: string, store: DayStore, last: Block): void {
    const firstBlock = days.get(day)?.firstBlock ?? store.blocks()[0]?.n ?? last.n;
    const digest = last.digest.toString('hex');
    days.set(day, { day, state: 'here', firstBlock, lastBlock: last.n, lastRow: last.lastRow, digest });
  }

  /** Rows of days that are gone (somebody set the clock back) go into the first day that is not. */
  function placeFor(day: string): string {
    let place = day;
    while ((days.get(place)?.state ?? 'here') !== 'here') place = dayAfter(place);
    return place;
  }

  function append(day: string, rows: readonly LogRow[], batch: string | null): void {
    const store = storeOf(day);
    if (batch !== null && isWritten(batch, store.lastBatch())) return;
    const nowMs = clock.monotonicMs();
    const goesOn =
      block !== null &&
      block.day === day &&
      block.block.lastRow - block.block.firstRow + 1 < BLOCK_ROWS &&
      nowMs - block.sinceMs < BLOCK_MS;
    const after = store.append(rows, head, goesOn ? (block?.block ?? null) : null, batch);
    block = { day, block: after, sinceMs: goesOn ? (block?.sinceMs ?? nowMs) : nowMs };
    for (const [index, row] of rows.entries()) {
      if (row.kind === 'opened' && row.requestId !== null && opened.size < MAX_OPENED)
        opened.set(row.requestId, head.row + index + 1);
      if (row.openedSeq !== null && row.requestId !== null) opened.delete(row.requestId);
    }
    head = { row: after.lastRow, block: after.n, digest: after.digest };
  }

  /** A row that ends a request that was told of before says so. */
  function closing(row: LogRow): LogRow {
    if (opened.size === 0 || row.kind !== 'request' || row.requestId === null) return row;
    const openedSeq = opened.get(row.requestId);
    return openedSeq === undefined ? row : { ...row, openedSeq };
  }

  function appendByDay(rows: readonly LogRow[], batch: string | null): void {
    const byDay = new Map<string, LogRow[]>();
    let [lastMs, lastDay] = [Number.NaN, ''];
    for (const row of rows) {
      const endedMs = row.atMs + row.durationMs;
      // All of a batch end on the same day but for one batch a day.
      const day = Math.floor(endedMs / 86_400_000);
      if (day !== lastMs) [lastMs, lastDay] = [day, placeFor(dayOf(endedMs))];
      const list = byDay.get(lastDay);
      if (list === undefined) byDay.set(lastDay, [closing(row)]);
      else list.push(closing(row));
    }
    for (const [day, ofDay] of [...byDay].sort(([a], [b]) => (a < b ? -1 : 1))) {
      try {
        append(day, ofDay, batch);
      } catch (error) {
        if (isUnreadable(error)) setAside(day, error);
        throw error;
      }
    }
  }

  /** Ends the block, so that its digest changes no more, and tells what it is. */
  function anchor(): void {
    if (block === null || head.block === anchored) {
      anchoredMs = clock.monotonicMs();
      return;
    }
    const { day } = block;
    for (const [name, store] of open) {
      // Only what is on the disk may be on record: a machine that breaks down loses the rest.
      store.sync();
      const last = store.lastBlock();
      if (last !== null) noteDay(name, store, last);
    }
    ledger.write([...days.values()]);
    options.anchor({ day, block: head.block, digest: head.digest.toString('hex'), rows: head.row });
    anchored = head.block;
    anchoredMs = clock.monotonicMs();
    block = null;
  }

  /** The clock, unless somebody has set it by more than a day since the start. */
  function trustedNowMs(): number | null {
    const nowMs = clock.nowMs();
    const due = started.wallMs + clock.monotonicMs() - started.monotonicMs;
    return Math.abs(nowMs - due) > MAX_JUMP_MS ? null : nowMs;
  }

  function clean(): void {
    finishRemovals();
    const nowMs = trustedNowMs();
    const here = files.days();
    const oldest = nowMs === null ? null : dayAfter(dayOf(nowMs), -settings.retentionDays);
    const gone = new Set<string>();
    for (const day of here) {
      if (oldest === null || day >= oldest || day === block?.day) continue;
      putAway(day, settings.archive ? 'archived' : 'removed', `older than ${settings.retentionDays} days`);
      gone.add(day);
    }
    let bytes = 0;
    const rest = here.filter((day) => !gone.has(day));
    for (const day of rest) bytes += files.bytesOf(day);
    for (const day of rest.slice(0, -1)) {
      if (bytes <= settings.maxBytes) break;
      if (day === block?.day) continue;
      bytes -= files.bytesOf(day);
      putAway(day, settings.archive ? 'archived' : 'removed', `more than ${settings.maxBytes} bytes`);
    }
    if (isFull !== bytes > settings.maxBytes) {
      isFull = !isFull;
      if (isFull)
        options.warn(
          'the request log of this day alone needs more room than activity.max_bytes; rows are left out',
          {
            bytes,
            maxBytes: settings.maxBytes,
          },
        );
    }
    cleanedMs = clock.monotonicMs();
  }

  /**
   * On record first, and only then away: verify believes no removal that is not. When FLM ends in between, the next start
   * begins again.
   */
  function putAway(day: string, state: 'archived' | 'removed', reason: string): void {
    if (leaving.has(day)) return;
    const store = storeOf(day);
    const last = store.lastBlock();
    if (last !== null) noteDay(day, store, last);
    const entry = days.get(day);
    leaving.add(day);
    options.record(
      {
        type: `activity.${state}`,
        severity: 'low',
        target: `activity:${day}`,
        details: {
          day,
          reason,
          first_block: entry?.firstBlock ?? null,
          last_block: entry?.lastBlock ?? null,
          digest: entry?.digest ?? null,
        },
      },
      (isOnRecord) => {
        leaving.delete(day);
        if (isOnRecord) takeAway(day, state, entry?.lastBlock ?? null);
      },
    );
  }

  function takeAway(day: string, state: 'archived' | 'removed', lastBlock: number | null): void {
    // Rows that came meanwhile are not on record; it is put away later, with them.
    if ((storeOf(day).lastBlock()?.n ?? null) !== lastBlock) return;
    closeDay(day);
    const entry = days.get(day);
    if (entry !== undefined) {
      days.set(day, { ...entry, state });
      ledger.write([...days.values()]);
    }
    if (state === 'archived') files.archive(day);
    else files.remove(day);
  }

  function finishRemovals(): void {
    for (const day of files.days()) {
      const state = days.get(day)?.state;
      if (state === 'removed') files.remove(day);
      if (state === 'archived') files.archive(day);
    }
  }

  function writeRefusals(nowMs: number): void {
    const rows = refusals.due(nowMs);
    if (rows.length > 0 && !isFull) appendByDay(rows, null);
    refusals.forget(nowMs);
  }

  return {
    write(batch) {
      // What is thrown for rows must not have counted the strangers: the batch comes again.
      if (batch.rows.length > 0 && !isFull) appendByDay(batch.rows, batch.id);
      for (const refusal of batch.refusals) refusals.count(refusal);
      return isFull ? batch.rows.length : 0;
    },

    tick() {
      writeRefusals(clock.nowMs());
      const nowMs = clock.monotonicMs();
      if (nowMs - anchoredMs >= ANCHOR_MS || (block !== null && block.day < dayOf(clock.nowMs()))) anchor();
      if (nowMs - cleanedMs >= CLEAN_MS) clean();
    },

    erase(ip) {
      writeRefusals(Number.POSITIVE_INFINITY);
      const parsed = parseIp(ip) ?? ip;
      const addresses = [...new Set([parsed, parseIp(ip) === null ? ip : ipBucket(parsed)])];
      const counts = [
        ...files.days().map((day) => eraseIn(storeOf(day), addresses)),
        ...files.archived().map((day) => {
          const store = files.openArchived(day, 'write');
          try {
            return eraseIn(store, addresses);
          } finally {
            store.close();
          }
        }),
      ];
      return {
        places: counts.reduce((sum, places) => sum + places, 0),
        days: counts.filter((places) => places > 0).length,
      };
    },

    configure(next) {
      settings = next;
      cleanedMs = Number.NEGATIVE_INFINITY;
    },

    close() {
      try {
        writeRefusals(Number.POSITIVE_INFINITY);
        anchor();
      } finally {
        for (const day of [...open.keys()]) closeDay(day);
      }
    },
  };
}

/** Batches are numbered within a run of FLM: `<run>:<number>`. One may come again when the Worker broke down. */
function isWritten(batch: string, last: string | null): boolean {
  const [run, number] = batch.split(':');
  const [lastRun, lastNumber] = last?.split(':') ?? [];
  return run === lastRun && Number(number) <= Number(lastNumber);
}

function eraseIn(store: DayStore, addresses: readonly string[]): number {
  const places = store.erase(addresses);
  store.checkpoint(); // Else the journal would still hold it.
  return places;
}

/** Whether trying again would not help: the file itself is no good. */
function isUnreadable(error: unknown): boolean {
  if (error instanceof FlmError) return error.code === 'DB_DAMAGED';
  return isDamage(error);
}
