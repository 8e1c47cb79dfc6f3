/** The life of a process that serves, from the moment it does: asked to stop, replaced by another, or out of work. */
import type { Clock } from '../contract';
import type { Bus } from '../lib/bus';
import { type ErrorCode, FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import { createBacklog } from './backlog';
import { createHandOver } from './hand-over';
import {
  type DaemonApi,
  type ElderAnswer,
  type ElderReport,
  type Legacy,
  MAX_REPORT_ROWS,
  type RunBy,
} from './model';

export interface DaemonOptions {
  readonly version: string;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  /** Null before it serves. */
  readonly runBy: () => RunBy | null;
  readonly proxies: {
    legacy(): Legacy['proxies'];
    leave(): void;
    drain(waitMs: number): Promise<void>;
    areShared(): boolean;
  };
  readonly drainMs: () => number;
  /** Requests under way. */
  readonly busy: () => number;
  /**
   * Writes nothing any more, and gives up the admin socket and the lock. Calls `onQuiet` at the moment from which requests
   * that end are not written down here.
   */
  readonly pause: (onQuiet: () => void) => Promise<void>;
  /** Takes all of that back. @throws DB_LOCKED while another process has the data directory */
  readonly resume: () => Promise<void>;
  /** Looks into the database for keys that have ended. */
  readonly refreshKeys: () => Promise<void>;
  /** Another process has taken the place of this one. */
  readonly onReplaced: () => void;
  /** Whoever listens on the admin socket. */
  readonly heir: {
    status(signal: AbortSignal): Promise<{ readonly pid: number | null }>;
    readonly daemon: { elder(report: ElderReport): Promise<ElderAnswer> };
  };
  /** How long idle connections of a process that was replaced are kept. */
  readonly lingerMs: number;
}

export interface Daemon {
  readonly api: DaemonApi;
  /** Lets nobody new in, and waits for requests under way as long as drainMs allows. Then it is over. */
  stop(): Promise<void>;
  isStopping(): boolean;
  /** Whether this process may write; not while another has the data directory. */
  isOwner(): boolean;
  /** Keeps in mind which processes were replaced. */
  inherit(legacy: Legacy): void;
  /** Resolves when there is nothing to serve any more: stopped, or replaced and done. */
  readonly over: Promise<void>;
}

/** How long another process may take to say who it is. */
const ANSWER_MS = 1_000;
/** Processes that were replaced ask once a second whether they are to stop, too. */
const ELDERS_MS = 2_000;
/** How long the process before may take to stop listening. */
const SHARED_MS = 5_000;
const LOOK_MS = 20;

export function createDaemon(options: DaemonOptions): Daemon {
  const { clock, bus, log, proxies, heir } = options;
  const over = Promise.withResolvers<void>();
  const backlog = createBacklog(bus);
  /** Processes that were replaced, and when each was last heard. */
  const elders = new Map<number, number>();
  let stopping: Promise<void> | null = null;

  const drain = () => proxies.drain(options.drainMs());

  function publish({ opened, finished }: Pick<ElderReport, 'opened' | 'finished'>): void {
    for (const request of opened) bus.publish({ name: 'request.opened', request });
    for (const request of finished) bus.publish({ name: 'request.finished', request });
  }

  const handOver = createHandOver(
    {
      clock,
      log,
      sleep: Bun.sleep,
      pause: () => options.pause(backlog.start),
      async resume() {
        await options.resume();
        publish(backlog.stop());
      },
      async heirAnswers() {
        const found = await heir.status(AbortSignal.timeout(ANSWER_MS)).catch(() => null);
        return found !== null && found.pid !== process.pid;
      },
      leave() {
        proxies.leave();
        options.onReplaced();
      },
      refreshKeys: options.refreshKeys,
      async tellHeir() {
        for (;;) {
          const rows = backlog.take(MAX_REPORT_ROWS);
          try {
            const answer = await heir.daemon.elder({ pid: process.pid, requests: options.busy(), ...rows });
            if (rows.finished.length < MAX_REPORT_ROWS && rows.opened.length < MAX_REPORT_ROWS) return answer;
          } catch (error) {
            // Sent again it would be refused again, and nothing behind it would get through.
            if (error instanceof FlmError && REFUSALS.has(error.code)) {
              log.error('the new process does not take rows of the request log', {
                rows: rows.finished.length,
                reason: error.message,
              });
              continue;
            }
            backlog.putBack(rows);
            throw error;
          }
        }
      },
      hasNews: backlog.hasRows,
      busy: options.busy,
      drain,
    },
    options.lingerMs,
  );
  void handOver.over.then(over.resolve);

  async function waitUntil(holds: () => boolean, withinMs: number): Promise<void> {
    const untilMs = clock.monotonicMs() + withinMs;
    while (!holds() && clock.monotonicMs() < untilMs) await Bun.sleep(LOOK_MS);
  }

  async function end(): Promise<void> {
    const fromMs = clock.monotonicMs();
    await drain();
    // One that has not been heard for a while has ended; every other hears that it is to stop, and tells when it has.
    const isAlive = ([pid, heardMs]: [number, number]) => heardMs > fromMs - ELDERS_MS && isThere(pid);
    const untilMs = fromMs + options.drainMs() + ELDERS_MS;
    await waitUntil(() => ![...elders].some(isAlive), untilMs - clock.monotonicMs());
    over.resolve();
  }

  function stop(): Promise<void> {
    stopping ??= end();
    return stopping;
  }

  return {
    stop,
    isStopping: () => stopping !== null,
    isOwner: () => handOver.state() === 'serving',
    inherit(legacy) {
      for (const pid of [legacy.pid, ...legacy.elders]) elders.set(pid, clock.monotonicMs());
    },
    over: over.promise,
    api: {
      async handOver() {
        if (stopping !== null) throw new FlmError('SHUTTING_DOWN');
        // Whoever started it elsewhere would lose sight of it.
        if (options.runBy() !== 'supervisor')
          throw new FlmError('HANDOVER_UNAVAILABLE', {
            meta: { reason: 'it does not run in the background' },
          });
        // Three that listen on one port at once would be one too many (listeners/hand-on.ts).
        await waitUntil(() => !proxies.areShared(), SHARED_MS);
        await handOver.begin();
        return {
          pid: process.pid,
          version: options.version,
          proxies: proxies.legacy(),
          elders: [...elders.keys()],
        };
      },
      async elder(report) {
        publish(report);
        // A full report is followed by another.
        const isLast = report.requests === 0 && report.finished.length < MAX_REPORT_ROWS;
        if (stopping !== null && isLast) elders.delete(report.pid);
        else elders.set(report.pid, clock.monotonicMs());
        return { stop: stopping !== null };
      },
      async stop() {
        void stop();
        return { status: 'stopping', pid: process.pid };
      },
    },
  };
}

/** What the new process answers to a report that it does not take. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['INVALID_INPUT', 'INVALID_JSON', 'PAYLOAD_TOO_LARGE']);

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
