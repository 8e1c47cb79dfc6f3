/**
 * Brings messages to webhooks, at least once: each is written down before it is sent, tried again with growing pauses, and
 * given up after a day. Pauses are those of the monotonic clock; the database has wall time, for the next start alone.
 */
import type { Clock } from '../../contract';
import { FlmError, reasonOf } from '../../lib/errors';
import type { Log } from '../../lib/log';
import type { AlertMessage } from './model';
import { webhookHeaders } from './sign';
import type { AlertStore, StoredDelivery, StoredTarget, StoredWebhook } from './store';

/** What an attempt came to; `status` null: nothing came back. */
export interface Answer {
  readonly status: number | null;
  /** The header, where there is one. */
  readonly retryAfter: string | null;
  /** The beginning of the body. */
  readonly text: string;
  readonly error: string | null;
}

/** The way out. Throws what went wrong when no answer came. */
export type PostWebhook = (request: {
  readonly url: string;
  readonly allowPrivate: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}) => Promise<Omit<Answer, 'error'>>;

export interface DeliveriesOptions {
  readonly store: AlertStore;
  readonly post: PostWebhook;
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to 1, for pauses that are not all alike. */
  readonly random: () => number;
  readonly newId: () => string;
  readonly version: string;
  readonly findTarget: (id: string) => StoredTarget | null;
  /** It answered 410. */
  readonly onGone: (target: StoredTarget) => void;
}

export interface DeliveryCounts {
  readonly sent: number;
  /** Attempts that failed and are repeated. */
  readonly retried: number;
  /** Messages that were given up. */
  readonly failed: number;
  readonly waiting: number;
}

export interface Deliveries {
  /** Sends to these targets, soon. */
  send(message: AlertMessage, targetIds: readonly string[]): void;
  /** Sends once, and says what came back. */
  sendNow(message: AlertMessage, target: StoredTarget): Promise<Answer & { readonly id: string }>;
  /** Goes on with what the database has. */
  start(): void;
  /** Sends what is due; resolves when all of it was tried. */
  work(): Promise<void>;
  /** Nothing waits for that target any more. */
  drop(targetId: string): void;
  counts(): DeliveryCounts;
  /** Stops, whatever is under way: it is sent again after the next start. */
  stop(): Promise<void>;
}

const TIMEOUT_MS = 15_000;
const FIRST_PAUSE_MS = 5_000;
const LAST_PAUSE_MS = 14_400_000;
/** How much longer than that a receiver may ask for. */
const LONGEST_PAUSE_MS = 86_400_000;
const MAX_AGE_MS = 86_400_000;
/** Messages that may wait; then the oldest are given up. */
export const MAX_WAITING = 500;
/** What is over is kept this long, and no more of it than this. */
const KEEP_ROWS = 1_000;
const KEEP_MS = 7 * 86_400_000;

interface Waiting {
  readonly delivery: StoredDelivery;
  attempts: number;
  dueMs: number;
  readonly endsMs: number;
}

