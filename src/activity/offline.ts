/** Answers questions about the request log in this process, while no FLM runs: each opens the files and closes them again. */
import type { DaySeal } from '../../db';
import { createDayOpener } from '../../db/days';
import type { ActivityRecord, Clock } from '../contract';
import type { Log } from '../lib/log';
import { createDayFiles } from './files';
import { createLedger } from './ledger';
import { createLogReader } from './log-reader';
import { ledgerPath } from './paths';
import type { Answerer } from './service';
import { createWriter, type WriterSettings } from './writer';

export interface OfflineActivityOptions {
  readonly dir: string;
  readonly seal: DaySeal;
  readonly settings: WriterSettings;
  readonly record: ActivityRecord;
  readonly clock: Clock;
  readonly log: Log;
}

export function createAnswerer(options: OfflineActivityOptions): Omit<Answerer, 'running'> {
  const { dir, seal, settings, clock, log } = options;
  const filesNow = async () => createDayFiles(dir, await createDayOpener(seal, clock));
  const ledger = createLedger(ledgerPath(dir), seal.keyBytes);
  return {
    async read(question, argument) {
      const reader = createLogReader(await filesNow(), ledger);
      try {
        return reader.answer(question, argument);
      } finally {
        reader.close();
      }
    },
    async erase(ip) {
      const writer = createWriter({
        files: await filesNow(),
        ledger,
        clock,
        settings,
        anchor() {}, // No row is added.
        record() {}, // Nothing is removed.
        warn: log.warn,
      });
      try {
        return writer.erase(ip);
      } finally {
        writer.close();
      }
    },
  };
}
