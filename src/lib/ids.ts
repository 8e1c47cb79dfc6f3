/** Identifiers: UUIDv7 (RFC 9562 §5.7), which sort by the time they were made, and random base62 strings. */

/** A new UUIDv7 in its 36-character form. */
export function newId(): string {
  return Bun.randomUUIDv7();
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** `length` characters of `[0-9A-Za-z]` from the operating system's CSPRNG, each 5.95 bits. */
export function randomBase62(length: number): string {
  let out = '';
  while (out.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length * 2))) {
      // 248 = 4 × 62: bytes above it would make the first letters likelier than the last.
      if (byte < 248 && out.length < length) out += BASE62[byte % 62];
    }
  }
  return out;
}

/** `value` (an integer ≥ 0) in base62, left-padded with zeros to `width` characters. */
export function toBase62(value: number, width: number): string {
  let rest = value;
  let out = '';
  for (let i = 0; i < width; i++) {
    out = BASE62[rest % 62] + out;
    rest = Math.floor(rest / 62);
  }
  return out;
}

/** The number behind base62 digits (`[0-9A-Za-z]` only). */
export function fromBase62(digits: string): number {
  let value = 0;
  for (let i = 0; i < digits.length; i++) {
    const code = digits.charCodeAt(i);
    // The alphabet is 0-9, A-Z, a-z, in the order of their codes.
    value = value * 62 + (code < 58 ? code - 48 : code < 91 ? code - 55 : code - 61);
  }
  return value;
}
