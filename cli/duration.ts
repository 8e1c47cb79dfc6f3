/** Lengths of time as people type them: `90d`, `12h`, `30m`, `45s`, `2w`. */
import { FlmError } from '../src/lib/errors';

/** Largest first, as a length is written with the largest that fits. */
const UNITS = [
  ['w', 604_800],
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const;

/** How one is written, for help and errors. */
export const DURATION = 'a whole number and s, m, h, d or w, such as 90d';

/** What a length may be, in seconds. */
export interface Range {
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Whole seconds. @throws INVALID_INPUT naming the option and what it takes */
export function parseDuration(option: string, text: string, range: Range = {}): number {
  const match = /^(\d{1,9})([smhdw])$/.exec(text.trim());
  const unit = UNITS.find(([letter]) => letter === match?.[2]);
  if (match === null || unit === undefined)
    throw invalid(option, `"${text}" is no length of time: it takes ${DURATION}`);
  const seconds = Number(match[1]) * unit[1];
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = range;
  if (seconds < minimum || seconds > maximum)
    throw invalid(option, `it takes ${lengthText(minimum)} to ${lengthText(maximum)}`);
  return seconds;
}

/** A length with the largest unit that fits. */
export function lengthText(seconds: number): string {
  const [letter, length] = UNITS.find(([, size]) => seconds >= size && seconds % size === 0) ?? ['s', 1];
  return `${seconds / length}${letter}`;
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