export function createDeliveries(options: DeliveriesOptions): Deliveries {
  const { store, post, clock, log, random, newId, version, findTarget, onGone } = options;
  let queue: Waiting[] = [];
  let isRunning = false;
  let ending = new AbortController();
  let timer: ReturnType<typeof setTimeout> | null = null;
  /** Targets that are being written to. */
  const busy = new Map<string, Promise<void>>();
  /** Until when a target wants to be left alone. */
  const resting = new Map<string, number>();
  let sent = 0;
  let retried = 0;
  let failed = 0;

  function written(what: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      // It goes out all the same; a restart may send it twice.
      log.error(`${what} could not be written down`, { error });
    }
  }

  function schedule(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (!isRunning) return;
    const times = queue.filter(({ delivery }) => !busy.has(delivery.targetId)).map(({ dueMs }) => dueMs);
    if (times.length === 0) return;
    timer = setTimeout(() => void work(), Math.max(0, Math.min(...times) - clock.monotonicMs()));
    timer.unref();
  }

  async function work(): Promise<void> {
    giveUpOld();
    const nowMs = clock.monotonicMs();
    const due = new Set(queue.filter(({ dueMs }) => dueMs <= nowMs).map(({ delivery }) => delivery.targetId));
    for (const targetId of due) {
      if (busy.has(targetId) || !isRunning) continue;
      const done = serve(targetId).finally(() => {
        busy.delete(targetId);
        schedule();
      });
      busy.set(targetId, done);
    }
    schedule();
    await Promise.all([...due].map((targetId) => busy.get(targetId)));
  }

  /** One after the other, as long as it takes them. */
  async function serve(targetId: string): Promise<void> {
    for (;;) {
      const nowMs = clock.monotonicMs();
      const next = queue.find(({ delivery, dueMs }) => delivery.targetId === targetId && dueMs <= nowMs);
      const target = findTarget(targetId);
      if (next === undefined || !isRunning) return;
      if (target?.webhook == null) return drop(targetId);
      const answer = await attempt(next.delivery, target.webhook);
      // Stopped meanwhile: nobody knows whether it arrived, so it is sent again.
      if (!isRunning && !isTaken(answer)) return;
      if (!queue.includes(next)) continue;
      next.attempts++;
      if (isTaken(answer)) finish(next);
      else if (answer.status === 410) return leave(target);
      else return postpone(next, answer);
    }
  }

  async function attempt({ id, body }: StoredDelivery, webhook: StoredWebhook): Promise<Answer> {
    const { url, allowPrivate, privateKey } = webhook;
    const headers = {
      ...webhookHeaders({ id, atMs: clock.nowMs(), body }, privateKey),
      'content-type': 'application/json',
      'user-agent': `flm/${version}`,
    };
    try {
      const { signal } = ending;
      const answer = await post({ url, allowPrivate, headers, body, timeoutMs: TIMEOUT_MS, signal });
      return { ...answer, error: isTaken(answer) ? null : failureOf(answer.status) };
    } catch (error) {
      return { status: null, retryAfter: null, text: '', error: reasonFor(error) };
    }
  }

  function finish({ delivery: { id, targetId }, attempts }: Waiting): void {
    queue = queue.filter(({ delivery }) => delivery.id !== id);
    resting.delete(targetId);
    sent++;
    written('that an alert has arrived', () =>
      store.update({ id, state: 'sent', attempts, lastError: null, nextAtMs: null }),
    );
  }

  /** All that waits for the target waits with it: it would fare no better. */
  function postpone(waiting: Waiting, answer: Answer): void {
    const { delivery, attempts } = waiting;
    const pauseMs = pauseAfter(attempts, answer);
    retried++;
    const untilMs = clock.monotonicMs() + pauseMs;
    resting.set(delivery.targetId, untilMs);
    for (const other of queue)
      if (other.delivery.targetId === delivery.targetId) other.dueMs = Math.max(other.dueMs, untilMs);
    written('that an alert is to be sent again', () =>
      store.update({
        id: delivery.id,
        state: 'waiting',
        attempts,
        lastError: answer.error,
        nextAtMs: Math.round(clock.nowMs() + pauseMs),
      }),
    );
    log.warn('an alert did not arrive and is sent again', {
      target: delivery.targetId,
      attempts,
      reason: answer.error,
      in_s: Math.round(pauseMs / 1_000),
    });
  }

  function pauseAfter(attempts: number, { status, retryAfter }: Answer): number {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 3 ** (attempts - 1), LAST_PAUSE_MS);
    // A quarter more or less, so that many do not come back together.
    const spreadMs = pauseMs * (0.75 + random() / 2);
    const askedMs = status === 429 || status === 503 ? parseRetryAfter(retryAfter, clock.nowMs()) : null;
    return Math.min(Math.max(spreadMs, askedMs ?? 0), LONGEST_PAUSE_MS);
  }

  function leave(target: StoredTarget): void {
    const mine = queue.filter(({ delivery }) => delivery.targetId === target.id);
    queue = queue.filter((waiting) => !mine.includes(waiting));
    failed += mine.length;
    onGone(target);
  }

  function giveUpOld(): void {
    const nowMs = clock.monotonicMs();
    giveUp(
      queue.filter(({ endsMs, delivery }) => endsMs <= nowMs && !busy.has(delivery.targetId)),
      'it could not be delivered for a day',
    );
  }

  function giveUp(lost: readonly Waiting[], reason: string): void {
    if (lost.length === 0) return;
    queue = queue.filter((waiting) => !lost.includes(waiting));
    failed += lost.length;
    for (const [targetId, mine] of Map.groupBy(lost, ({ delivery }) => delivery.targetId)) {
      const ids = mine.map(({ delivery }) => delivery.id);
      log.error('alerts were not delivered', { target: targetId, alerts: ids.length, reason });
      written('that alerts were given up', () => store.giveUp(targetId, ids, reason));
    }
  }

  function drop(targetId: string): void {
    resting.delete(targetId);
    queue = queue.filter(({ delivery }) => delivery.targetId !== targetId);
  }

  function rowFor(message: AlertMessage, targetId: string): StoredDelivery {
    const nowMs = clock.nowMs();
    return {
      id: newId(),
      targetId,
      body: JSON.stringify(message),
      state: 'waiting',
      attempts: 0,
      lastError: null,
      createdAtMs: nowMs,
      nextAtMs: nowMs,
    };
  }

  const add = (rows: readonly StoredDelivery[]) =>
    written('an alert', () => store.add(rows, KEEP_ROWS, clock.nowMs() - KEEP_MS));

  return {
    work,
    drop,

    send(message, targetIds) {
      const targets = targetIds.flatMap((id) => findTarget(id) ?? []).filter(({ isGone }) => !isGone);
      const rows = targets.map(({ id, webhook }) => ({
        ...rowFor(message, id),
        ...(webhook === null ? ({ state: 'sent', attempts: 1, nextAtMs: null } as const) : {}),
      }));
      if (rows.length === 0) return;
      add(rows);
      for (const row of rows) {
        if (row.state === 'waiting') {
          queue.push(waitingFor(row, clock, resting.get(row.targetId)));
        } else {
          sent++;
          writeToLog(log, message);
        }
      }
      giveUp(queue.slice(0, Math.max(0, queue.length - MAX_WAITING)), 'too many alerts wait');
      schedule();
    },

    async sendNow(message, target) {
      const row = { ...rowFor(message, target.id), attempts: 1, nextAtMs: null };
      if (target.webhook === null) {
        writeToLog(log, message);
        add([{ ...row, state: 'sent' }]);
        sent++;
        return { id: row.id, status: null, retryAfter: null, text: '', error: null };
      }
      const answer = await attempt(row, target.webhook);
      const isSent = isTaken(answer);
      if (isSent) sent++;
      else failed++;
      add([{ ...row, state: isSent ? 'sent' : 'failed', lastError: answer.error }]);
      return { id: row.id, ...answer };
    },

    start() {
      ending = new AbortController();
      isRunning = true;
      resting.clear();
      queue = store.waiting().map((row) => waitingFor(row, clock));
      schedule();
    },

    counts: () => ({ sent, retried, failed, waiting: queue.length }),

    async stop() {
      isRunning = false;
      schedule();
      ending.abort(new FlmError('SHUTTING_DOWN'));
      await Promise.all(busy.values());
      queue = [];
    },
  };
}

