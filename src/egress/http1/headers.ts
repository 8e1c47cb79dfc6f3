/**
 * Response headers as they came: the text of the head, checked once and taken apart only where somebody looks. Names in
 * lower case, values as Latin-1 text.
 */
import type { EgressHeaders } from '../transport';

/** Field lines (RFC 9112 §5): a token, a colon at once, and a value without control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const FIELD_LINES = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*$/;

export class HeaderList implements EgressHeaders {
  /** Each line ends in CRLF. */
  readonly #text: string;
  /** The same in lower case, with a line feed in front so that every name follows one. */
  readonly #searched: string;

  constructor(text: string) {
    this.#text = text;
    this.#searched = `\n${text.toLowerCase()}`;
  }

  /** The headers in `text`, or null when it is malformed: obsolete folding and spaces before a colon included. */
  static parse(text: string): HeaderList | null {
    return FIELD_LINES.test(text) ? new HeaderList(text) : null;
  }

  /** The value, several of one name joined by commas (RFC 9110 §5.3), or null. */
  get(name: string): string | null {
    const needle = `\n${name.toLowerCase()}:`;
    let found: string | null = null;
    for (let at = this.#searched.indexOf(needle); at !== -1; at = this.#searched.indexOf(needle, at + 1)) {
      // The line feed in front makes an offset of the searched text one more than that of the text.
      const start = at + needle.length - 1;
      const value = valueIn(this.#text, start, this.#text.indexOf('\r\n', start));
      found = found === null ? value : `${found}, ${value}`;
    }
    return found;
  }

  *[Symbol.iterator](): Iterator<[string, string]> {
    for (let start = 0; start < this.#text.length; ) {
      const colon = this.#text.indexOf(':', start);
      const end = this.#text.indexOf('\r\n', colon);
      yield [this.#searched.slice(start + 1, colon + 1), valueIn(this.#text, colon + 1, end)];
      start = end + 2;
    }
  }
}

/** The value without the spaces and tabs around it. Not trim(): that also takes the last byte of a UTF-8 `à`. */
function valueIn(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
