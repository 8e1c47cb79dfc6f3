/** What the owner sees of the way out, and tries of it. */
import type { Clock } from '../contract';
import { FlmError, reasonOf } from '../lib/errors';
import { parseIp } from '../lib/ip';
import { mapAtOnce } from '../lib/map-at-once';
import { EgressError } from './errors';
import type { Egress } from './index';
import type { EgressApi, EgressStatus, EgressTestReport } from './model';
import type { OnionStore } from './onion/store';
import type { EgressSettings } from './settings';
import type { LoginStore } from './store';
import { isLocalName } from './tunnel/places';
import type { SocksLogin } from './tunnel/server';
import type { Tunnel } from './tunnel/tunnel';

/** Something that is not on this machine and that FLM talks to. */
export interface TestTarget {
  readonly name: string;
  readonly url: string;
}

export interface EgressServiceOptions {
  readonly egress: Egress;
  readonly tunnel: Tunnel;
  readonly settings: () => EgressSettings;
  readonly store: LoginStore;
  readonly onionStore: OnionStore;
  /** The login in force, which the tunnel looks up here. */
  readonly login: { current: SocksLogin | null };
  readonly targets: () => Promise<readonly TestTarget[]>;
  readonly clock: Clock;
}

export interface EgressRoom extends EgressApi {
  /** As status, at once. */
  now(): EgressStatus;
}

/** At the same time: a list of engines that do not answer is not to take minutes. */
const AT_ONCE = 8;

export function createEgressApi(options: EgressServiceOptions): EgressRoom {
  const { egress, tunnel, settings, store, onionStore, login, clock } = options;

  function status(): EgressStatus {
    const { mode, endpoint, state, reason, sinceMs } = tunnel.view();
    const isDirect = mode === 'direct';
    return {
      mode,
      endpoint,
      state,
      reason,
      since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
      fail_open: !isDirect && settings()['egress.fail_open'],
      private_addresses: isDirect ? 'direct' : settings()['egress.private_addresses'],
      has_login: login.current !== null,
    };
  }

  async function tryTunnel(): Promise<EgressTestReport['tunnel']> {
    const { mode, endpoint } = tunnel.view();
    if (mode === 'direct') return null;
    try {
      const latencyMs = await tunnel.greet();
      return { endpoint, reached: true, latency_ms: Math.round(latencyMs), error: null };
    } catch (error) {
      return { endpoint, reached: false, latency_ms: null, error: reasonOf(error) };
    }
  }

  async function tryTarget({ name, url }: TestTarget): Promise<EgressTestReport['targets'][number]> {
    const hostname = URL.parse(url)?.hostname ?? '';
    const route = tunnel.wayTo(hostname);
    const isAddress = parseIp(hostname) !== null || isLocalName(hostname);
    const common = {
      name,
      url,
      route,
      dns: isAddress ? 'none' : route === 'tunnel' ? 'tunnel' : 'here',
    } as const;
    const startedMs = clock.monotonicMs();
    const timeoutMs = settings()['egress.connect_timeout_ms'];
    try {
      await egress.checkEngineUrl(url);
      const { status: answered, body } = await egress.send({
        url,
        method: 'GET',
        headers: { accept: '*/*' },
        body: null,
        signal: AbortSignal.timeout(timeoutMs),
        purpose: 'test',
      });
      body.reader().cancel();
      const latencyMs = Math.round(clock.monotonicMs() - startedMs);
      return { ...common, reached: true, status: answered, latency_ms: latencyMs, error: null };
    } catch (error) {
      return { ...common, reached: false, status: null, latency_ms: null, error: wordsOf(error, timeoutMs) };
    }
  }

  return {
    now: status,
    status: async () => status(),

    async test({ url }) {
      // Said at once, and not as what came of a try.
      if (url !== undefined && URL.parse(url) === null) throw invalid('url', 'it is not a URL');
      const targets = url === undefined ? await options.targets() : [{ name: url, url }];
      const [reached, tried] = await Promise.all([tryTunnel(), mapAtOnce(targets, AT_ONCE, tryTarget)]);
      const ok = (reached?.reached ?? true) && tried.every((target) => target.reached);
      return { ok, tunnel: reached, targets: tried };
    },

    async setLogin({ user, password, tor_control: isTorControl = false }) {
      for (const [field, text] of Object.entries({ user: user ?? '', password })) {
        if (Buffer.byteLength(text) > 255) throw invalid(field, 'it takes at most 255 bytes');
      }
      // A line break would end the command it is sent in.
      if (/[\r\n\0]/.test(password)) throw invalid('password', 'it holds a control character');
      if (isTorControl) {
        if (user !== undefined) throw invalid('user', "tor's control port knows no users");
        await onionStore.putPassword(password, clock.nowMs());
        return status();
      }
      if (user === undefined) throw invalid('user', 'the SOCKS server wants one');
      await store.put({ user, password }, clock.nowMs());
      login.current = { user, password };
      await tunnel.refresh();
      return status();
    },

    async removeLogin() {
      await store.remove();
      await onionStore.removePassword();
      login.current = null;
      await tunnel.refresh();
      return status();
    },
  };
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}

function wordsOf(error: unknown, timeoutMs: number): string {
  const timedOut = error instanceof DOMException && error.name === 'TimeoutError';
  if (timedOut) return `it did not answer within ${timeoutMs} ms`;
  if (error instanceof EgressError && error.kind === 'tunnel') return `the tunnel is down: ${error.message}`;
  return reasonOf(error);
}
