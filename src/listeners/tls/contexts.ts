/** What TLS clients are shown: FLM's protocol versions and ciphers with the certificate that fits the name they ask for. */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { TlsContextSource, TlsMaterial } from '../../contract';

/** Forward secrecy and authenticated encryption only (RFC 9325 §4.2). TLS 1.3 has no others and is not listed here. */
const CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

export const PROTOCOLS = ['http/1.1'];

/** The context for a client that asked for `serverName` (null: for none) at `address` of this machine. */
export type ContextFor = (serverName: string | null, address: string | null) => SecureContext;

/**
 * Contexts cost a millisecond, so each certificate has one for as long as it is shown. Each has keys of its own for the
 * sessions that clients resume: with other authorities, none that began under those of before.
 */
export function createContexts(source: TlsContextSource, authoritiesPem: (() => string) | null): ContextFor {
  let kept = new WeakMap<TlsMaterial, SecureContext>();
  let authorities = '';
  return (serverName, address) => {
    const ca = authoritiesPem?.() ?? '';
    if (ca !== authorities) {
      authorities = ca;
      kept = new WeakMap();
    }
    const material = source.contextFor(serverName, address);
    const known = kept.get(material);
    if (known !== undefined) return known;
    const context = createSecureContext({
      cert: material.certificatePem,
      key: material.privateKeyPem,
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      ...(ca === '' ? {} : { ca }),
    });
    kept.set(material, context);
    return context;
  };
}
