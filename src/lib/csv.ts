/** Comma-separated values (RFC 4180) that no spreadsheet takes for a formula. */

type Cell = string | number | boolean | null;

/** One line, with its CRLF. */
export function csvRow(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/**
 * One cell. What a spreadsheet would run as a formula gets an apostrophe, which makes it text: a model may be called
 * =HYPERLINK(…), and whoever opens the file must not run what a client wrote (CWE-1236).
 */
export function csvCell(value: Cell): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const text = /^[\s\0]*[=+\-@＝＋－＠]|^[\t\r\n\0]/u.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}
