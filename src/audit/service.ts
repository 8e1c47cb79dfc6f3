/** The audit chain as a whole: written by the recorder, and here read, followed, exported, examined and erased from. */
import type { AnchorSink, AuditEvent, AuditWriter, Clock } from '../contract';
import { FlmError } from '../lib/errors';
import { parseIp } from '../lib/ip';
import type { Log } from '../lib/log';
import type { AuditApi, AuditEntry, AuditFilter, AuditReport, CheckpointQuery, WatchQuery } from './model';
import { createRecorder } from './recorder';
import type { AuditStore, Place, RowFilter, Slice } from './store';
import { type Examined, examine, lookAtAll, type Witness } from './verify';
import { FILES, isoTime, viewOf } from './view';

export interface Audit extends AuditApi, AnchorSink {
  /** For changes to security.db, called inside their transaction. */
  readonly inSecurityDb: AuditWriter;
  /** For changes to config.db, called inside their transaction. */
  readonly inConfigDb: AuditWriter;
  /** Puts something on record that is no change to a database. @throws DB_ERROR */
  record(event: AuditEvent): Promise<void>;
  /**
   * Puts on record that FLM serves, and before that, where the one before has not ended well, that it has not: unless this
   * is a succession, in which the one before lives on for a while.
   */
  started(
    details: Readonly<Record<string, unknown>>,
    how?: { readonly isSuccession: boolean },
  ): Promise<void>;
  /** Writes nothing until `resume`: another process has the databases. */
  pause(): void;
  resume(): void;
  /**
   * Rows that match, in their order: those after row `after` and, without it, some of the newest; then every new one as
   * soon as it is on disk. Null when nothing has come for a while. Ends when `signal` aborts.
   */
  follow(query: WatchQuery, after: number | null, signal: AbortSignal): AsyncGenerator<AuditEntry | null>;
  close(): Promise<void>;
}

export interface AuditOptions {
  readonly store: AuditStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Silence after which whoever follows is told that there is nothing to tell, in milliseconds. */
  readonly idleMs?: number;
}

/** Rows that are read at once: others have to get their turn in between. */
const PAGE = 200;
const DEFAULT_LIMIT = 100;
const IDLE_MS = 15_000;

