/** How a proxy is to run, from what its owner says and leaves out; and what follows from that by itself. */
import { isAbsolute } from 'node:path';
import type { ConfigSnapshot } from '../config';
import { FlmError, reasonOf } from '../lib/errors';
import { parseIp } from '../lib/ip';
import { checkNetworks } from '../lib/networks';
import {
  type ClientCertificates,
  isTls,
  MODES,
  modeNamed,
  type ProxyHandle,
  type ProxyInput,
  type ProxyProfile,
} from './model';

/** @throws PROXY_INVALID_CONFIG */
export function profileFrom(input: ProxyInput, settings: ConfigSnapshot): ProxyProfile {
  const { mode = 'local-http', trusted_proxies: trustedProxies = [] } = input;
  const known = modeNamed(mode);
  if (known === null)
    throw invalid(`there is no mode "${mode}" in this version; there is ${MODES.join(', ')}`);
  const place = input.bind ?? settings['proxy.bind'];
  const bind = parseIp(place === 'localhost' ? '127.0.0.1' : place);
  if (bind === null) throw invalid(`"${place}" is no IP address`);
  try {
    checkNetworks(trustedProxies);
  } catch (error) {
    throw invalid(`a trusted proxy is not usable: ${reasonOf(error)}`);
  }
  const port = input.port ?? settings['proxy.port'];
  const clientCertificates = clientCertificatesOf(input);
  const profile: ProxyProfile = {
    mode: known,
    bind,
    port,
    trustedProxies,
    allowPlaintext: input.allow_plaintext ?? false,
    ...onionOf(input, known),
    ...(input.allow_no_key === true ? { allowNoKey: true } : {}),
    ...(clientCertificates === null ? {} : { clientCertificates }),
    ...(input.proxy_protocol === true ? { proxyProtocol: true } : {}),
  };
  checkProfile(profile, settings);
  const https = httpsPortFor(profile, input.https_port ?? null);
  return https === null ? profile : { ...profile, httpsPort: https };
}

/** What cannot be, also for a profile that was saved before settings changed. @throws PROXY_INVALID_CONFIG */
export function checkProfile(
  { mode, clientCertificates, proxyProtocol, trustedProxies }: ProxyProfile,
  settings: Pick<ConfigSnapshot, 'proxy.trusted_proxies'>,
): void {
  if (clientCertificates && !isTls(mode))
    throw invalid(`clients show certificates by HTTPS, and ${mode} has none; use --mode packaged-ca`);
  if (proxyProtocol && trustedProxies.length + settings['proxy.trusted_proxies'].length === 0)
    throw invalid(
      'the PROXY protocol is believed from trusted proxies alone; name them with --trusted-proxy',
    );
}

function onionOf(
  { onion, onion_clients: clients = [] }: ProxyInput,
  mode: ProxyProfile['mode'],
): Pick<ProxyProfile, 'onion'> {
  if (clients.length > 0 && onion !== true)
    throw invalid('only an onion service has clients; say --onion, too');
  if (onion === true && isTls(mode)) throw invalid('an onion service leads to a proxy of mode local-http');
  return onion === true ? { onion: { clients } } : {};
}

function clientCertificatesOf(input: ProxyInput): ClientCertificates | null {
  const { client_ca_file: caFile, client_crl_file: crlFile = null } = input;
  const { client_certificates: demand = caFile === undefined ? 'off' : 'required' } = input;
  if (demand === 'off') {
    if (caFile === undefined && crlFile === null) return null;
    throw invalid('nobody is asked for the certificates of those files; say --client-certificates required');
  }
  if (caFile === undefined) throw invalid('who vouches for clients? Name the file with --client-ca');
  for (const path of [caFile, crlFile])
    if (path !== null && !isAbsolute(path)) throw invalid(`"${path}" is no absolute path`);
  return { demand, caFile, crlFile };
}

/** @throws PROXY_INVALID_CONFIG */
export function httpsPortFor(
  { mode, port }: Pick<ProxyProfile, 'mode' | 'port'>,
  wanted: number | null,
): number | null {
  if (!isTls(mode)) {
    if (wanted === null) return null;
    throw invalid(`an HTTPS port goes with a mode that has HTTPS, and ${mode} has none`);
  }
  const httpsPort = wanted ?? port + 1;
  if (httpsPort > 65_535)
    throw invalid('there is no port after 65535 for HTTPS; choose one with --https-port');
  if (httpsPort === port) throw invalid(`port ${port} cannot speak HTTP and HTTPS at once`);
  return httpsPort;
}

export function portsOf({ port, httpsPort }: ProxyHandle): number[] {
  return httpsPort === null ? [port] : [port, httpsPort];
}

export function idOf(port: number): string {
  return `proxy-${port}`;
}

export function addressOf(bind: string, port: number): string {
  return bind.includes(':') ? `[${bind}]:${port}` : `${bind}:${port}`;
}

function invalid(reason: string): FlmError {
  return new FlmError('PROXY_INVALID_CONFIG', { meta: { reason } });
}
