/** The options of a start that say how requests leave this machine (FLM-017). */
import { type ConfigSnapshot, parseSetting } from '../../src/config';
import { FlmError } from '../../src/lib/errors';
import type { ProxyInput } from '../../src/listeners';

export const EGRESS_ARGS = {
  'egress-mode': {
    type: 'string',
    valueHint: 'direct|tor|socks5',
    description: 'How requests leave this machine, for all proxies. Default: egress.mode (direct).',
  },
  'socks5-endpoint': {
    type: 'string',
    valueHint: 'HOST:PORT',
    description: 'Where the SOCKS5 server listens. Default: egress.socks5_endpoint, for tor 127.0.0.1:9050.',
  },
  'egress-fail-open': {
    type: 'boolean',
    description: 'Go straight out while the tunnel is down. Without it, nothing leaves then.',
  },
} as const;

interface EgressFlags {
  readonly 'egress-mode'?: string | undefined;
  readonly 'socks5-endpoint'?: string | undefined;
  readonly 'egress-fail-open'?: boolean | undefined;
}

/** As settings. @throws CONFIG_INVALID, INVALID_INPUT for words that do not go together */
export function egressSettings(flags: EgressFlags): Partial<ConfigSnapshot> {
  const { 'egress-mode': mode, 'socks5-endpoint': endpoint, 'egress-fail-open': failOpen } = flags;
  if (mode === 'direct' && (endpoint !== undefined || failOpen === true))
    throw new FlmError('INVALID_INPUT', {
      meta: { field: '--egress-mode', reason: 'direct has no endpoint and nothing to go around' },
    });
  return {
    ...(mode === undefined ? {} : { 'egress.mode': parseSetting('egress.mode', mode) }),
    ...(endpoint === undefined
      ? {}
      : { 'egress.socks5_endpoint': parseSetting('egress.socks5_endpoint', endpoint) }),
    ...(failOpen === true ? { 'egress.fail_open': true } : {}),
  };
}

/** For a proxy in the background. @throws as egressSettings */
export function egressInput(
  flags: EgressFlags,
): Pick<ProxyInput, 'egress_mode' | 'socks5_endpoint' | 'egress_fail_open'> {
  const settings = egressSettings(flags);
  const mode = settings['egress.mode'];
  const endpoint = settings['egress.socks5_endpoint'];
  return {
    ...(mode === undefined ? {} : { egress_mode: mode }),
    ...(endpoint === undefined ? {} : { socks5_endpoint: endpoint }),
    ...(settings['egress.fail_open'] === true ? { egress_fail_open: true } : {}),
  };
}
