/** Plain text: figures with their spread, and tables with aligned columns. */
import type { Spread } from './stats';

const ABSENT = '-';

/** "12.3 (11.9–14.0)", or "-" when there is none; one round has no spread to show. */
export function figure(spread: Spread | null, digits: number): string {
  if (spread === null) return ABSENT;
  const show = (value: number) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const middle = show(spread.median);
  return spread.min === spread.max ? middle : `${middle} (${show(spread.min)}–${show(spread.max)})`;
}

/** Columns two spaces apart; the first is aligned to the left, the others to the right. */
export function formatTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