export async function createAudit({ store, clock, log, idleMs = IDLE_MS }: AuditOptions): Promise<Audit> {
  const recorder = await createRecorder({ store, clock, log });
  const { writer, record, drain } = recorder;

  function headOf(): Place & { readonly hash: Buffer } {
    const head = store.heads().find((known) => known.writer === writer);
    if (head === undefined)
      throw new FlmError('INTERNAL_ERROR', { cause: new Error('the chain has no head') });
    return head;
  }

  /** Resolves when rows were added (true), after a silence (false), and when the signal aborts. */
  function news(signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onAbort = () => resolve(false);
    const stop = recorder.onRows(() => resolve(true));
    const timer = setTimeout(onAbort, idleMs);
    signal.addEventListener('abort', onAbort, { once: true });
    return promise.finally(() => {
      stop();
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    });
  }

  /** Where a follower begins who has seen nothing yet: before the newest `limit` rows that match. */
  async function startFor(filter: RowFilter, limit: number, signal: AbortSignal): Promise<number> {
    const headSeq = headOf().seq;
    let before: Place | null = { writer, seq: headSeq + 1 };
    let start = headSeq;
    let found = 0;
    while (before !== null && before.writer === writer && !signal.aborted) {
      const { rows, next }: Slice = store.newest(filter, before, limit - found);
      const own = rows.filter((row) => row.writer === writer);
      found += own.length;
      start = (own.at(-1)?.seq ?? start + 1) - 1;
      if (found >= limit) break;
      before = next;
      await pause();
    }
    return start;
  }

  async function* follow(query: WatchQuery, after: number | null, signal: AbortSignal) {
    drain();
    const filter = filterOf(query);
    // A number that this chain has not come to is that of another chain.
    const isKnown = after !== null && after <= headOf().seq;
    let seq = isKnown ? after : await startFor(filter, query.limit ?? DEFAULT_LIMIT, signal);
    while (!signal.aborted) {
      const end = { writer, seq: Number.MAX_SAFE_INTEGER };
      const { rows, next } = store.oldest(filter, { writer, seq }, end, PAGE);
      // Read at the same moment: what is not among the rows does not match, and need not be looked at again.
      const headSeq = headOf().seq;
      for (const row of rows) {
        yield viewOf(row);
        if (signal.aborted) return;
        seq = row.seq;
      }
      if (next !== null) {
        seq = next.seq;
        await pause();
        continue;
      }
      seq = Math.max(seq, headSeq);
      // Rows may have come while the last ones were taken.
      if (headOf().seq > seq) continue;
      const isNews = await news(signal);
      if (!isNews && !signal.aborted) yield null;
    }
  }

  async function* pieces(filter: RowFilter, format: keyof typeof FILES, upTo: Place): AsyncGenerator<string> {
    const { before, between, after, row: textOf } = FILES[format];
    yield before;
    let last: Place | null = null;
    let isFirst = true;
    for (;;) {
      const { rows, next }: Slice = store.oldest(filter, last, upTo, PAGE);
      if (rows.length > 0) {
        const text = rows.map((row) => textOf(viewOf(row))).join(between);
        yield isFirst ? text : between + text;
        isFirst = false;
      }
      if (next === null) break;
      last = next;
      await pause();
    }
    yield after;
  }

  return {
    inSecurityDb: recorder.inSecurityDb,
    inConfigDb: recorder.inConfigDb,
    pause: recorder.pause,
    resume: recorder.resume,
    record,
    follow,

    anchor: (anchor) =>
      record({ type: 'activity.anchor', severity: 'low', target: null, details: { ...anchor } }),

    async started(details, { isSuccession } = { isSuccession: false }) {
      const before = store.lastOf(writer, ['flm.started', 'flm.stopped', 'flm.crashed']);
      if (before?.type === 'flm.started' && !isSuccession) {
        const crashed = { started_at: isoTime(before.atMs) };
        await record({ type: 'flm.crashed', severity: 'high', target: null, details: crashed });
      }
      await record({ type: 'flm.started', severity: 'low', target: null, details });
    },

    async list(query) {
      drain();
      const filter = filterOf(query);
      const limit = query.limit ?? DEFAULT_LIMIT;
      let before = query.cursor === undefined ? null : placeIn(query.cursor);
      const items: AuditEntry[] = [];
      for (;;) {
        // One more than is shown tells whether there are more.
        const wanted = Math.min(PAGE, limit + 1 - items.length);
        const { rows, next }: Slice = store.newest(filter, before, wanted);
        items.push(...rows.map(viewOf));
        before = next;
        if (next === null || items.length > limit) break;
        await pause();
      }
      const shown = items.slice(0, limit);
      const last = shown.at(-1);
      return {
        items: shown,
        next: items.length <= limit || last === undefined ? null : `${last.seq}.${last.writer}`,
      };
    },

    async export(filter, format) {
      drain();
      const wanted = filterOf(filter);
      // An address stays out of what cannot be erased.
      const { ip, ...others } = filter;
      const details = { format, ...others, ...(ip === undefined ? {} : { by_ip: true }) };
      await record({ type: 'audit.exported', severity: 'medium', target: null, details });
      return pieces(wanted, format, headOf());
    },

    async verify(query) {
      drain('all');
      const startedMs = clock.monotonicMs();
      const checkpoint = checkpointIn(query);
      const known: Witness[] = store.witnesses().map((witness) => ({ ...witness, name: 'config.db' }));
      if (checkpoint !== null) known.push(checkpoint);
      const writers = new Set([writer, ...[...store.heads(), ...known].map((head) => head.writer)]);
      for (const each of store.writers()) writers.add(each);
      const chains: Examined[] = [];
      for (const each of [...writers].sort())
        chains.push(
          await examine(
            store,
            each,
            known.filter((witness) => witness.writer === each),
            pause,
          ),
        );
      const findings = lookAtAll(chains, writer);
      const { count, firstId } = await recorder.stuck(pause);
      if (count > 0) {
        const message = `${count} ${count === 1 ? 'change waits' : 'changes wait'} in config.db and cannot be added, the first in row ${firstId} of audit_outbox.`;
        findings.push({ writer, seq: null, problem: 'waiting', message });
      }
      return {
        ok: findings.length === 0,
        rows: chains.reduce((sum, chain) => sum + chain.rows, 0),
        findings,
        chains: chains.map((chain) => ({ writer: chain.writer, rows: chain.rows })),
        erased: chains.reduce((sum, chain) => sum + chain.erased, 0),
        checkpoint: checkpoint === null ? null : { seq: checkpoint.seq, matches: holds(chains, checkpoint) },
        unprotected: tailOf(chains, checkpoint),
        duration_ms: Math.round(clock.monotonicMs() - startedMs),
      };
    },

    async checkpoint() {
      // On record first, so that the checkpoint covers the record of itself.
      await record({ type: 'audit.checkpoint', severity: 'low', target: null, details: null });
      const { seq, hash } = headOf();
      const [row] = store.page(writer, seq - 1, 1);
      return { writer, seq, hash: hash.toString('hex'), at: isoTime(row?.atMs ?? clock.nowMs()) };
    },

    async erase({ ip: text }) {
      drain();
      const ip = requireIp(text);
      const rows = await store.erase(writer, ip, (found) => {
        const draft = recorder.draftOf({
          type: 'audit.erased',
          severity: 'high',
          target: null,
          details: null,
        });
        // The row that tells of it may come from that very address, and then it is erased from that row too.
        const own = draft.personalJson === JSON.stringify({ ip }) ? 1 : 0;
        return { ...draft, detailsJson: JSON.stringify({ rows: found + own }) };
      });
      recorder.added();
      return { rows };
    },

    async close() {
      recorder.close();
    },
  };

  /** The rows that nothing outside of this installation vouches for. */
  function tailOf(chains: readonly Examined[], checkpoint: Witness | null): AuditReport['unprotected'] {
    const own = chains.find((chain) => chain.writer === writer);
    const onRecord = own?.lastCheckpoint ?? null;
    const given = checkpoint !== null && holds(chains, checkpoint) && checkpoint.writer === writer;
    const seq = given ? checkpoint.seq : (onRecord?.seq ?? 0);
    const [first] = store.page(writer, seq, 1);
    const [of] = seq === 0 ? [] : store.page(writer, seq - 1, 1);
    return {
      rows: Math.max(0, headOf().seq - seq),
      since: first === undefined ? null : isoTime(first.atMs),
      last_checkpoint: seq === 0 ? null : { seq, at: of === undefined ? null : isoTime(of.atMs) },
    };
  }
}

