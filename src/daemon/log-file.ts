/** The log of an FLM in the background, logs/flm.log: the process that serves writes it, its supervisor, and one that is replaced. */
import type { Clock } from '../contract';
import { ensurePrivateDir } from '../lib/files';
import { silentLog } from '../lib/log';
import { type LogFile, type LogFileLimits, openLogFile } from '../lib/log-file';
import { logPathIn, type Paths } from '../lib/paths';

/** For who serves: the settings say when the file is set aside, once they are known. */
export const UNLIMITED: LogFileLimits = {
  maxBytes: Number.POSITIVE_INFINITY,
  maxAgeMs: Number.POSITIVE_INFINITY,
  keepFiles: 0,
};

/**
 * Opens it. Without `limits` it is left to the process that serves to set a full file aside.
 * @throws IO_ERROR when the folder cannot be made
 */
export function openDaemonLog(
  { logsDir }: Pick<Paths, 'logsDir'>,
  clock: Clock,
  limits: () => LogFileLimits = () => UNLIMITED,
): LogFile {
  // What the runtime says when it dies goes there as well, and is opened before the first line is written.
  ensurePrivateDir(logsDir);
  // Nobody else is left who could be told that it cannot be written.
  return openLogFile({ path: logPathIn(logsDir), limits, clock, log: silentLog });
}
