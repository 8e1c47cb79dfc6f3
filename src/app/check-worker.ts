/** The Worker that reads the databases of an FLM that serves from end to end, which would hold its requests up. */
import { checkDatabaseFiles, type DatabaseFiles, type DbFinding } from '../../db/check';
import { reasonOf } from '../lib/errors';

declare const self: Worker;

/** What it says, once. */
export type CheckAnswer = { readonly findings: readonly DbFinding[] } | { readonly reason: string };

self.onmessage = async ({ data }: MessageEvent<DatabaseFiles>) => {
  const tell = (answer: CheckAnswer) => self.postMessage(answer);
  try {
    tell({ findings: await checkDatabaseFiles(data) });
  } catch (error) {
    tell({ reason: reasonOf(error) });
  }
};
