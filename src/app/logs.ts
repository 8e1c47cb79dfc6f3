/** Where FLM's own words go: the log that was handed over, a file, stdout. */
import type { Config } from '../config';
import type { Clock } from '../contract';
import type { Bus } from '../lib/bus';
import { createLog, type Log, type LogLevel } from '../lib/log';
import { type LogFile, openLogFile } from '../lib/log-file';
import { logPathIn, type Paths } from '../lib/paths';
import { logLimits } from '../telemetry';

/** Lines of the request log that may wait for whoever reads stdout. */
const MAX_STDOUT_CHARS = 8_388_608;

/** `log` and, while the owner wants that, logs/flm.log. */
export function alsoToFile(
  { paths, clock, log }: { readonly paths: Paths; readonly clock: Clock; readonly log: Log },
  config: Config,
): { readonly log: Log; readonly file: LogFile } {
  const file = openLogFile({
    path: logPathIn(paths.logsDir),
    limits: () => logLimits(config.current()),
    clock,
    // That it cannot be written to is told where it can be read.
    log,
  });
  const toFile = createLog(
    () => config.current()['log.level'],
    clock,
    (line) => {
      if (config.current()['log.file']) file.write(line);
    },
  );
  const both =
    (level: LogLevel): Log[LogLevel] =>
    (message, fields) => {
      log[level](message, fields);
      toFile[level](message, fields);
    };
  return {
    log: { debug: both('debug'), info: both('info'), warn: both('warn'), error: both('error') },
    file,
  };
}

/** stdout, as long as somebody reads it: what nobody takes is not kept for ever. */
export function boundedStdout(): (line: string) => boolean {
  let waitingChars = 0;
  return (line) => {
    if (waitingChars + line.length > MAX_STDOUT_CHARS) return false;
    waitingChars += line.length;
    process.stdout.write(line, () => {
      waitingChars -= line.length;
    });
    return true;
  };
}

/** Puts into the log what its reader wants to know. Returns what stops it. */
export function logEvents(bus: Bus, log: Log): () => void {
  const stops = [
    bus.subscribe('engine.changed', ({ engineId, status, models }) =>
      log.info('engine', { engineId, status, models }),
    ),
    bus.subscribe('engine.removed', ({ engineId }) => log.info('engine is gone', { engineId })),
    bus.subscribe('key.created', ({ keyId, label }) => log.info('API key created', { keyId, label })),
    bus.subscribe('key.revoked', ({ keyId }) => log.info('API key ended', { keyId })),
    bus.subscribe('config.changed', ({ keys }) => log.info('settings changed', { keys })),
    bus.subscribe('limit.exceeded', ({ requestId, limit, unit, subject }) =>
      log.debug('limited', { requestId, limit, unit, subject }),
    ),
    bus.subscribe('auth.refused', ({ requestId, ip, path, reason }) =>
      log.debug('refused', { requestId, ip, path, reason }),
    ),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
