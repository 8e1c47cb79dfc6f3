/**
 * What an API key looks like: `flm_<8 id><32 secret><6 checksum>`, base62 (design §3 "Keys"). 190 bits of secret need
 * no slow hash; the checksum lets a mistyped or foreign key be refused without a look-up, and secret scanners see it.
 */
import { fromBase62, randomBase62, toBase62 } from '../lib/ids';

const ID_LENGTH = 8;
const SECRET_LENGTH = 32;
const CHECKSUM_LENGTH = 6;
const SHAPE = /^flm_[0-9A-Za-z]{46}$/;

export interface NewKey {
  /** The public part, under which the key is found. */
  readonly id: string;
  /** The whole key. Shown to its owner once and kept nowhere. */
  readonly plain: string;
}

export function makeKey(): NewKey {
  const id = randomBase62(ID_LENGTH);
  const body = `flm_${id}${randomBase62(SECRET_LENGTH)}`;
  // CRC-32 fits into six digits. It guards against typing, not against anybody.
  return { id, plain: body + toBase62(Bun.hash.crc32(body), CHECKSUM_LENGTH) };
}

/** The id inside a key, or null when the text is not a key at all: wrong shape or wrong checksum. */
export function keyIdOf(text: string): string | null {
  if (!SHAPE.test(text)) return null;
  const body = text.slice(0, -CHECKSUM_LENGTH);
  return fromBase62(text.slice(-CHECKSUM_LENGTH)) === Bun.hash.crc32(body)
    ? body.slice(4, 4 + ID_LENGTH)
    : null;
}
