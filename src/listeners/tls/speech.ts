/**
 * TLS as a front speaks it: the handshake with the certificate that fits the name asked for, and, where the proxy wants them,
 * the certificates of clients. One that is not good is told why, inside the encryption, and gets no further.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ClientCertificate, ClientTrust, TlsContextSource } from '../../contract';
import { FlmError } from '../../lib/errors';
import { parseIp } from '../../lib/ip';
import type { Speech } from '../front';
import { type ContextFor, createContexts, PROTOCOLS } from './contexts';

/** Whose certificates clients may show, and whether they have to. */
export interface ClientDemand {
  readonly trust: ClientTrust;
  readonly isRequired: boolean;
}

/** RFC 8446 §5.1: the content type of a handshake record, the first byte of every TLS client. */
const HANDSHAKE_RECORD = 22;
const TOO_PLAIN = 'This port speaks HTTPS: write https:// in front of the address.\n';

/** `demand`: null asks nobody for a certificate, so that no browser shows a choice of them. */
export function createTlsSpeech(source: TlsContextSource, demand: ClientDemand | null): Speech {
  const contextFor = createContexts(source, demand?.trust.authoritiesPem ?? null);
  return {
    isBegunBy: (first) => first[0] === HANDSHAKE_RECORD,
    otherwise: answerOf('400 Bad Request', 'text/plain; charset=utf-8', TOO_PLAIN),
    open(client, then) {
      const secure = encrypt(client, contextFor, demand !== null);
      secure.once('secure', () => {
        let certificate: ClientCertificate | null;
        try {
          certificate = demand === null ? null : certificateOf(secure, demand);
        } catch (error) {
          return refuse(secure, error);
        }
        then(secure, certificate);
      });
    },
    mayGoOn(certificate) {
      if (demand === null) return true;
      if (certificate === null) return !demand.isRequired;
      return demand.trust.objectionTo(certificate) === null;
    },
    onChange: (listener) => demand?.trust.onChange(listener) ?? (() => {}),
  };
}

function encrypt(client: Socket, contextFor: ContextFor, asksClients: boolean): TLSSocket {
  const address = parseIp(client.localAddress ?? '');
  const secure = new TLSSocket(client, {
    isServer: true,
    secureContext: contextFor(null, address),
    SNICallback: (serverName, done) => done(null, contextFor(serverName, address)),
    ALPNProtocols: PROTOCOLS,
    requestCert: asksClients,
    // Whoever is refused is told why.
    rejectUnauthorized: false,
  });
  // A handshake that fails has been answered with an alert by now.
  secure.on('error', () => client.destroy());
  return secure;
}

/**
 * What the client has shown, in this handshake or in the one whose session it resumes; null where it need not and has not.
 * @throws CLIENT_CERTIFICATE_REQUIRED, CLIENT_CERTIFICATE_REFUSED
 */
function certificateOf(secure: TLSSocket, { trust, isRequired }: ClientDemand): ClientCertificate | null {
  const shown = secure.getPeerX509Certificate();
  if (shown === undefined) {
    if (isRequired) throw new FlmError('CLIENT_CERTIFICATE_REQUIRED');
    return null;
  }
  if (!secure.authorized) throw refused(reasonFor(String(secure.authorizationError)));
  return trust.verify(shown.raw);
}

function refused(reason: string): FlmError {
  return new FlmError('CLIENT_CERTIFICATE_REFUSED', { meta: { reason } });
}

/** What the TLS library calls it, in words. */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  INVALID_PURPOSE: 'it is not meant for clients (extended key usage)',
};

function reasonFor(code: string): string {
  return REASONS[code] ?? 'none of the authorities that this FLM trusts vouches for it';
}

/** In the words of the API: the programs that get to see it are made for those. */
function refuse(secure: TLSSocket, thrown: unknown): void {
  const error = thrown instanceof FlmError ? thrown : refused('it cannot be verified');
  const { message, hint, code, type } = error;
  const told = hint === null ? message : `${message} ${hint}`;
  const body = JSON.stringify({ error: { message: told, type, param: null, code, request_id: null } });
  secure.end(answerOf(`${error.status} Forbidden`, 'application/json', body));
  // As in the clear: what it says has to be taken.
  secure.resume();
}

function answerOf(status: string, type: string, body: string): string {
  return [
    `HTTP/1.1 ${status}`,
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
