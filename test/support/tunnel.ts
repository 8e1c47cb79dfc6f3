/** A way out through a tunnel for tests, with everything it says on the way. */
import type { AuditEvent } from '../../src/contract';
import { createEgress, createTunnel, type Egress, type EgressSettings, type Tunnel } from '../../src/egress';
import type { EventOf } from '../../src/lib/bus';
import { createBus } from '../../src/lib/bus';
import { systemClock } from '../../src/lib/clock';

export interface TunnelFixture extends Disposable {
  readonly egress: Egress;
  readonly tunnel: Tunnel;
  settings: EgressSettings;
  login: { readonly user: string; readonly password: string } | null;
  readonly events: EventOf<'egress.changed'>[];
  readonly audit: AuditEvent[];
  /** Names that were looked up here. */
  readonly lookedUp: string[];
  /** Resolves when something of this type has been put on record, from now on. */
  recorded(type: AuditEvent['type']): Promise<AuditEvent>;
}

export const DIRECT: EgressSettings = {
  'egress.mode': 'direct',
  'egress.socks5_endpoint': '',
  'egress.fail_open': false,
  'egress.private_addresses': 'tunnel',
  'egress.connect_timeout_ms': 5_000,
};

/** Looks at the tunnel often, so that no test waits for it. */
const WATCH = { upMs: 40, downMs: 20 };

export function tunnelFixture(
  settings: Partial<EgressSettings>,
  names: Readonly<Record<string, string>> = {},
): TunnelFixture {
  const audit: AuditEvent[] = [];
  const events: EventOf<'egress.changed'>[] = [];
  const lookedUp: string[] = [];
  let waiting: { readonly type: string; readonly resolve: (event: AuditEvent) => void }[] = [];
  const bus = createBus();
  bus.subscribe('egress.changed', (event) => void events.push(event));
  const silent = () => {};
  const held: Pick<TunnelFixture, 'settings' | 'login'> = {
    settings: { ...DIRECT, ...settings },
    login: null,
  };
  const tunnel = createTunnel({
    settings: () => held.settings,
    login: () => held.login,
    clock: systemClock,
    bus,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    watch: WATCH,
    async record(event) {
      audit.push(event);
      for (const { type, resolve } of waiting) if (type === event.type) resolve(event);
      waiting = waiting.filter(({ type }) => type !== event.type);
    },
  });
  const egress = createEgress({
    clock: systemClock,
    tunnel,
    async resolve(host) {
      lookedUp.push(host);
      const address = names[host];
      if (address === undefined) throw new Error('ENOTFOUND');
      return [address];
    },
  });
  return {
    egress,
    tunnel,
    get settings() {
      return held.settings;
    },
    set settings(next) {
      held.settings = next;
    },
    get login() {
      return held.login;
    },
    set login(next) {
      held.login = next;
    },
    events,
    audit,
    lookedUp,
    recorded: (type) => new Promise((resolve) => waiting.push({ type, resolve })),
    [Symbol.dispose]() {
      egress.close();
      bus.close();
    },
  };
}
