/** A request log without threads, on a folder of its own and a clock that moves when told to. */
import { join } from 'node:path';
import { createDayOpener, type DayOpener, type DaySeal, daySeal } from '../../db/days';
import { removalIn } from '../../src/activity/anchor';
import { createDayFiles, type DayFiles } from '../../src/activity/files';
import { createLedger, type Ledger } from '../../src/activity/ledger';
import { createReader, type Reader } from '../../src/activity/reader';
import { verify } from '../../src/activity/verify';
import { type BatchBuilder, createBatchBuilder, decodeBatch } from '../../src/activity/wire';
import { createWriter, type Writer, type WriterSettings } from '../../src/activity/writer';
import type { ActivityAnchor, ActivityRemoval, AuditEvent, RequestFacts } from '../../src/contract';
import { type ManualClock, manualClock } from '../../src/lib/clock';
import { type TestDir, testDir } from './data-dir';

export interface LogFixture extends Disposable {
  readonly data: TestDir;
  readonly dir: string;
  readonly seal: DaySeal;
  readonly clock: ManualClock;
  readonly files: DayFiles;
  readonly ledger: Ledger;
  readonly opener: DayOpener;
  readonly anchors: ActivityAnchor[];
  readonly events: AuditEvent[];
  readonly warnings: string[];
  settings: WriterSettings;
  /** Whether the audit chain takes what it is given. */
  isAuditUp: boolean;
  /** A writer, as each start of FLM makes one. */
  start(): Writer;
  /** Writes these, as one batch. */
  write(writer: Writer, facts: readonly RequestFacts[], isOpened?: boolean): void;
  reader(): Reader;
  verify(): ReturnType<typeof verify>;
}

/** As the audit chain would tell of them. */
export function removalsOf(events: readonly AuditEvent[]): ActivityRemoval[] {
  return events.flatMap(({ type, details }) =>
    type === 'activity.removed' || type === 'activity.archived' ? removalIn(details) : [],
  );
}

export const SEAL_KEY = `raw:${'7'.repeat(64)}`;

export async function logFixture(startMs = 1_760_000_000_000): Promise<LogFixture> {
  const data = testDir();
  const dir = data.paths.activityDir;
  const clock = manualClock(startMs);
  const seal = daySeal({ bytes: Buffer.from(SEAL_KEY), source: 'a test' }, data.paths.libDir);
  const opener = await createDayOpener(seal, clock);
  const files = createDayFiles(dir, opener);
  const ledger = createLedger(join(dir, 'ledger.json'), seal.keyBytes);
  const anchors: ActivityAnchor[] = [];
  const events: AuditEvent[] = [];
  const warnings: string[] = [];
  const builder: BatchBuilder = createBatchBuilder();
  const writers: Writer[] = [];
  let batch = 0;
  const fixture: LogFixture = {
    data,
    dir,
    seal,
    clock,
    files,
    ledger,
    opener,
    anchors,
    events,
    warnings,
    isAuditUp: true,
    settings: { retentionDays: 30, maxBytes: 1e12, archive: false },
    start() {
      const writer = createWriter({
        files,
        ledger,
        clock,
        settings: fixture.settings,
        anchor: (details) => anchors.push(details),
        record(event, onRecord) {
          if (fixture.isAuditUp) events.push(event);
          onRecord(fixture.isAuditUp);
        },
        warn: (message) => warnings.push(message),
      });
      writers.push(writer);
      return writer;
    },
    write(writer, facts, isOpened = false) {
      for (const each of facts) builder.add(each, isOpened);
      writer.write(decodeBatch(builder.take(`run:${++batch}`)));
    },
    reader: () => createReader(files),
    verify: () => verify({ files, ledger, anchors, removals: removalsOf(events) }),
    [Symbol.dispose]() {
      data[Symbol.dispose]();
    },
  };
  return fixture;
}
