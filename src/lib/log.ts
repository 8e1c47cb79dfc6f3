/** FLM's own log: one JSON object a line on stderr (FLM-011), redacted, so that stdout stays free for results. */
import type { Clock } from '../contract';
import { redactValue } from './redact';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * A log that writes lines of at least `level` (asked anew for each line) with `write`: JSON, or what `format` makes of
 * the redacted entry.
 */
export function createLog(
  level: () => LogLevel,
  clock: Clock,
  write: (line: string) => void,
  format: (entry: unknown) => string = JSON.stringify,
): Log {
  const at =
    (lineLevel: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (ORDER[lineLevel] < ORDER[level()]) return;
      const time = new Date(clock.nowMs()).toISOString();
      write(`${format(redactValue({ time, level: lineLevel, message, ...describe(fields) }))}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** A log that says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Errors do not survive JSON.stringify: their name, message, stack and cause are spelled out. */
function describe(fields: LogFields): LogFields {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields))
    out[key] = value instanceof Error ? unfold(value) : value;
  return out;
}

/** Causes can run in a circle: a few of them say it all. */
const MAX_CAUSES = 4;

function unfold(error: Error, causes = 0): LogFields {
  const code = 'code' in error ? error.code : undefined;
  const cause =
    error.cause instanceof Error && causes < MAX_CAUSES ? unfold(error.cause, causes + 1) : error.cause;
  return { name: error.name, code, message: error.message, stack: error.stack, cause };
}
