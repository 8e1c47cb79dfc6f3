/**
 * The request log and what it needs of other rooms: its ends go into the audit chain, its settings are the owner's, and
 * while FLM serves its Worker writes it, else whoever asks reads the files.
 */
import {
  type Activity,
  type ActivityApi,
  type ActivityCounters,
  anchorIn,
  createActivity,
  createOfflineActivity,
  removalIn,
  type WriterSettings,
} from '../activity';
import type { Audit } from '../audit';
import type { Config, ConfigSnapshot } from '../config';
import type { ActivityAnchor, ActivityRecord, ActivityRemoval, AuditType, Clock } from '../contract';
import type { Bus } from '../lib/bus';
import type { Log } from '../lib/log';

export interface RequestLogOptions {
  readonly dir: string;
  readonly seal: Parameters<typeof createActivity>[0]['seal'];
  readonly audit: Audit;
  readonly config: Config;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
}

export interface RequestLog {
  readonly api: ActivityApi;
  /** Writes what the bus tells of requests. */
  start(): void;
  /** Writes no more, and gives the files up. `onQuiet` is called at the moment from which nothing is taken any more. */
  stop(onQuiet?: () => void): Promise<void>;
  /** What writes it; null while nothing is written. */
  recorder(): Activity | null;
  counters(): ActivityCounters | null;
}

export function createRequestLog({
  dir,
  seal,
  audit,
  config,
  clock,
  bus,
  log,
}: RequestLogOptions): RequestLog {
  const options = { dir, seal, record: recordOn(audit), clock, bus, log };
  const offline = createOfflineActivity({ ...options, settings: settingsIn(config.current()) });
  let recorder: Activity | null = null;
  let unsubscribe = (): void => {};

  return {
    api: eitherOf(() => recorder, offline),
    start() {
      const started = createActivity({ ...options, settings: settingsIn(config.current()) });
      unsubscribe = bus.subscribe('config.changed', ({ keys }) => {
        if (keys.some((key) => key.startsWith('activity.'))) started.configure(settingsIn(config.current()));
      });
      recorder = started;
    },
    async stop(onQuiet = () => {}) {
      unsubscribe();
      const closing = recorder?.close();
      // It lets go of the bus before anything else that was waiting gets its turn.
      await Promise.resolve();
      onQuiet();
      await closing;
      recorder = null;
    },
    recorder: () => recorder,
    counters: () => recorder?.counters() ?? null,
  };
}

/** Where the request log is asked: at its Worker, once there is one. */
function eitherOf(live: () => ActivityApi | null, offline: ActivityApi): ActivityApi {
  const api = () => live() ?? offline;
  return {
    list: (filter, page) => api().list(filter, page),
    refusals: (range, page) => api().refusals(range, page),
    stats: (query) => api().stats(query),
    export: (filter, format) => api().export(filter, format),
    verify: () => api().verify(),
    erase: (input) => api().erase(input),
  };
}

/** Where the request log puts its ends on record. */
export function recordOn(audit: Pick<Audit, 'anchor' | 'record' | 'list'>): ActivityRecord {
  /** What every row of that type says, oldest first. */
  async function all<Said>(type: AuditType, read: (details: unknown) => Said[]): Promise<Said[]> {
    const said: Said[] = [];
    let cursor: string | undefined;
    do {
      const page = await audit.list({ type, limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
      said.push(...page.items.flatMap(({ details }) => read(details)));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    return said.reverse();
  }

  return {
    anchor: audit.anchor,
    record: audit.record,
    anchors: () => all<ActivityAnchor>('activity.anchor', anchorIn),
    removals: async () => [
      ...(await all<ActivityRemoval>('activity.removed', removalIn)),
      ...(await all<ActivityRemoval>('activity.archived', removalIn)),
    ],
  };
}

function settingsIn(config: ConfigSnapshot): WriterSettings {
  return {
    retentionDays: config['activity.retention_days'],
    maxBytes: config['activity.max_bytes'],
    archive: config['activity.archive'],
  };
}
