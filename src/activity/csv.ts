/** Comma-separated values (RFC 4180) that no spreadsheet takes for a formula. */

type Cell = string | number | boolean | null;

export function csvRow(cells: readonly Cell[]): string {
  return `${cells.map(cellOf).join(',')}\r\n`;
}

function cellOf(cell: Cell): string {
  if (typeof cell !== 'string') return cell === null ? '' : String(cell);
  // A model may be called =HYPERLINK(…): whoever opens the file must not run what a client wrote (CWE-1236).
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
