/** Text in columns. Widths count what a terminal shows, so that wide characters line up too. */

/** Two columns, the left as wide as its longest entry, indented. */
export function columns(entries: readonly (readonly [string, string])[]): string {
  const rows = entries.map(([left, right]) => [printable(left), printable(right)] as const);
  const width = Math.max(0, ...rows.map(([left]) => Bun.stringWidth(left)));
  return rows.map(([left, right]) => `  ${pad(left, width)}  ${right}`.trimEnd()).join('\n');
}

/** A table with a header; `empty` when there are no rows. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  empty: string,
): string {
  if (rows.length === 0) return empty;
  const all = [header, ...rows.map((row) => row.map(printable))];
  const widths = header.map((_, column) => Math.max(...all.map((row) => Bun.stringWidth(row[column] ?? ''))));
  return all
    .map((row) =>
      row
        .map((cell, column) => pad(cell, widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Names come from engines and from other people: no control character of theirs reaches the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\uFFFD');
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - Bun.stringWidth(text)));
}
