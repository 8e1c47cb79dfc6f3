/** What is known of certificates and of the private authorities that make them (FLM-032, FLM-088–095). */
import { type Static, Type } from '@sinclair/typebox';
import type { Clock, TlsContextSource, TrustPage } from '../src/contract';
import { nullable, oneOf } from '../src/lib/schema';

/** Modes whose certificates a private authority makes. `dev-selfsigned` has one of its own, for the owner to hand out. */
export const AUTHORITY_MODES = ['packaged-ca', 'dev-selfsigned'] as const;
export type AuthorityMode = (typeof AUTHORITY_MODES)[number];

/** Where a certificate comes from: a private authority, or `manual`, the owner. */
export const CERTIFICATE_MODES = [...AUTHORITY_MODES, 'manual'] as const;
export type CertificateMode = (typeof CERTIFICATE_MODES)[number];

const Time = Type.String({ format: 'date-time', examples: ['2026-11-23T10:00:00.000Z'] });
const Fingerprint = Type.String({
  description: 'SHA-256, in pairs with colons.',
  examples: [
    '0f:32:23:fe:95:fd:63:84:1c:5a:de:33:fc:d9:8e:3d:a7:65:70:b7:7d:19:de:a8:c7:aa:bb:cc:dd:ee:ff:00',
  ],
});

export const CertificateView = Type.Object(
  {
    id: Type.String({ description: 'The fingerprint without colons.' }),
    mode: oneOf(CERTIFICATE_MODES),
    domain: Type.String({ description: 'The first of its names.' }),
    names: Type.Array(Type.String()),
    fingerprint: Fingerprint,
    issuer: Type.String({ description: 'The common name of who vouches for it.' }),
    status: oneOf(['valid', 'expiring', 'expired'], {
      description: 'expiring: two weeks are left, or less.',
    }),
    not_before: Time,
    expires_at: Time,
    updated_at: Time,
  },
  { description: 'A certificate that servers show, without its key.' },
);
export type CertificateView = Static<typeof CertificateView>;

export const CertificateList = Type.Object(
  { items: Type.Array(CertificateView), next: Type.Null() },
  { description: 'All certificates, those that end first in front.' },
);
export type CertificateList = Static<typeof CertificateList>;

export const CertificateInput = Type.Object(
  {
    certificate_pem: Type.String({
      minLength: 1,
      maxLength: 200_000,
      description: 'The certificate and those between it and its root, in any order.',
    }),
    private_key_pem: Type.String({ minLength: 1, maxLength: 50_000, description: 'Its key, not encrypted.' }),
  },
  { additionalProperties: false },
);
export type CertificateInput = Static<typeof CertificateInput>;

export const RemovedCertificate = Type.Object(
  { id: Type.String(), removed: Type.Literal(true) },
  { description: 'It is not shown any more.' },
);
export type RemovedCertificate = Static<typeof RemovedCertificate>;

export const RootView = Type.Object(
  {
    mode: oneOf(AUTHORITY_MODES),
    status: oneOf(['current', 'ending', 'ended'], {
      description:
        'ending: another root has taken over, and clients that trust only this one are still served.',
    }),
    common_name: Type.String({ examples: ['FLM Local CA 4f3a2b1c'] }),
    fingerprint: Fingerprint,
    fingerprint_sha1: Type.String({
      description: 'How macOS and Windows list it, in upper case without colons.',
    }),
    created_at: Time,
    expires_at: Time,
    served_until: nullable(Time, {
      description: 'When clients that trust only this root are served no longer.',
    }),
    permitted_names: Type.Array(Type.String(), {
      description: 'What it may vouch for: names with all below them, and networks.',
    }),
    certificate_pem: Type.String(),
  },
  { description: 'A root of this installation, without its key.' },
);
export type RootView = Static<typeof RootView>;

export const CaStatus = Type.Object(
  {
    roots: Type.Array(RootView, { description: 'The newest first.' }),
    names: Type.Array(Type.String(), {
      description: 'Names and addresses of this machine that the root covers.',
    }),
    names_outside: Type.Array(Type.String(), {
      description: 'Those that it may not vouch for. A new root covers those of the setting certs.names.',
    }),
  },
  { description: 'The private authorities of this installation.' },
);
export type CaStatus = Static<typeof CaStatus>;

export const CaInput = Type.Object(
  { mode: Type.Optional(oneOf(AUTHORITY_MODES, { description: 'Default: packaged-ca.' })) },
  { additionalProperties: false },
);
export type CaInput = Static<typeof CaInput>;

export const RotateCaInput = Type.Object(
  {
    ...CaInput.properties,
    overlap_s: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 7_776_000,
        description:
          'How long clients that trust only the old root are served. Default: 30 days. 0: not at all.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type RotateCaInput = Static<typeof RotateCaInput>;

/** What the owner can do with certificates. */
export interface CertsApi {
  list(): Promise<CertificateList>;
  /** The same one again changes nothing. @throws CERTIFICATE_INVALID */
  import(input: CertificateInput): Promise<CertificateView>;
  /** @throws CERTIFICATE_NOT_FOUND, also for one that FLM has made itself */
  remove(id: string): Promise<RemovedCertificate>;
  status(): Promise<CaStatus>;
  /** The root of a mode, which is made where there is none. */
  createCa(input: CaInput): Promise<RootView>;
  /** @throws CA_NOT_FOUND; CA_ROTATING while the last rotation still has its overlap */
  rotateCa(input: RotateCaInput): Promise<RootView>;
}

/** The room as the rest of FLM has it: what the owner can do, and what listeners, checks and metrics are handed. */
export interface Certs extends CertsApi {
  /** The certificates of a mode, which are kept up to date from now on. Its root is made where there is none. */
  source(mode: AuthorityMode): Promise<TlsContextSource>;
  /** Whether clients that come to `host`, a DNS name or an address, are shown a certificate that holds it. At once. */
  certifies(mode: AuthorityMode, host: string): boolean;
  /** The page that teaches people to trust the root of a mode, once there is one. */
  trustPage(mode: AuthorityMode): TrustPage;
  /** For metrics and checks, at once. */
  expiries(): readonly Expiry[];
  /** What the owner ought to know, in words; empty when all is well. */
  findings(): readonly Finding[];
  /** Notices soon when names, addresses or clocks have changed. */
  look(): void;
  /** Looks at names, dates and the database again; does nothing while another process has the data directory. */
  check(): Promise<void>;
  /** Resolves when nothing is written any more. */
  close(): Promise<void>;
}

/** When something ends: a root (`root`), or a certificate that servers show. */
export interface Expiry {
  readonly kind: 'root' | CertificateMode;
  readonly id: string;
  readonly domain: string;
  readonly notAfterMs: number;
}

/** Something that the owner ought to know, with the command that mends it. */
export interface Finding {
  readonly level: 'warning' | 'error';
  readonly message: string;
}

/** What the parts of this room are handed. */
export interface CertsContext {
  readonly clock: Clock;
  /** Whether this process may write: another one may have taken the data directory over. */
  readonly isOwner: () => boolean;
}
