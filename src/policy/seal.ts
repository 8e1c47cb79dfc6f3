/**
 * Seals on versions of the policy: an HMAC-SHA-256 over all that a version says and over the seal of the version before
 * it. Only who holds the secret of this installation can make one.
 */
import { hkdfSync, timingSafeEqual } from 'node:crypto';

/** A version as it lies in the database. */
export interface StoredVersion {
  readonly version: number;
  readonly documentJson: string;
  readonly createdAtMs: number;
  readonly actor: string;
  readonly note: string | null;
  readonly seal: Buffer;
}

export type Unsealed = Omit<StoredVersion, 'seal'>;

export interface Sealer {
  /** `before`: the seal of the version before it, null for the first. */
  seal(version: Unsealed, before: Buffer | null): Buffer;
  isIntact(version: StoredVersion, before: Buffer | null): boolean;
}

/** `secret`: 32 random bytes of this installation; the key is derived from them and from what it is for (RFC 5869). */
export function createSealer(secret: Buffer): Sealer {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'flm security policy v1', 32));

  function seal(
    { version, documentJson, createdAtMs, actor, note }: Unsealed,
    before: Buffer | null,
  ): Buffer {
    // As JSON, so that no field can lend its end to the next.
    const text = JSON.stringify([
      version,
      before?.toString('hex') ?? null,
      createdAtMs,
      actor,
      note,
      documentJson,
    ]);
    return new Bun.CryptoHasher('sha256', key).update(text).digest();
  }

  return {
    seal,
    isIntact(version, before) {
      const expected = seal(version, before);
      return version.seal.length === expected.length && timingSafeEqual(version.seal, expected);
    },
  };
}
