/** Lengths of time as people type them: `90d`, `12h`, `30m`, `45s`. */
import { FlmError } from '../src/lib/errors';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Whole seconds. @throws INVALID_INPUT naming the option. */
export function parseDuration(option: string, text: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text.trim());
  const unit = SECONDS[match?.[2] ?? ''];
  if (match === null || unit === undefined) {
    throw new FlmError('INVALID_INPUT', {
      meta: { field: option, reason: `"${text}" is no length of time such as 90d, 12h, 30m or 45s` },
    });
  }
  return Number(match[1]) * unit;
}
