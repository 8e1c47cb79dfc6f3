/** What a TLS listener shows its clients, and where it gets it from: made by the certs room, handed over by app.ts. */

/** A certificate with all that a server needs to show it. The same object as long as nothing of it has changed. */
export interface TlsMaterial {
  /** SHA-256 of the certificate, 64 hexadecimal digits: safe to log. */
  readonly id: string;
  /** The server's certificate first, then those that lead to a root, without the root. */
  readonly certificatePem: string;
  /** PKCS#8. Secret. */
  readonly privateKeyPem: string;
  /** DNS names (`*.` in front: one label of any kind) and canonical addresses. */
  readonly names: readonly string[];
  readonly notAfterMs: number;
}

/** Where a listener gets its certificates. Each call takes microseconds and waits for nothing. */
export interface TlsContextSource {
  /**
   * The certificate for a client that asked for `serverName` (SNI; null: for none) at `address` of this machine. Never
   * throws; where no certificate fits, the one that fits best. Contexts can be kept by the object that comes back.
   */
  contextFor(serverName: string | null, address: string | null): TlsMaterial;
  /** Calls `listener` after certificates were exchanged, until the returned function is called. */
  onChange(listener: () => void): () => void;
}

/** The page that teaches people to trust this FLM, and the files that it offers. */
export interface TrustPage {
  /** The answer to a request for `/ca` or below it, whose path is `path`; null for any other. Never throws. */
  answer(request: Request, path: string): Response | null;
}

/** The certificate that a client has shown, verified: its holder has the key, and somebody vouches for it whom the owner named. */
export interface ClientCertificate {
  /** SHA-256 of the certificate, 64 hexadecimal digits: safe to log. */
  readonly fingerprint: string;
  /** The subject's distinguished name in one line, cut to 300 characters. */
  readonly subject: string;
  /** Subject alternative names as `DNS:…`, `URI:…`, `email:…`, at most twenty. */
  readonly names: readonly string[];
  readonly notAfterMs: number;
}

/** Whose certificates clients may show, as it is now. */
export interface ClientTrust {
  /** The authorities, PEM. Another text means that others count, and that no session of before may be resumed. */
  authoritiesPem(): string;
  /**
   * What is known of the certificate (DER) of a client whose handshake succeeded under one of the authorities.
   * @throws CLIENT_CERTIFICATE_REFUSED when it is revoked, or cannot be known not to be, or its time is not now
   */
  verify(certificate: Uint8Array): ClientCertificate;
  /** What speaks against one that `verify` gave out before; null: nothing. Takes microseconds. */
  objectionTo(certificate: ClientCertificate): string | null;
  /** Calls `listener` after something has changed, until the returned function is called. */
  onChange(listener: () => void): () => void;
  close(): void;
}
