/** The settings of the configuration that this room looks at. */

export interface EgressSettings {
  readonly 'egress.mode': EgressMode;
  readonly 'egress.socks5_endpoint': string;
  readonly 'egress.fail_open': boolean;
  readonly 'egress.private_addresses': 'tunnel' | 'direct';
  readonly 'egress.connect_timeout_ms': number;
}

export const MODES = ['direct', 'tor', 'socks5'] as const;
export type EgressMode = (typeof MODES)[number];

/** Where tor listens unless somebody says otherwise. */
const TOR_ENDPOINT = '127.0.0.1:9050';

/** The server's `host:port`; null: there is no tunnel, or nobody has said where it begins. */
export function endpointOf(
  settings: Pick<EgressSettings, 'egress.mode' | 'egress.socks5_endpoint'>,
): string | null {
  if (settings['egress.mode'] === 'direct') return null;
  if (settings['egress.socks5_endpoint'] !== '') return settings['egress.socks5_endpoint'];
  return settings['egress.mode'] === 'tor' ? TOR_ENDPOINT : null;
}

/** As people are shown it: `tor://127.0.0.1:9050` (FLM-020). */
export function endpointUrl(
  settings: Pick<EgressSettings, 'egress.mode' | 'egress.socks5_endpoint'>,
): string | null {
  const endpoint = endpointOf(settings);
  return endpoint === null ? null : `${settings['egress.mode']}://${endpoint}`;
}