/** Whether the row of the checkpoint was found, and as it was. */
function holds(chains: readonly Examined[], { writer, seq }: Witness): boolean {
  const chain = chains.find((each) => each.writer === writer);
  return chain !== undefined && chain.rows >= seq;
}

function filterOf(query: AuditFilter): RowFilter {
  return {
    type: query.type ?? null,
    severity: query.severity ?? null,
    actor: query.actor ?? null,
    target: query.target ?? null,
    ip: query.ip === undefined ? null : requireIp(query.ip),
    sinceMs: query.since === undefined ? null : requireTime('since', query.since),
    untilMs: query.until === undefined ? null : requireTime('until', query.until),
  };
}

function requireIp(text: string): string {
  const ip = parseIp(text);
  if (ip === null) throw invalid('ip', `"${text}" is no address`);
  return ip;
}

function requireTime(field: string, text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw invalid(field, `"${text}" is no time`);
  return ms;
}

/** `12.0193…`: the row that the rows after it follow. Somebody else may have given rows any number and any writer. */
function placeIn(cursor: string): Place {
  const [, seq, writer] = /^(-?\d{1,16})\.(.*)$/s.exec(cursor) ?? [];
  if (seq === undefined || writer === undefined)
    throw invalid('cursor', 'it is not the "next" of an earlier answer');
  return { seq: Number(seq), writer };
}

function checkpointIn({ writer, seq, hash }: CheckpointQuery): Witness | null {
  if (writer === undefined && seq === undefined && hash === undefined) return null;
  if (writer === undefined || seq === undefined || hash === undefined)
    throw invalid('checkpoint', 'it takes writer, seq and hash');
  return { writer, seq, hash: Buffer.from(hash, 'hex'), name: 'the checkpoint' };
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}

/** Lets everything else that waits have its turn. */
function pause(): Promise<void> {
  return new Promise((resume) => setImmediate(resume));
}
