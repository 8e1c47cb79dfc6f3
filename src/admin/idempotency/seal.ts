/**
 * Answers as they are kept: encrypted under the key that the client has chosen, of which FLM keeps only a hash. An answer
 * may hold a new API key; whoever has the database, and not the client's key, learns nothing.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { isRecord, parseJson } from '../../lib/json';

export interface Answer {
  readonly contentType: string;
  readonly body: string;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM under HKDF-SHA-256 of the client's key (RFC 5869), bound to the request: nonce, tag, then the text. */
export function seal(answer: Answer, clientKey: string, requestHash: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyFrom(clientKey, requestHash), nonce);
  const text = Buffer.concat([cipher.update(JSON.stringify(answer), 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]);
}

/** The answer, or null when it does not open. */
export function unseal(sealed: Buffer, clientKey: string, requestHash: Buffer): Answer | null {
  try {
    const key = keyFrom(clientKey, requestHash);
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const text = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    const json = parseJson(text.toString('utf8'));
    if (!isRecord(json) || typeof json.contentType !== 'string' || typeof json.body !== 'string') return null;
    return { contentType: json.contentType, body: json.body };
  } catch {
    return null; // Somebody has changed it.
  }
}

function keyFrom(clientKey: string, requestHash: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', clientKey, requestHash, 'flm idempotency answer', 32));
}
