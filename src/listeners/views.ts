/** Proxies as the admin API tells them: those that run, and those that ought to. */
import { certifiedOf, endpointsOf, thisMachine } from './endpoints';
import { isTls, type ProxyHandle, type ProxyProfile, type ProxyView, type TlsMode } from './model';
import type { OnionDoor } from './onion';
import { addressOf, idOf } from './profile';

/** Whether clients that come to `host` are shown a certificate that holds it. */
export type Certifies = (mode: TlsMode, host: string) => boolean;

/** What is told of a proxy that runs. */
export interface Shown {
  readonly handle: ProxyHandle;
  readonly profile: ProxyProfile;
  readonly isWanted: boolean;
  readonly isStopping: boolean;
  readonly requests: number;
  readonly onion: Pick<OnionDoor, 'publication'> | null;
}

export function runningView(shown: Shown, egress: ProxyView['egress'], certifies: Certifies): ProxyView {
  const { handle, profile, isWanted, isStopping, requests, onion } = shown;
  const clients = profile.onion?.clients.length ?? 0;
  return {
    ...descriptionOf(profile, certifies),
    onion: onion === null ? null : { ...onion.publication.view(), clients },
    egress,
    pid: handle.pid,
    status: isStopping ? 'stopping' : 'running',
    running: true,
    last_error: null,
    saved: isWanted,
    started_at: new Date(handle.startedAtMs).toISOString(),
    requests,
  };
}

/** `error`: why it could not be started; null: it was not tried. */
export function restingView(
  profile: ProxyProfile,
  error: string | null,
  egress: ProxyView['egress'],
  certifies: Certifies,
): ProxyView {
  const clients = profile.onion?.clients.length ?? 0;
  const isHidden = profile.onion !== undefined && profile.onion !== null;
  return {
    ...descriptionOf(profile, certifies),
    onion: isHidden ? { address: null, published: false, reason: 'the proxy does not run', clients } : null,
    egress,
    pid: null,
    status: error === null ? 'stopped' : 'failed',
    running: false,
    last_error: error,
    saved: true,
    started_at: null,
    requests: 0,
  };
}

type Described = Exclude<
  keyof ProxyView,
  'pid' | 'status' | 'running' | 'last_error' | 'saved' | 'started_at' | 'requests' | 'egress' | 'onion'
>;

function descriptionOf(profile: ProxyProfile, certifies: Certifies): Pick<ProxyView, Described> {
  const { mode, bind, port, trustedProxies, allowPlaintext, clientCertificates, proxyProtocol } = profile;
  const { httpsPort: https } = profile;
  const places =
    https === undefined || !isTls(mode)
      ? { endpoints: endpointsOf(bind, port), uncertified: [] }
      : certifiedOf(endpointsOf(bind, https, thisMachine(), 'https'), (host) => certifies(mode, host));
  return {
    id: idOf(port),
    port,
    https_port: https ?? null,
    mode,
    listen_addr: addressOf(bind, port),
    ...places,
    acme_domain: null,
    trusted_proxies: [...trustedProxies],
    proxy_protocol: proxyProtocol ?? false,
    client_certificates: clientCertificates?.demand ?? 'off',
    client_ca_file: clientCertificates?.caFile ?? null,
    client_crl_file: clientCertificates?.crlFile ?? null,
    allow_plaintext: allowPlaintext,
  };
}
