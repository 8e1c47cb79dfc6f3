/**
 * Puts on record who changed what. Rows of changes to security.db are written with them; changes to config.db leave a
 * draft beside them, which is added to the chain as soon as they are on disk: exactly once, also after a crash.
 */
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import type { AuditEvent, AuditWriter, Clock } from '../contract';
import { currentActor } from '../lib/actor';
import { FlmError, reasonOf } from '../lib/errors';
import { newId } from '../lib/ids';
import { parseIp } from '../lib/ip';
import { parseJson } from '../lib/json';
import type { Log } from '../lib/log';
import { redactValue } from '../lib/redact';
import { nullable } from '../lib/schema';
import type { AuditDraft } from './chain';
import type { AuditStore, Waiting } from './store';

export interface Recorder {
  /** Who writes this chain. */
  readonly writer: string;
  /** For changes to security.db, called inside their transaction. */
  readonly inSecurityDb: AuditWriter;
  /** For changes to config.db, called inside their transaction. */
  readonly inConfigDb: AuditWriter;
  /** Puts something on record that is no change to a database. @throws DB_ERROR */
  record(event: AuditEvent): Promise<void>;
  /** What is known of an event at this moment: who does it, through which request, from where. */
  draftOf(event: AuditEvent): AuditDraft;
  /**
   * Adds to the chain what waits in config.db: what came since the last time, or all of it again. Never throws: what
   * cannot be added waits on, and holds up nothing else.
   */
  drain(which?: 'new' | 'all'): void;
  /** How many drafts wait in config.db that should be in the chain by now, and where the first of them is. */
  stuck(pause: () => Promise<void>): Promise<{ readonly count: number; readonly firstId: string | null }>;
  /** To be called when a row was added past the recorder. */
  added(): void;
  /** Calls `handle` after rows were added, until the returned function is called. */
  onRows(handle: () => void): () => void;
  /** Writes nothing until `resume`: another process has the databases. */
  pause(): void;
  resume(): void;
  close(): void;
}

export interface RecorderOptions {
  readonly store: AuditStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Drafts that are added to the chain in one transaction. */
const BATCH = 500;
/** How long a draft waits when the chain cannot be written to. */
const RETRY_MS = 5_000;
/** How soon config.db learns how far the chain is, when nothing else is written there. */
const FOLLOW_MS = 10_000;
/** How long a draft may wait before that is a finding: another process may be about to add it. */
const PATIENCE_MS = 5_000;

export async function createRecorder({ store, clock, log }: RecorderOptions): Promise<Recorder> {
  const writer = await store.writer(newId());
  let scheduled = false;
  let isPaused = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  /** Whether rows were added that config.db does not know of. */
  let isBehind = true;
  let toldOfOther = false;
  let toldOfFailure = false;
  let toldOfUnfit = false;
  /** The last draft that was looked at: what is left up to here cannot be added, and would be read for nothing. */
  let passed: string | null = null;
  const watchers = new Set<() => void>();

  /** What is known of an event when it is put on record: who, through which request, from where. */
  function draftOf({ type, severity, target, details }: AuditEvent): AuditDraft {
    const { kind, id, via, requestId, traceId, ip } = currentActor();
    return {
      id: newId(),
      atMs: clock.nowMs(),
      type,
      severity,
      actorKind: kind,
      actorId: id.toWellFormed(),
      via,
      target: target === null ? null : target.toWellFormed(),
      requestId,
      traceId,
      detailsJson: details === null ? null : JSON.stringify(redactValue(details)),
      personalJson: ip === null ? null : JSON.stringify({ ip: parseIp(ip) ?? ip }),
    };
  }

  /** Adds to the chain what waits in config.db, and has config.db remember how far it is. */
  function drain(which: 'new' | 'all' = 'new'): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (isPaused) return;
    if (which === 'all') passed = null;
    try {
      for (;;) {
        const waiting = store.waiting(passed, BATCH);
        const last = waiting.at(-1);
        const added = addAll(waiting);
        if (added.length > 0 || isBehind) {
          const isSame = store.settle(writer, added);
          if (!isSame && !toldOfOther) {
            toldOfOther = true;
            log.error('the audit chain is not the one it was: flm security audit-logs verify');
          }
        }
        if (added.length > 0) wake();
        isBehind = false;
        toldOfFailure = false;
        if (last !== undefined) passed = last.id;
        if (waiting.length < BATCH) return;
      }
    } catch (error) {
      if (!toldOfFailure) log.error('changes wait to be added to the audit chain', { error });
      toldOfFailure = true;
      later(RETRY_MS);
    }
  }

