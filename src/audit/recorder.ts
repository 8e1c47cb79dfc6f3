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
import type { AuditStore } from './store';

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
  /** Adds to the chain what waits in config.db. Never throws: what cannot be added waits on. */
  drain(): void;
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

export async function createRecorder({ store, clock, log }: RecorderOptions): Promise<Recorder> {
  const writer = await store.writer(newId());
  let scheduled = false;
  let isPaused = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  /** Whether rows were added that config.db does not know of. */
  let isBehind = true;
  let toldOfOther = false;
  let toldOfFailure = false;
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
  function drain(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (isPaused) return;
    try {
      for (;;) {
        const waiting = store.waiting(BATCH);
        if (waiting.length === 0 && !isBehind) return;
        const drafts = waiting.flatMap(({ id, eventJson }) => {
          const draft: unknown = parseJson(eventJson);
          if (Value.Check(StoredDraft, draft)) return [{ id, draft }];
          // It stays where it is: somebody has to look at it.
          log.error('a change that waits for the audit chain cannot be read', { id });
          return [];
        });
        if (drafts.length > 0)
          store.addMissing(
            writer,
            drafts.map(({ draft }) => draft),
          );
        const isSame = store.settle(
          writer,
          drafts.map(({ id }) => id),
        );
        if (!isSame && !toldOfOther) {
          toldOfOther = true;
          log.error('the audit chain is not the one it was: flm security audit-logs verify');
        }
        if (drafts.length > 0) wake();
        isBehind = false;
        toldOfFailure = false;
        if (drafts.length < BATCH) return;
      }
    } catch (error) {
      if (!toldOfFailure) log.error('changes wait to be added to the audit chain', { error });
      toldOfFailure = true;
      later(RETRY_MS);
    }
  }

  function later(delayMs: number): void {
    if (timer !== null) return;
    timer = setTimeout(drain, delayMs);
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
        queueMicrotask(drain);
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
  atMs: Type.Integer(),
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
