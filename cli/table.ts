/** Text in columns. Widths count what a terminal shows, so that wide characters line up too. */

/** The cells of a row; `below` stands on a line of its own, for what would make the row too wide. */
export type Row = readonly string[] | { readonly cells: readonly string[]; readonly below: string | null };

/** Two columns, the left as wide as its longest entry, indented. */
export function columns(entries: readonly (readonly [string, string])[]): string {
  const rows = entries.map(([left, right]) => [printable(left), printable(right)] as const);
  const width = Math.max(0, ...rows.map(([left]) => Bun.stringWidth(left)));
  return rows.map(([left, right]) => `  ${pad(left, width)}  ${right}`.trimEnd()).join('\n');
}

/** A table with a header; `empty` when there are no rows. */
export function table(header: readonly string[], rows: readonly Row[], empty: string): string {
  if (rows.length === 0) return empty;
  const all = [{ cells: header, below: null }, ...rows.map(normal)];
  const widths = header.map((_, column) =>
    Math.max(...all.map(({ cells }) => Bun.stringWidth(cells[column] ?? ''))),
  );
  return all
    .map(({ cells, below }) => lineOf(cells, widths) + (below === null ? '' : `\n  ${below}`))
    .join('\n');
}

function normal(row: Row): { readonly cells: readonly string[]; readonly below: string | null } {
  const { cells, below } = 'cells' in row ? row : { cells: row, below: null };
  return { cells: cells.map(printable), below: below === null ? null : printable(below) };
}

function lineOf(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => pad(cell, widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}

/** One line of what came from outside: no control character of it reaches the terminal, nor one that turns text around. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, '\uFFFD');
}

/** The same for text of several lines. */
export function terminalText(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu, '\uFFFD');
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - Bun.stringWidth(text)));
}
