/** Whose certificates count, and what speaks against one: pure, with nothing of files and times of looking. */
import type { X509Certificate } from 'node:crypto';
import { FlmError, reasonOf } from '../../src/lib/errors';
import { datesOf, pemBlocks, readCertificate } from '../certificate';

/** What one authority has taken back. */
export interface RevocationList {
  readonly serials: ReadonlySet<string>;
  readonly thisUpdateMs: number;
  /** From when on there is a newer one; null: it does not say. */
  readonly nextUpdateMs: number | null;
}

export interface Trust {
  readonly authoritiesPem: string;
  readonly authorities: readonly X509Certificate[];
  /** Null: certificates are not held against any. */
  readonly lists: ReadonlyMap<X509Certificate, RevocationList> | null;
}

const MAX_AUTHORITIES = 100;
const MAX_CHAIN = 10;

/** As openssl and FLM write serial numbers alike. */
export function serialOf(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}

/** @throws PROXY_INVALID_CONFIG */
export function readAuthorities(pem: string): readonly X509Certificate[] {
  const blocks = pemBlocks(pem).filter(({ label }) => /^(?:X509 |TRUSTED )?CERTIFICATE$/.test(label));
  if (blocks.length === 0) throw invalid('there is no certificate in it, in PEM');
  if (blocks.length > MAX_AUTHORITIES)
    throw invalid(`there are more than ${MAX_AUTHORITIES} certificates in it`);
  return blocks.map((block, index) => {
    let certificate: X509Certificate;
    try {
      certificate = readCertificate(block.pem);
    } catch (error) {
      throw invalid(`certificate ${index + 1} in it cannot be read (${reasonOf(error)})`);
    }
    if (!certificate.ca)
      throw invalid(`certificate ${index + 1} in it is not the certificate of an authority`);
    return certificate;
  });
}

/** A step on the way from a certificate to its root: what its issuer calls it, and who that is; null: not one of ours. */
export interface Link {
  readonly serial: string;
  readonly issuer: X509Certificate | null;
}

export function linksOf(certificate: X509Certificate, { authorities }: Trust): readonly Link[] {
  const links: Link[] = [];
  for (let current = certificate; links.length < MAX_CHAIN; ) {
    const subject = current;
    const issuer = authorities.find((authority) => isIssuedBy(subject, authority)) ?? null;
    if (issuer?.raw.equals(subject.raw) === true) break;
    links.push({ serial: serialOf(subject.serialNumber), issuer });
    if (issuer === null) break;
    current = issuer;
  }
  return links;
}

function isIssuedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

/** What speaks against a certificate whose handshake succeeded; null: nothing. */
export function objectionTo(
  certificate: X509Certificate,
  links: readonly Link[],
  { lists }: Trust,
  nowMs: number,
): string | null {
  const { notBeforeMs, notAfterMs } = datesOf(certificate);
  if (nowMs >= notAfterMs) return 'it has expired';
  if (nowMs < notBeforeMs) return 'it is not valid yet';
  if (lists === null) return null;
  for (const { serial, issuer } of links) {
    const list = issuer === null ? undefined : lists.get(issuer);
    // Whoever wants to know what is revoked lets nobody in of whom it cannot be known.
    if (list === undefined) return 'there is no revocation list of its authority';
    if (list.serials.has(serial)) return 'it is revoked';
    if (list.nextUpdateMs !== null && nowMs >= list.nextUpdateMs)
      return 'the revocation list of its authority is out of date';
  }
  return null;
}

function invalid(problem: string): FlmError {
  return new FlmError('PROXY_INVALID_CONFIG', { meta: { reason: problem } });
}
