/**
 * Makes certificates (RFC 5280): roots that may vouch for local names only, the bridge from an old root to a new one, and the
 * leaves that servers show. ECDSA on P-256 throughout: every client knows it. Nothing is kept here.
 * Loaded by load.ts, and by nothing else.
 */
import { randomBytes } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  GeneralName as AsnGeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  id_ce_nameConstraints,
  NameConstraints,
} from '@peculiar/asn1-x509';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { parseIp } from '../../src/lib/ip';
import type { Permitted } from '../names';

/** A certificate and the key it speaks of, both DER; the key as PKCS#8. */
export interface KeyedCertificate {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
}

/** Milliseconds UTC; certificates keep whole seconds. `notAfterMs` is the last moment that counts. */
export interface Lifetime {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What a root is called, how long it is good, and what it is limited to. */
export interface RootOptions extends Lifetime {
  /** The common name. Roots of one machine have different ones, so that no client takes one for the other. */
  readonly commonName: string;
  readonly permitted: Permitted;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
const SERVER_NAME = 'FLM Proxy Server';

/**
 * A root that signs itself. It may stand above one more authority, which is what the bridge to its successor is, and its
 * leaves are good for servers only: neither mail nor code can be signed with what it vouches for.
 */
export async function makeRoot({
  commonName,
  permitted,
  ...lifetime
}: RootOptions): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...datesOf(lifetime),
    serialNumber: serial(),
    name: subject(commonName),
    keys,
    signingAlgorithm: SIGNING,
    extensions: await authorityExtensions(keys.publicKey, keys.publicKey, permitted, 1),
  });
  return { certificate: Buffer.from(certificate.rawData), privateKey: await exportKey(keys.privateKey) };
}

/**
 * The successor's name and key, vouched for by the root before it: whoever trusts only the old root comes to the new one
 * over it (RFC 4210 §4.4 calls it "new with old"). Limited to what both may vouch for, since `permitted` is the successor's
 * and the old root's own limits hold besides. DER.
 */
export async function makeBridge(
  successor: Buffer,
  old: KeyedCertificate,
  permitted: Permitted,
  lifetime: Lifetime,
): Promise<Buffer> {
  const [to, from] = [read(successor), read(old.certificate)];
  const [toKey, fromKey] = await Promise.all([to.publicKey.export(), from.publicKey.export()]);
  const certificate = await X509CertificateGenerator.create({
    ...datesOf(lifetime),
    serialNumber: serial(),
    subject: to.subject,
    issuer: from.subject,
    publicKey: toKey,
    signingKey: await importKey(old.privateKey),
    signingAlgorithm: SIGNING,
    extensions: await authorityExtensions(toKey, fromKey, permitted, 0),
  });
  return Buffer.from(certificate.rawData);
}

/** A server's certificate for `names`, each a DNS name or an address. */
export async function makeLeaf(
  root: KeyedCertificate,
  names: readonly string[],
  lifetime: Lifetime,
): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const issuer = read(root.certificate);
  const certificate = await X509CertificateGenerator.create({
    ...datesOf(lifetime),
    serialNumber: serial(),
    subject: subject(SERVER_NAME),
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await importKey(root.privateKey),
    signingAlgorithm: SIGNING,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      // Keys on curves sign and encipher nothing (RFC 5480 §3).
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((value) => ({ type: parseIp(value) === null ? 'dns' : 'ip', value }) as const),
      ),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()),
    ],
  });
  return { certificate: Buffer.from(certificate.rawData), privateKey: await exportKey(keys.privateKey) };
}

async function authorityExtensions(
  own: CryptoKey,
  issuer: CryptoKey,
  permitted: Permitted,
  pathLength: number,
): Promise<Extension[]> {
  return [
    new BasicConstraintsExtension(true, pathLength, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    await SubjectKeyIdentifierExtension.create(own),
    await AuthorityKeyIdentifierExtension.create(issuer),
    nameConstraints(permitted),
  ];
}

/** RFC 5280 §4.2.1.10. Critical: a client that does not understand it must not trust such a root. */
function nameConstraints({ dns, networks }: Permitted): Extension {
  const subtrees = [
    // Without a dot in front: that is one program's way of leaving out the name itself.
    ...dns.map((name) => new AsnGeneralName({ dNSName: name })),
    ...networks.map((network) => new AsnGeneralName({ iPAddress: network })),
  ].map((base) => new GeneralSubtree({ base }));
  const value = new NameConstraints({ permittedSubtrees: new GeneralSubtrees(subtrees) });
  return new Extension(id_ce_nameConstraints, true, AsnConvert.serialize(value));
}

/** The library wants bytes of their own. */
function read(certificate: Buffer): X509Certificate {
  return new X509Certificate(Uint8Array.from(certificate));
}

function subject(commonName: string): string {
  return `C=US, O=FLM, CN=${commonName}`;
}

/** 127 random bits: never zero, never negative (RFC 5280 §4.1.2.2). */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function datesOf({ notBeforeMs, notAfterMs }: Lifetime): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(notBeforeMs), notAfter: new Date(notAfterMs) };
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey(key: CryptoKey): Promise<Buffer> {
  return Buffer.from(await crypto.subtle.exportKey('pkcs8', key));
}

function importKey(pkcs8: Buffer): Promise<CryptoKey> {
  return crypto.subtle.importKey('pkcs8', Uint8Array.from(pkcs8), ALGORITHM, false, ['sign']);
}