/** A row as it waits now. A wall clock that was set meanwhile makes nothing wait for longer than the longest pause. */
function waitingFor(delivery: StoredDelivery, clock: Clock, restsUntilMs = 0): Waiting {
  const [wallMs, nowMs] = [clock.nowMs(), clock.monotonicMs()];
  const between = (ms: number, most: number) => Math.min(Math.max(ms, 0), most);
  return {
    delivery,
    attempts: delivery.attempts,
    dueMs: Math.max(restsUntilMs, nowMs + between((delivery.nextAtMs ?? wallMs) - wallMs, LONGEST_PAUSE_MS)),
    endsMs: nowMs + between(delivery.createdAtMs + MAX_AGE_MS - wallMs, MAX_AGE_MS),
  };
}

function writeToLog(log: Log, { type, data: { message, ...data } }: AlertMessage): void {
  log.warn(message, { type, ...data });
}

function isTaken({ status }: Pick<Answer, 'status'>): boolean {
  return status !== null && status >= 200 && status < 300;
}

function failureOf(status: number | null): string {
  if (status !== null && status >= 300 && status < 400)
    return `it answered ${status}: redirects are not followed`;
  return `it answered ${status}`;
}

function reasonFor(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return `it did not answer within ${TIMEOUT_MS / 1_000} seconds`;
  return reasonOf(error);
}

/** `120` or an HTTP date (RFC 9110 §10.2.3), in milliseconds from now; null when it is neither. */
export function parseRetryAfter(value: string | null, nowMs: number): number | null {
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1_000;
  const atMs = / GMT$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
