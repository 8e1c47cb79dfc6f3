/**
 * Reads PKCS#12 files (RFC 7292), also those with the old ciphers (RC2, 3DES) that Windows, Java and `openssl -legacy` write.
 * Run by the command line, so that a password never leaves the process it was typed into.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { asn1 as Asn1, pkcs12 as Pkcs12 } from 'node-forge';
import { FlmError } from '../../src/lib/errors';
import { pemOf } from '../certificate';
import type { CertificateInput } from '../model';
import { shellWord } from '../trust-store/this-machine';

/** SEQUENCE { INTEGER 3 …: what no certificate and no key begins with. */
export function isPkcs12(bytes: Uint8Array): boolean {
  const lengthBytes = (bytes[1] ?? 0) & 0x80 ? (bytes[1] ?? 0) & 0x7f : 0;
  const [tag, length, version] = bytes.subarray(2 + lengthBytes, 5 + lengthBytes);
  return bytes[0] === 0x30 && tag === 0x02 && length === 1 && version === 3;
}

/**
 * All certificates in the file, and its one key, as PEM without encryption. `file`: its path, for the way out that is told.
 * @throws CERTIFICATE_INVALID for a wrong password, and for what cannot be read
 */
export async function readPkcs12(
  bytes: Uint8Array,
  password: string,
  file: string,
): Promise<CertificateInput> {
  const { default: forge } = await import('node-forge');
  const { asn1, pkcs12, pki } = forge;
  const der = Buffer.from(bytes).toString('latin1');
  const opened = open();
  const bagsOf = (type: string | undefined) =>
    type === undefined ? [] : (opened.getBags({ bagType: type })[type] ?? []);
  const certificates = bagsOf(pki.oids.certBag).map((bag) =>
    // One on a curve is handed on as it is: the library reads RSA alone.
    bytesOf(bag.cert === undefined || bag.cert === null ? bag.asn1 : pki.certificateToAsn1(bag.cert)),
  );
  const keys = [...bagsOf(pki.oids.pkcs8ShroudedKeyBag), ...bagsOf(pki.oids.keyBag)].map((bag) =>
    bag.key === undefined || bag.key === null
      ? keyOf(bytesOf(bag.asn1))
      : keyOf(bytesOf(pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(bag.key)))),
  );
  const [key, another] = keys;
  if (key === undefined) throw invalid('there is no private key in it');
  if (another !== undefined)
    throw invalid(`there are ${keys.length} private keys in it`, `Take one out: ${wayOut(file)}`);
  return {
    certificate_pem: certificates.map((certificate) => pemOf('CERTIFICATE', certificate)).join(''),
    private_key_pem: pemOf('PRIVATE KEY', key.export({ type: 'pkcs8', format: 'der' })),
  };

  function open(): Pkcs12.Pkcs12Pfx {
    try {
      const pfx = asn1.fromDer(der);
      try {
        return pkcs12.pkcs12FromAsn1(pfx, password);
      } catch (error) {
        // "No password" is written in two ways.
        if (password === '') return pkcs12.pkcs12FromAsn1(pfx);
        // The checksum takes the password in UTF-16 and has held; newer ciphers take it in UTF-8, and the library does not.
        if (isAscii(password) || isWrongPassword(error) || !Array.isArray(pfx.value)) throw error;
        return pkcs12.pkcs12FromAsn1(
          { ...pfx, value: pfx.value.slice(0, 2) },
          Buffer.from(password, 'utf8').toString('latin1'),
        );
      }
    } catch (error) {
      // Only which of its messages it was: the rest may hold parts of what was decrypted.
      if (isWrongPassword(error)) throw invalid('the password is wrong', null, error);
      throw invalid('this PKCS#12 file cannot be read', `Turn it into PEM: ${wayOut(file)}`, error);
    }
  }

  function bytesOf(value: Asn1.Asn1): Buffer {
    return Buffer.from(asn1.toDer(value).getBytes(), 'latin1');
  }
}

function isWrongPassword(error: unknown): boolean {
  return /password/i.test(String(error));
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

function keyOf(der: Buffer): KeyObject {
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch (error) {
    throw invalid('its key cannot be read', null, error);
  }
}

/** What openssl makes of any file, for `--cert`. */
export function wayOut(file: string): string {
  return `openssl pkcs12 -in ${shellWord(file)} -nodes -legacy -out bundle.pem`;
}

function invalid(reason: string, hint: string | null = null, cause?: unknown): FlmError {
  return new FlmError('CERTIFICATE_INVALID', {
    meta: { reason },
    ...(hint === null ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}
