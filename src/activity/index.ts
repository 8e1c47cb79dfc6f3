/**
 * The request log (FLM-118, FLM-120, HL-120): a row for each request of somebody who was recognised, counts for strangers
 * that were refused, in an encrypted file a day that a Worker owns. Bound together so that a change is found.
 */

import type { DaySeal } from '../../db';
import type { ActivityRecord } from '../contract';
import type { Bus } from '../lib/bus';
import type { Log } from '../lib/log';
import type { OpenMessage } from './messages';
import type { ActivityApi } from './model';
import type { OfflineActivityOptions } from './offline';
import { workerUrl } from './paths';
import { type ActivityCounters, createRecorder } from './recorder';
import { createActivityApi } from './service';
import { startThread, type Thread } from './thread';
import type { WriterSettings } from './writer';

export { anchorIn, removalIn } from './anchor';
export {
  type ActivityApi,
  type ActivityEntry,
  type ActivityFilter,
  type ActivityList,
  type ActivityPage,
  type ActivityStats,
  type ActivityVerdict,
  type Erased,
  EraseInput,
  EXPORT_FORMATS,
  type ExportFormat,
  OUTCOME_FILTERS,
  type RefusalList,
  STATS_BY,
  type StatsBy,
  type StatsQuery,
} from './model';
export { EVERYTHING } from './query';
export type { ActivityCounters } from './recorder';
export type { WriterSettings } from './writer';

export interface Activity extends ActivityApi {
  /** For metrics; all of them cheap. */
  counters(): ActivityCounters;
  /** Resolves when what ended up to now is in the file, or cannot be put there at present. */
  flush(): Promise<void>;
  configure(settings: WriterSettings): void;
  close(): Promise<void>;
}

export interface ActivityOptions {
  /** The folder of the days. */
  readonly dir: string;
  readonly seal: DaySeal;
  readonly settings: WriterSettings;
  readonly record: ActivityRecord;
  readonly bus: Bus;
  readonly log: Log;
  /** Starts the Worker's script; tests have their own. */
  readonly spawn?: () => Worker;
}

/** A Worker that only reads is kept for this long after its last answer. */
const IDLE_MS = 60_000;

/** The request log of an FLM that serves. */
export function createActivity(options: ActivityOptions): Activity {
  const { dir, seal, settings, bus, log, record } = options;
  const spawn = options.spawn ?? (() => new Worker(workerUrl()));
  const open = { kind: 'open', dir, seal, settings } as const satisfies Partial<OpenMessage>;
  const recorder = createRecorder({ bus, log, record, open: { ...open, role: 'writer' }, spawn });
  let reader: Thread | null = null;
  let idle: Timer | null = null;

  function endReader(): void {
    if (idle !== null) clearTimeout(idle);
    reader?.end();
    reader = null;
  }

  function startReader(): Thread {
    return startThread({
      spawn,
      open: { ...open, role: 'reader' },
      onTold() {}, // It is only asked.
      onDied(reason) {
        log.error('the Worker that reads the request log broke down', { reason });
        reader = null;
      },
    });
  }

  const api = createActivityApi(
    {
      async read(question, argument) {
        await recorder.flush();
        reader ??= startReader();
        if (idle !== null) clearTimeout(idle);
        idle = setTimeout(endReader, IDLE_MS);
        idle.unref();
        return reader.ask(question, argument);
      },
      async erase(ip) {
        const erased = await recorder.ask('erase', ip);
        endReader(); // It may remember whose rows they were.
        return erased;
      },
      running: recorder.running,
    },
    record,
  );

  return {
    ...api,
    counters: recorder.counters,
    configure: recorder.configure,
    flush: recorder.flush,
    async close() {
      endReader();
      await recorder.close();
    },
  };
}

/** The same questions while no FLM runs. What it takes is loaded with the first of them. */
export function createOfflineActivity(options: OfflineActivityOptions): ActivityApi {
  const answerer = async () => (await import('./offline')).createAnswerer(options);
  return createActivityApi(
    {
      read: async (question, argument) => (await answerer()).read(question, argument),
      erase: async (ip) => (await answerer()).erase(ip),
      running: async () => [],
    },
    options.record,
  );
}
