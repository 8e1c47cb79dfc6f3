/** From files as people have them (PEM, encrypted PEM, DER, PKCS#12) to PEM without encryption, which is what FLM takes. */
import { createPrivateKey } from 'node:crypto';
import { FlmError } from '../../src/lib/errors';
import { pemBlocks, pemOf, readCertificate } from '../certificate';
import type { CertificateInput } from '../model';
import { isPkcs12, readPkcs12 } from './pkcs12';

/** A file that was read. */
export interface Given {
  readonly path: string;
  readonly bytes: Buffer;
}

/**
 * What there is to import. `key`: null where it is in the file of the certificate. `password` is asked at most once, and only
 * when something is encrypted.
 * @throws CERTIFICATE_INVALID; what `password` throws
 */
export async function unlock(
  certificate: Given,
  key: Given | null,
  password: () => Promise<string>,
): Promise<CertificateInput> {
  if (isPkcs12(certificate.bytes)) {
    if (key !== null) throw invalid(`${certificate.path} is PKCS#12 and has its own key; leave --key out`);
    return readPkcs12(certificate.bytes, await password(), certificate.path);
  }
  const text = textOf(certificate);
  const keyText = key === null ? text : textOf(key);
  const certificates = pemBlocks(text).filter(({ label }) => label.endsWith('CERTIFICATE'));
  const [secret] = pemBlocks(keyText).filter(({ label }) => label.endsWith('PRIVATE KEY'));
  if (certificates.length === 0) throw invalid(`there is no certificate in ${certificate.path}`);
  if (secret === undefined) throw invalid(`there is no private key in ${key?.path ?? certificate.path}`);
  return {
    certificate_pem: certificates.map(({ pem }) => pem).join(''),
    private_key_pem: isEncrypted(secret) ? decrypted(secret.pem, await password()) : secret.pem,
  };
}

/** PKCS#8 says so in its label (RFC 7468 §11), the older form in a header (RFC 1421 §4.6.1.1). */
function isEncrypted({ label, pem }: { readonly label: string; readonly pem: string }): boolean {
  return label.startsWith('ENCRYPTED') || /^Proc-Type:.*ENCRYPTED/m.test(pem);
}

function decrypted(pem: string, passphrase: string): string {
  try {
    const key = createPrivateKey({ key: pem, passphrase });
    return pemOf('PRIVATE KEY', key.export({ type: 'pkcs8', format: 'der' }));
  } catch (error) {
    // What the parser says may hold parts of the key; which of two things it is, it says.
    const isUnknown = /UNSUPPORTED|UNKNOWN/.test(String(error));
    const reason = isUnknown
      ? 'its key is encrypted in a way that FLM cannot read'
      : 'the password of its key is wrong';
    throw new FlmError('CERTIFICATE_INVALID', {
      meta: { reason },
      ...(isUnknown ? { hint: 'Take the encryption off: openssl pkey -in key.pem -out plain.pem' } : {}),
      cause: error,
    });
  }
}

/** Windows writes text with a mark in front, and in UTF-16 where its shell does. */
function textOf({ path, bytes }: Given): string {
  const isWide = bytes[0] === 0xff && bytes[1] === 0xfe;
  const text = isWide ? bytes.toString('utf16le') : bytes.toString('latin1');
  if (text.includes('-----BEGIN ')) return text;
  try {
    return pemOf('CERTIFICATE', readCertificate(bytes).raw);
  } catch {
    throw invalid(`${path} is neither PEM nor PKCS#12`);
  }
}

function invalid(reason: string): FlmError {
  return new FlmError('CERTIFICATE_INVALID', { meta: { reason } });
}
