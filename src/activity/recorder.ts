/**
 * The main thread's side of the request log: rows wait here for some milliseconds and leave together, so that a request
 * costs next to nothing. What the Worker has not confirmed is kept, within bounds: it is sent again when it breaks down.
 */
import type { ActivityRecord, RequestFacts } from '../contract';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import { newId } from '../lib/ids';
import type { Log } from '../lib/log';
import type { AnswerOf, ArgumentOf, OpenMessage, Question } from './messages';
import { startThread, type Thread, type Told } from './thread';
import { createBatchBuilder } from './wire';
import type { WriterSettings } from './writer';

export interface ActivityCounters {
  /** Rows that are not in the file yet. */
  readonly queued: number;
  /** Rows written since the start. */
  readonly written: number;
  /** Rows lost since the start: there was no room for them in memory or within the quota. */
  readonly dropped: number;
  /** Memory that batches take which are not confirmed. */
  readonly spoolBytes: number;
  readonly lastCommitMs: number;
  /** Rows wait in memory because they cannot be written: whoever ends this process loses them. */
  readonly isStuck: boolean;
}

export interface Recorder {
  counters(): ActivityCounters;
  /** Ids of requests that were told of before their end, which has not come. */
  running(): Promise<readonly string[]>;
  configure(settings: WriterSettings): void;
  /** Resolves when everything up to now is in the file, or cannot be put there at present. */
  flush(): Promise<void>;
  ask<Name extends Question>(question: Name, argument: ArgumentOf<Name>): Promise<AnswerOf<Name>>;
  close(): Promise<void>;
}

export interface RecorderOptions {
  readonly bus: Bus;
  readonly log: Log;
  readonly record: ActivityRecord;
  readonly open: OpenMessage;
  readonly spawn: () => Worker;
}

interface Batch {
  readonly n: number;
  readonly id: string;
  readonly text: string;
  readonly rows: number;
}

/** Rows wait no longer than this: with the time a commit takes, a crash costs at most 50 ms of them. */
const WAIT_MS = 20;
/** So many rows are made into a batch in 1 ms. */
const BATCH_ROWS = 1_000;
/** Batches that the Worker has at a time: one that it writes, one that it finds when it is done. */
const SENT_AT_ONCE = 2;
const MAX_SPOOL_BYTES = 32 * 1024 * 1024;
/** Strangers that may be refused in the time of one batch. */
const MAX_REFUSALS = 2_000;
const RESTART_MS = 1_000;
/** One that breaks down again and again is not worth more than this. */
const MAX_RESTART_MS = 60_000;
const CLOSE_MS = 3_000;
const STUCK = 'the request log cannot be written; rows wait in memory';

