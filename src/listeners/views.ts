/** Proxies as the admin API tells them: those that run, and those that ought to. */
import { endpointsOf, thisMachine } from './endpoints';
import type { ProxyHandle, ProxyProfile, ProxyView } from './model';
import type { OnionDoor } from './onion';
import { addressOf, idOf } from './profile';

/** What is told of a proxy that runs. */
export interface Shown {
  readonly handle: ProxyHandle;
  readonly profile: ProxyProfile;
  readonly isWanted: boolean;
  readonly isStopping: boolean;
  readonly requests: number;
  readonly onion: Pick<OnionDoor, 'publication'> | null;
}

export function runningView(shown: Shown, egress: ProxyView['egress']): ProxyView {
  const { handle, profile, isWanted, isStopping, requests, onion } = shown;
  const clients = profile.onion?.clients.length ?? 0;
  return {
    ...descriptionOf(profile),
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
): ProxyView {
  const clients = profile.onion?.clients.length ?? 0;
  const isHidden = profile.onion !== undefined && profile.onion !== null;
  return {
    ...descriptionOf(profile),
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

function descriptionOf({
  mode,
  bind,
  port,
  trustedProxies,
  allowPlaintext,
  httpsPort: https,
  clientCertificates,
  proxyProtocol,
}: ProxyProfile): Pick<ProxyView, Described> {
  return {
    id: idOf(port),
    port,
    https_port: https ?? null,
    mode,
    listen_addr: addressOf(bind, port),
    endpoints:
      https === undefined ? endpointsOf(bind, port) : endpointsOf(bind, https, thisMachine(), 'https'),
    acme_domain: null,
    trusted_proxies: [...trustedProxies],
    proxy_protocol: proxyProtocol ?? false,
    client_certificates: clientCertificates?.demand ?? 'off',
    client_ca_file: clientCertificates?.caFile ?? null,
    client_crl_file: clientCertificates?.crlFile ?? null,
    allow_plaintext: allowPlaintext,
  };
}
