/**
 * The way out and the rest of FLM: what a proxy's options say of it, who is told when it changes. One FLM has one way out:
 * an option of a proxy sets it for all of them, and is refused where others would leave by another one unasked.
 */
import type { Audit } from '../audit';
import type { Config, SettingKey } from '../config';
import type { EngineRef } from '../contract';
import { type EgressSettings, endpointUrl, type Tunnel, unusable } from '../egress';
import { FlmError } from '../lib/errors';
import type { ProxyInput, ProxyView } from '../listeners';

export interface EgressChoiceOptions {
  readonly config: Config;
  readonly tunnel: Tunnel;
  readonly audit: Pick<Audit, 'record'>;
  /** Whether other proxies run, or are to. */
  readonly hasOthers: () => boolean;
}

/** Takes over what the options of a proxy say of the way out, for all proxies and from now on. */
export type ChooseEgress = (input: ProxyInput) => Promise<void>;

/** An engine comes back within this time after the tunnel, more or less. */
const RETRY_SECONDS = 5;

/** @throws INVALID_INPUT, EGRESS_SHARED, CONFIG_INVALID, PROXY_INVALID_CONFIG when the tunnel does not stand */
export function createEgressChoice({ config, tunnel, audit, hasOthers }: EgressChoiceOptions): ChooseEgress {
  return async (input) => {
    const changes = changesIn(input, config.current());
    if (changes.size === 0) return;
    const wanted: EgressSettings = { ...config.current(), ...Object.fromEntries(changes) };
    if (hasOthers())
      throw new FlmError('EGRESS_SHARED', { meta: { now: endpointUrl(config.current()) ?? 'direct' } });
    const why = wanted['egress.fail_open'] ? null : await tunnel.whyUnusable(wanted);
    if (why !== null) {
      const endpoint = endpointUrl(wanted);
      const details = { mode: wanted['egress.mode'], endpoint, reason: why, at: 'start' };
      await audit.record({ type: 'egress.tunnel_lost', severity: 'high', target: 'proxy.egress', details });
      throw unusable(endpoint ?? wanted['egress.mode'], why);
    }
    for (const [key, value] of changes) {
      const { effect } = await config.set(key, String(value));
      if (effect.startsWith('shadowed'))
        throw new FlmError('CONFIG_INVALID', {
          meta: { key, value: String(value), reason: 'an environment variable says otherwise' },
        });
    }
    await tunnel.refresh();
  };
}

/** What has to be set, the mode last: until then nothing leaves by half of it. */
function changesIn(input: ProxyInput, now: EgressSettings): Map<SettingKey, string | boolean> {
  const { egress_mode: mode, socks5_endpoint: endpoint, egress_fail_open: failOpen } = input;
  const wanted = new Map<SettingKey & keyof EgressSettings, string | boolean>();
  if (mode === undefined && endpoint === undefined && failOpen === undefined) return wanted;
  const after = mode ?? now['egress.mode'];
  if (after === 'direct') {
    if (endpoint !== undefined || failOpen === true)
      throw invalid(
        'egress_mode',
        'without a tunnel there is no endpoint and nothing to go around; say tor or socks5',
      );
    // FLM-106: the straight way forgets both.
    if (now['egress.mode'] !== 'direct') {
      wanted.set('egress.socks5_endpoint', '');
      wanted.set('egress.fail_open', false);
    }
  } else {
    if (endpoint !== undefined) wanted.set('egress.socks5_endpoint', endpoint);
    else if (mode === 'tor' && now['egress.mode'] === 'socks5') wanted.set('egress.socks5_endpoint', '');
    if (failOpen !== undefined) wanted.set('egress.fail_open', failOpen);
    // An endpoint is never made up for somebody else's server (FLM-106).
    if (after === 'socks5' && endpoint === undefined && now['egress.socks5_endpoint'] === '')
      throw invalid('socks5_endpoint', 'socks5 needs to know where the server is, as host:port');
  }
  wanted.set('egress.mode', after);
  return new Map([...wanted].filter(([key, value]) => now[key] !== value));
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}

/** The way out as each proxy shows it (FLM-020): that of the whole FLM, at this moment. */
export function egressOfProxies(settings: EgressSettings): ProxyView['egress'] {
  return {
    mode: settings['egress.mode'],
    fail_open: settings['egress.mode'] !== 'direct' && settings['egress.fail_open'],
    socks5_endpoint: endpointUrl(settings),
  };
}

/** Why an engine cannot be asked although it may well be there; null where the tunnel has nothing to do with it. */
export function whyBehindTunnel(tunnel: Tunnel, { id, baseUrl }: EngineRef): FlmError | null {
  const { state, reason } = tunnel.view();
  if (state !== 'down' || tunnel.wayTo(new URL(baseUrl).hostname) === 'direct') return null;
  return new FlmError('EGRESS_TUNNEL_DOWN', {
    meta: { engine: id, reason, retryAfterSeconds: RETRY_SECONDS },
    param: 'model',
  });
}
