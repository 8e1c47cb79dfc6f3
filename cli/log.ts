/** FLM's own log on stderr: JSON lines (FLM-011), and words where a person reads along. */
import { isRecord } from '../src/lib/json';
import { createLog, type Log, type LogLevel } from '../src/lib/log';
import type { Cli } from './cli';
import { printable } from './table';

export function stderrLog(cli: Pick<Cli, 'clock' | 'format' | 'decorated'>, level: () => LogLevel): Log {
  const write = (line: string) => void process.stderr.write(line);
  const forPeople = cli.format === 'text' && cli.decorated;
  return createLog(level, cli.clock, write, forPeople ? logText : undefined);
}

/** `Warning: FLM listens beyond this machine, without TLS (bind 0.0.0.0, exposure private)` */
export function logText(entry: unknown): string {
  const { time: _, level, message, ...fields } = isRecord(entry) ? entry : {};
  const about = Object.entries(fields).map(([name, value]) => `${name} ${valueText(value)}`);
  const title = level === 'error' ? 'Error: ' : level === 'warn' ? 'Warning: ' : '';
  const text = `${title}${String(message)}${about.length === 0 ? '' : ` (${about.join(', ')})`}`;
  return printable(text);
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  // An error that was spelled out: its trace is for those who collect JSON.
  if (isRecord(value) && typeof value.message === 'string') return value.message;
  return JSON.stringify(value) ?? 'nothing';
}