  /** Adds to the chain what can be added, and returns where that was; the rest stays: somebody has to look at it. */
  function addAll(waiting: readonly Waiting[]): string[] {
    const read = waiting.flatMap(({ id, eventJson }) => {
      const draft = draftIn(eventJson);
      return draft === null ? [] : [{ id, draft }];
    });
    const drafts = read.map(({ draft }) => draft);
    const unfit = new Set(drafts.length === 0 ? [] : store.addMissing(writer, drafts));
    const added = read.filter(({ draft }) => !unfit.has(draft)).map(({ id }) => id);
    if (added.length < waiting.length && !toldOfUnfit) {
      toldOfUnfit = true;
      const [first] = waiting.filter(({ id }) => !added.includes(id));
      log.error('config.db holds changes that the audit chain cannot take: flm security audit-logs verify', {
        first_id: first?.id,
      });
    }
    return added;
  }

  async function stuck(pause: () => Promise<void>) {
    let count = 0;
    let firstId: string | null = null;
    let after: string | null = null;
    for (;;) {
      const waiting = store.waiting(after, BATCH);
      for (const { id, eventJson } of waiting) {
        const draft = draftIn(eventJson);
        if (draft !== null && Math.abs(clock.nowMs() - draft.atMs) < PATIENCE_MS) continue;
        count++;
        firstId ??= id;
      }
      if (waiting.length < BATCH) return { count, firstId };
      after = waiting.at(-1)?.id ?? after;
      await pause();
    }
  }

  function later(delayMs: number): void {
    if (timer !== null) return;
    timer = setTimeout(drain, delayMs, 'new');
    timer.unref();
  }

  /** Calls `then` when the transaction of this moment has ended: transactions hold no await. */
  function afterwards(then: () => void): void {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      then();
    });
  }

  function wake(): void {
    for (const watcher of watchers) watcher();
  }

  /** @throws DB_ERROR that says that nothing was changed */
  function written(file: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      if (error instanceof FlmError) throw error;
      const reason = `the change cannot be put on record, so it was not made (${reasonOf(error)})`;
      throw new FlmError('DB_ERROR', { meta: { file, reason }, cause: error });
    }
  }

  function added(): void {
    isBehind = true;
    later(FOLLOW_MS);
    wake();
  }

  async function record(event: AuditEvent): Promise<void> {
    await store.add(writer, draftOf(event));
    added();
  }

  drain();

  return {
    writer,
    record,
    draftOf,
    drain,
    stuck,
    added,

    inSecurityDb: {
      write(event) {
        written('security.db', () => store.append(writer, draftOf(event)));
        afterwards(added);
      },
    },

    inConfigDb: {
      write(event) {
        written('config.db', () => store.enqueue(draftOf(event)));
        queueMicrotask(() => drain());
      },
    },

    onRows(handle) {
      watchers.add(handle);
      return () => watchers.delete(handle);
    },

    pause() {
      drain();
      isPaused = true;
      if (timer !== null) clearTimeout(timer);
    },

    resume() {
      isPaused = false;
      drain();
    },

    close() {
      drain();
      if (timer !== null) clearTimeout(timer);
    },
  };
}

const Text = nullable(Type.String());
const StoredDraft = Type.Object({
  id: Type.String({ minLength: 1 }),
  atMs: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  type: Type.String(),
  severity: Type.String(),
  actorKind: Type.String(),
  actorId: Type.String(),
  via: Type.String(),
  target: Text,
  requestId: Text,
  traceId: Text,
  detailsJson: Text,
  personalJson: Text,
});

/** The draft that a row of the outbox holds; null when it holds none. */
function draftIn(eventJson: string): AuditDraft | null {
  const draft: unknown = parseJson(eventJson);
  if (!Value.Check(StoredDraft, draft)) return null;
  // Half a character would be stored as another one, and the row would not be as it was written.
  const isWhole = Object.values(draft).every((value) => typeof value !== 'string' || value.isWellFormed());
  return isWhole ? draft : null;
}
