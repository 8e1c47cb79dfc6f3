/** Reads a certificate that the owner brings, and holds it against its key, its chain, the clock and what clients accept. */
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { FlmError, reasonOf } from '../../src/lib/errors';
import { datesOf, idOf, namesIn, pemBlocks, pemOf, readCertificate } from '../certificate';
import type { CertificateInput } from '../model';
import type { StoredCertificate } from '../store';

type Read = Omit<StoredCertificate, 'mode' | 'authorityId' | 'createdAtMs' | 'expiryToldAtMs'>;

const MIN_RSA_BITS = 2_048;
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const ANY_USAGE = '2.5.29.37.0';
const MAX_CHAIN = 10;

/** @throws CERTIFICATE_INVALID naming the first thing that clients would stumble over */
export function readManual(
  { certificate_pem: pem, private_key_pem: keyPem }: CertificateInput,
  nowMs: number,
): Read {
  const certificates = certificatesIn(pem);
  const key = keyIn(keyPem);
  const server = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (server === undefined) throw invalid('the key belongs to none of the certificates in it');
  checkServer(server, nowMs);
  checkKey(key);
  const names = namesIn(server);
  if (names.length === 0)
    throw invalid('it names no host in its subject alternative names, which is where clients look');
  const chain = chainFrom(server, certificates, nowMs);
  return {
    id: idOf(server.raw),
    chainPem: chain.map(({ raw }) => pemOf('CERTIFICATE', raw)).join(''),
    privateKey: key.export({ type: 'pkcs8', format: 'der' }),
    names,
    ...datesOf(server),
  };
}

function certificatesIn(pem: string): readonly X509Certificate[] {
  const blocks = pemBlocks(pem).filter(({ label }) => /^(?:X509 |TRUSTED )?CERTIFICATE$/.test(label));
  if (blocks.length === 0) throw invalid('there is no certificate in it, in PEM');
  if (blocks.length > MAX_CHAIN) throw invalid(`there are more than ${MAX_CHAIN} certificates in it`);
  return blocks.map((block, index) => {
    try {
      return readCertificate(block.pem);
    } catch (error) {
      throw invalid(`certificate ${index + 1} in it cannot be read (${reasonOf(error)})`);
    }
  });
}

function keyIn(pem: string): KeyObject {
  const [block] = pemBlocks(pem).filter(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block === undefined) throw invalid('there is no private key in the file of the key, in PEM');
  if (block.label.startsWith('ENCRYPTED') || block.pem.includes('ENCRYPTED'))
    throw invalid('its key is encrypted', 'Take the encryption off: openssl pkey -in key.pem -out plain.pem');
  try {
    return createPrivateKey(block.pem);
  } catch {
    // What the parser says may hold parts of the key.
    throw invalid('its key cannot be read');
  }
}

function checkServer(server: X509Certificate, nowMs: number): void {
  const { notBeforeMs, notAfterMs } = datesOf(server);
  if (server.ca) throw invalid('it is the certificate of an authority, not of a server');
  if (nowMs >= notAfterMs) throw invalid(`it has expired on ${dayOf(notAfterMs)}`);
  if (nowMs < notBeforeMs) throw invalid(`it is good only from ${dayOf(notBeforeMs)} on`);
  const usages = server.keyUsage;
  if (usages !== undefined && !usages.includes(SERVER_AUTH) && !usages.includes(ANY_USAGE))
    throw invalid('it is not meant for servers (extended key usage)');
  // RFC 5280 §4.1.2.2. Go and others refuse to read such a certificate.
  if (server.serialNumber.startsWith('-')) throw invalid('its serial number is negative');
  checkSignature(server, 'it');
}

/** `ecdsa-with-SHA1`, `sha1WithRSAEncryption`, `md5WithRSAEncryption`, as openssl calls them. */
function checkSignature({ signatureAlgorithm: algorithm = '' }: X509Certificate, what: string): void {
  if (/md[245]|sha-?1(?!\d)/i.test(algorithm))
    throw invalid(`${what} is signed with ${algorithm}, which clients no longer accept`);
}

/** What clients ask of those between a server and its root; of the root itself only that it has not ended. */
function checkAuthority(authority: X509Certificate, nowMs: number): void {
  const what = `"${authority.subject.replaceAll('\n', ', ')}" in its chain`;
  const { notBeforeMs, notAfterMs } = datesOf(authority);
  if (nowMs >= notAfterMs) throw invalid(`${what} has expired`);
  if (nowMs < notBeforeMs) throw invalid(`${what} is good only from ${dayOf(notBeforeMs)} on`);
  if (isIssuedBy(authority, authority)) return;
  if (!authority.ca) throw invalid(`${what} is no authority`);
  checkSignature(authority, what);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = authority.publicKey;
  if (type === 'rsa' && (details?.modulusLength ?? 0) < MIN_RSA_BITS)
    throw invalid(
      `the key of ${what} has ${details?.modulusLength} bits; clients want ${MIN_RSA_BITS} or more`,
    );
}

function checkKey(key: KeyObject): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    if (bits < MIN_RSA_BITS) throw invalid(`its key has ${bits} bits; clients want ${MIN_RSA_BITS} or more`);
    return;
  }
  if (type === 'ec' && CURVES.has(details?.namedCurve ?? '')) return;
  throw invalid(
    `browsers do not take its kind of key (${details?.namedCurve ?? type ?? 'unknown'})`,
    'Take RSA with 2048 bits or more, or ECDSA on P-256.',
  );
}

/** From the server's certificate towards the root, in order. The root itself is left out: clients have their own. */
function chainFrom(
  server: X509Certificate,
  certificates: readonly X509Certificate[],
  nowMs: number,
): X509Certificate[] {
  const chain = [server];
  const rest = certificates.filter((certificate) => certificate.fingerprint256 !== server.fingerprint256);
  for (let last = server; ; ) {
    const index = rest.findIndex((candidate) => isIssuedBy(last, candidate));
    const [next] = index === -1 ? [] : rest.splice(index, 1);
    if (next === undefined) break;
    checkAuthority(next, nowMs);
    if (!isIssuedBy(next, next)) chain.push(next);
    last = next;
  }
  const [foreign] = rest;
  if (foreign !== undefined)
    throw invalid(`"${foreign.subject.replaceAll('\n', ', ')}" in it does not belong to its chain`);
  return chain;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function invalid(reason: string, hint?: string): FlmError {
  return new FlmError('CERTIFICATE_INVALID', { meta: { reason }, ...(hint === undefined ? {} : { hint }) });
}
