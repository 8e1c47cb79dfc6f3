/**
 * Reads lists of certificates that their authorities have taken back (CRLs, RFC 5280 §5). Only whole lists count, signed by
 * one of the authorities that they are held against. Loaded when a proxy has such a file.
 */
import type { X509Certificate } from 'node:crypto';
import { X509Certificate as Certificate, X509Crl } from '@peculiar/x509';
import { FlmError, reasonOf } from '../../src/lib/errors';
import { pemBlocks } from '../certificate';
import { type RevocationList, serialOf } from './trust';

/** @throws PROXY_INVALID_CONFIG naming the first that cannot be used */
export async function readRevocationLists(
  pem: string,
  authorities: readonly X509Certificate[],
): Promise<ReadonlyMap<X509Certificate, RevocationList>> {
  const blocks = pemBlocks(pem).filter(({ label }) => label === 'X509 CRL');
  if (blocks.length === 0) throw invalid('there is no revocation list in it, in PEM');
  const lists = new Map<X509Certificate, RevocationList>();
  for (const [index, block] of blocks.entries()) {
    const list = readList(block.pem, index + 1);
    const issuer = await issuerOf(list, authorities);
    if (issuer === null) throw invalid(`list ${index + 1} in it is signed by none of the client authorities`);
    const read = {
      serials: new Set(list.entries.map(({ serialNumber }) => serialOf(serialNumber))),
      thisUpdateMs: list.thisUpdate.getTime(),
      nextUpdateMs: list.nextUpdate?.getTime() ?? null,
    };
    const other = lists.get(issuer);
    // Of two by the same authority the newer one tells all.
    if (other === undefined || other.thisUpdateMs < read.thisUpdateMs) lists.set(issuer, read);
  }
  return lists;
}

function readList(pem: string, number: number): X509Crl {
  let list: X509Crl;
  try {
    list = new X509Crl(pem);
  } catch (error) {
    throw invalid(`list ${number} in it cannot be read (${reasonOf(error)})`);
  }
  // Such as a list of changes, or of some certificates only (RFC 5280 §5.2.4, §5.2.5).
  if (list.extensions.some(({ critical }) => critical))
    throw invalid(`list ${number} in it is not a whole one, and only whole ones are understood`);
  return list;
}

async function issuerOf(
  list: X509Crl,
  authorities: readonly X509Certificate[],
): Promise<X509Certificate | null> {
  for (const authority of authorities) {
    const certificate = new Certificate(authority.raw);
    if (certificate.subject !== list.issuer) continue;
    if (await list.verify({ publicKey: certificate }).catch(() => false)) return authority;
  }
  return null;
}

function invalid(problem: string): FlmError {
  return new FlmError('PROXY_INVALID_CONFIG', { meta: { reason: problem } });
}