export function createRecorder(options: RecorderOptions): Recorder {
  const { bus, log, record } = options;
  const run = newId();
  let { open } = options;
  const builder = createBatchBuilder();
  let batches: Batch[] = [];
  /** How many of them, from the first, the Worker has. */
  let sent = 0;
  let lastBatch = 0;
  let timer: Timer | null = null;
  let restart: Timer | null = null;
  let restartMs = RESTART_MS;
  let thread: Thread | null = null;
  let isStuck = false;
  let isClosed = false;
  const counts = { queued: 0, written: 0, dropped: 0, spoolBytes: 0, lastCommitMs: 0 };
  const running = new Set<string>();
  /** Whoever waits until the batch of that number is written. */
  const flushing = new Set<{ readonly n: number; readonly resolve: () => void }>();
  /** Anchors and removals on their way into the audit chain. */
  const recording = new Set<Promise<void>>();

  function start(): void {
    thread = startThread({ spawn: options.spawn, open, onTold, onDied });
    sent = 0;
    send();
  }

  function onDied(reason: string): void {
    log.error('the Worker of the request log broke down; it is started again', { reason });
    thread = null;
    if (!isClosed) restart = setTimeout(start, restartMs);
    restartMs = Math.min(restartMs * 2, MAX_RESTART_MS);
    wake(Number.POSITIVE_INFINITY);
  }

  function onTold(told: Told): void {
    switch (told.kind) {
      case 'written':
        confirm(told.batch, told.leftOut);
        isStuck = false; // One that was started anew does not know that it was.
        counts.lastCommitMs = told.commitMs;
        restartMs = RESTART_MS;
        return;
      case 'stuck':
        if (told.reason === null) log.info('the request log can be written again');
        else log.error(STUCK, { reason: told.reason });
        isStuck = told.reason !== null;
        if (isStuck) wake(Number.POSITIVE_INFINITY);
        return;
      case 'anchor':
        keep(record.anchor(told.details));
        return;
      case 'record':
        keep(putOnRecord(told));
        return;
      case 'warn':
        log.warn(told.message, told.fields);
    }
  }

  /** The Worker removes nothing before that is on record. */
  async function putOnRecord({ id, event }: Extract<Told, { readonly kind: 'record' }>): Promise<void> {
    const teller = thread;
    const tell = (isOnRecord: boolean) => {
      // Another one that was started meanwhile does not know of it.
      if (thread === teller) teller?.post({ kind: 'recorded', id, isOnRecord });
    };
    try {
      await record.record(event);
    } catch (error) {
      tell(false);
      throw error;
    }
    tell(true);
  }

  function keep(work: Promise<void>): void {
    const kept = work
      .catch((error: unknown) => log.error('the request log could not be put on record', { error }))
      .finally(() => recording.delete(kept));
    recording.add(kept);
  }

  function confirm(id: string, leftOut: number): void {
    const [first, ...rest] = batches;
    if (first?.id !== id) return;
    batches = rest;
    sent--;
    counts.queued -= first.rows;
    counts.written += first.rows - leftOut;
    counts.dropped += leftOut;
    counts.spoolBytes -= first.text.length;
    // Rows whose time was over while the Worker was busy. Others wait for more of them.
    if (timer === null) makeBatch();
    send();
    wake(first.n);
  }

  /** Whoever waits for a batch up to that number need not wait any longer. */
  function wake(n: number): void {
    for (const waiter of flushing) {
      if (waiter.n > n) continue;
      flushing.delete(waiter);
      waiter.resolve();
    }
  }

  /** Makes a batch of what waits. */
  function makeBatch(): void {
    const { rows, refusals } = builder;
    if (rows === 0 && refusals === 0) return;
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const id = `${run}:${++lastBatch}`;
    const text = builder.take(id);
    if (counts.spoolBytes + text.length > MAX_SPOOL_BYTES) {
      if (counts.dropped === 0)
        log.error('rows of the request log are lost: too many of them wait', { rows });
      counts.dropped += rows;
      counts.queued -= rows;
      return;
    }
    counts.spoolBytes += text.length;
    batches.push({ n: lastBatch, id, text, rows });
  }

  function send(): void {
    while (thread !== null && sent < SENT_AT_ONCE) {
      const batch = batches[sent];
      if (batch === undefined) return;
      thread.post(batch.text);
      sent++;
    }
  }

  function onTimer(): void {
    timer = null;
    // While the Worker is busy, rows wait here and make a larger batch: that is cheaper to write.
    if (batches.length < SENT_AT_ONCE) {
      makeBatch();
      send();
    }
  }

  function schedule(): void {
    if (timer === null && !isClosed) timer = setTimeout(onTimer, WAIT_MS);
  }

  function take(request: RequestFacts, isOpened: boolean): void {
    counts.queued++;
    builder.add(request, isOpened);
    if (timer === null) schedule();
    else if (builder.rows >= BATCH_ROWS) {
      makeBatch();
      send();
    }
  }

  function onFinished({ request }: { readonly request: RequestFacts }): void {
    if (request.principalId === null) {
      // What anybody may ask for is not worth a line.
      if (request.status >= 400) refused(request, request.errorCode ?? 'REFUSED');
      return;
    }
    if (running.size > 0) running.delete(request.requestId);
    take(request, false);
  }

  /** Why somebody was not recognised is told before the request ends. */
  const reasons = new Map<string, string>();

  function refused({ requestId, atMs, ip, path, status }: RequestFacts, code: string): void {
    const reason = reasons.get(requestId) ?? code.toLowerCase();
    reasons.delete(requestId);
    if (builder.refusals < MAX_REFUSALS) builder.refuse({ atMs, ip, path, reason, status });
    else counts.dropped++;
    schedule();
  }

  const stops = [
    bus.subscribe('request.finished', onFinished),
    bus.subscribe('request.opened', ({ request }) => {
      running.add(request.requestId);
      take(request, true);
    }),
    bus.subscribe('auth.refused', ({ requestId, reason }) => {
      if (reasons.size >= MAX_REFUSALS) reasons.clear();
      reasons.set(requestId, reason);
    }),
  ];
  start();

  async function flush(): Promise<void> {
    await Promise.resolve(); // What was published just now is still on its way to here.
    makeBatch();
    send();
    const last = batches.at(-1);
    if (last === undefined || isStuck || thread === null) return;
    await new Promise<void>((resolve) => flushing.add({ n: last.n, resolve }));
  }

  /** Writes what can be written, within the time there is, and ends the Worker. */
  async function giveUp(): Promise<void> {
    if (restart !== null) clearTimeout(restart);
    // It broke down and would be started again later.
    if (thread === null && batches.length > 0) start();
    const late = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_MS).unref());
    await Promise.race([flush(), late]);
    const ending = thread;
    if (ending !== null) {
      await ending
        .ask('close', null, CLOSE_MS)
        .catch((error: unknown) => log.error('the request log was not closed cleanly', { error }));
      ending.end();
      thread = null;
    }
    while (recording.size > 0) await Promise.all(recording);
    const lost = batches.reduce((sum, { rows }) => sum + rows, builder.rows);
    if (lost > 0) {
      log.error('rows of the request log are lost: they could not be written', { rows: lost });
      counts.dropped += lost;
      counts.queued -= lost;
    }
    batches = [];
    counts.spoolBytes = 0;
  }

  return {
    counters: () => ({ ...counts, isStuck }),
    async running() {
      await flush();
      return [...running];
    },
    configure(settings) {
      open = { ...open, settings };
      thread?.post({ kind: 'configure', settings });
    },
    flush,
    async ask(question, argument) {
      await flush();
      if (thread === null)
        throw new FlmError('INTERNAL_ERROR', {
          cause: new Error('the Worker of the request log does not run'),
        });
      return thread.ask(question, argument);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await Promise.resolve(); // As in flush.
      for (const stop of stops) stop();
      if (timer !== null) clearTimeout(timer);
      timer = null;
      await giveUp();
    },
  };
}
