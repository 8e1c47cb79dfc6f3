/** FLM's own log, as JSON lines on stderr (FLM-011). */
import type { Clock } from '../src/contract';
import { createLog, type Log, type LogLevel } from '../src/lib/log';

export function stderrLog(clock: Clock, level: () => LogLevel): Log {
  return createLog(level, clock, (line) => process.stderr.write(line));
}
