/** Reads certificates: what they are called, how they are told apart, and their forms as text and as bytes. */
import { X509Certificate } from 'node:crypto';
import { parseName } from './names';

/** SHA-256 of a DER certificate, 64 hexadecimal digits. */
export function idOf(certificate: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(certificate).digest('hex');
}

/** The same as people compare it: pairs with colons, in lower case (FLM-091). */
export function fingerprintOf(id: string): string {
  return id.match(/../g)?.join(':') ?? id;
}

/** PEM of DER bytes (RFC 7468), with a line end. */
export function pemOf(label: 'CERTIFICATE' | 'PRIVATE KEY', der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Up to the next dashes and no further: a text of many beginnings costs no more than it is long. */
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----)[\s\S])*-----END \1-----/g;

/** The PEM blocks in a text, each with its label; what stands between them is of no account. */
export function pemBlocks(text: string): { readonly label: string; readonly pem: string }[] {
  return [...text.matchAll(BLOCK)].map(([pem, label = '']) => ({ label, pem: `${pem}\n` }));
}

/** DNS names and addresses of a certificate, in its order; others are of no use to a server. */
export function namesIn(certificate: X509Certificate): string[] {
  const entries = certificate.subjectAltName?.split(', ') ?? [];
  const names = entries.map((entry) => parseName(/^(?:DNS|IP Address):(.*)$/.exec(entry)?.[1] ?? ''));
  return [...new Set(names.filter((name) => name !== null))];
}

/** The common name of its subject; the whole subject, a part on each line, where there is none. */
export function commonNameOf(certificate: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? certificate.subject;
}

/** From when until when it is good, in milliseconds UTC. */
export function datesOf(certificate: X509Certificate): { notBeforeMs: number; notAfterMs: number } {
  return { notBeforeMs: Date.parse(certificate.validFrom), notAfterMs: Date.parse(certificate.validTo) };
}

/** @throws Error for bytes that are no certificate */
export function readCertificate(certificate: Uint8Array | string): X509Certificate {
  return new X509Certificate(certificate);
}
