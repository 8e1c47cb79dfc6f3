/** Signatures of webhooks: Standard Webhooks 1.0.0 with its asymmetric scheme (Ed25519, `v1a`). */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** PKCS #8 around the 32 bytes of an Ed25519 key (RFC 8410 §7). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const KEY_BYTES = 32;

/** A new private key, its 32 bytes. */
export function newSigningKey(): Buffer {
  const { privateKey } = generateKeyPairSync('ed25519');
  return privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-KEY_BYTES);
}

/** What a receiver is given: `whpk_` and the 32 bytes of the public key in base64. */
export function publicKeyOf(privateKey: Buffer): string {
  const der = createPublicKey(keyObject(privateKey)).export({ format: 'der', type: 'spki' });
  return `whpk_${der.subarray(-KEY_BYTES).toString('base64')}`;
}

export interface Signed {
  readonly id: string;
  /** Of this attempt. */
  readonly atMs: number;
  /** Exactly as it is sent. */
  readonly body: string;
}

/** The three headers of a message. */
export function webhookHeaders({ id, atMs, body }: Signed, privateKey: Buffer): Record<string, string> {
  const timestamp = String(Math.floor(atMs / 1_000));
  // Ids are UUIDs, so no full stop of theirs can move the borders of what is signed.
  const signature = sign(null, Buffer.from(`${id}.${timestamp}.${body}`), keyObject(privateKey));
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1a,${signature.toString('base64')}`,
  };
}

function keyObject(privateKey: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, privateKey]), format: 'der', type: 'pkcs8' });
}
