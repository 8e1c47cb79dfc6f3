/**
 * The tunnel that everything leaves through, where the owner wants one: who may go around it, whether it stands, and what
 * becomes of requests while it does not. Lost, it lets nothing out, unless the owner has said that requests may then go
 * straight out (FLM-103 to FLM-106).
 */
import type { AuditEvent, Clock } from '../../contract';
import type { Bus } from '../../lib/bus';
import { FlmError } from '../../lib/errors';
import type { Log } from '../../lib/log';
import { EgressError } from '../errors';
import { createHttp1Client, type Destination, type Http1Client } from '../http1/client';
import { type EgressMode, type EgressSettings, endpointOf, endpointUrl } from '../settings';
import type { EgressRequest, EgressResponse } from '../transport';
import { greet } from './greet';
import { placeOfHost } from './places';
import { parseEndpoint, type SocksLogin, type SocksServer } from './server';
import { dialThrough } from './socks';

/**
 * `direct`: there is no tunnel; `starting`: nobody has looked yet; `up`; `down`: nothing leaves; `bypassed`: it is down, and
 * requests go straight out because the owner said so.
 */
export type TunnelState = 'direct' | 'starting' | 'up' | 'down' | 'bypassed';

export interface TunnelView {
  readonly mode: EgressMode;
  /** `tor://127.0.0.1:9050`; null without a tunnel, or while nobody has said where it begins. */
  readonly endpoint: string | null;
  readonly state: TunnelState;
  /** Why it is down. */
  readonly reason: string | null;
  /** Wall time since when it is so; null where nobody has looked yet. */
  readonly sinceMs: number | null;
  /** How often it was lost since FLM started. */
  readonly losses: number;
}

/** The way of one request. */
export type Way = 'direct' | 'tunnel';

export interface Tunnel {
  /** The way to a host, as things are. */
  wayTo(hostname: string): Way;
  /** Whether there is none. */
  isOff(): boolean;
  /** Whether requests go around the tunnel because it is down. */
  isBypassed(): boolean;
  /** Whether names are looked up on this machine: there is no tunnel, or requests go around it. */
  looksUpHere(): boolean;
  /** Sends through the tunnel. @throws EgressError, of kind tunnel when the tunnel is down; the signal's reason */
  send(request: EgressRequest): Promise<EgressResponse>;
  view(): TunnelView;
  /** How long it takes to be greeted by the server, in milliseconds. @throws EgressError of kind tunnel */
  greet(): Promise<number>;
  /**
   * Why a tunnel with these settings cannot be used, after a few attempts; null when it can, or when there is none.
   */
  whyUnusable(settings: EgressSettings): Promise<string | null>;
  /**
   * Looks whether it stands, and from then on watches it.
   * @throws PROXY_INVALID_CONFIG when it does not stand, unless requests may go around it or `isPatient`: it may come.
   */
  start(isPatient: boolean): Promise<void>;
  /** Settings or credentials may be others: new connections go the new way. */
  refresh(): Promise<void>;
  close(): void;
}

export interface TunnelOptions {
  readonly settings: () => EgressSettings;
  /** What the server of socks5 is told when it asks who is there. */
  readonly login: () => SocksLogin | null;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  /** Puts on record that it was lost, that it is back, and that it was gone around. */
  readonly record: (event: AuditEvent) => Promise<void>;
  /** How often it is looked at while it stands, and while it does not. */
  readonly watch?: { readonly upMs: number; readonly downMs: number };
}

/** FLM-104: three attempts of three seconds, 200 ms apart; together not longer than a start may take. */
const ATTEMPTS = 3;
const ATTEMPT_MS = 3_000;
const PAUSE_MS = 200;
const START_MS = 8_000;
const WATCH = { upMs: 5_000, downMs: 1_000 };
/** A way through a tunnel takes long to build: an idle connection is kept longer than one to an engine next door. */
const IDLE_MS = 30_000;

/** One server with one login, and the connections through it. */
interface Line {
  readonly key: string;
  readonly mode: EgressMode;
  readonly endpoint: string | null;
  readonly server: SocksServer | null;
  readonly client: Http1Client | null;
}

const TARGET = 'proxy.egress';

export function createTunnel(options: TunnelOptions): Tunnel {
  const { settings, clock, bus, log, watch = WATCH } = options;
  /** Ways of this process are never those of the one before. */
  const nonce = crypto.randomUUID();
  /** What the line was made of; a snapshot of the settings is another one as soon as anything changes. */
  let seen = { settings: settings(), login: options.login() };
  let line = openLine(keyOf(seen.settings), seen.settings);
  let standing: 'unknown' | 'up' | 'down' = 'unknown';
  let reason: string | null = null;
  let sinceMs: number | null = null;
  let losses = 0;
  let isWatching = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let looking: Promise<void> | null = null;

  /** What makes it another line when it changes. */
  function keyOf(now: EgressSettings): string {
    return JSON.stringify([
      endpointUrl(now),
      now['egress.mode'],
      now['egress.connect_timeout_ms'],
      options.login(),
    ]);
  }

  function openLine(key: string, now: EgressSettings): Line {
    const server = serverOf(now);
    const client = server === null ? null : clientThrough(server, now);
    return { key, mode: now['egress.mode'], endpoint: endpointUrl(now), server, client };
  }

  function serverOf(now: EgressSettings): SocksServer | null {
    const endpoint = parseEndpoint(endpointOf(now) ?? '');
    if (endpoint === null) return null;
    // Tor asks nobody who they are: its names and passwords tell circuits apart.
    return { ...endpoint, login: now['egress.mode'] === 'socks5' ? options.login() : null };
  }

  function clientThrough(server: SocksServer, now: EgressSettings): Http1Client {
    const connectTimeoutMs = now['egress.connect_timeout_ms'];
    return createHttp1Client(clock.monotonicMs, { idleMs: IDLE_MS, connectTimeoutMs }, (destination) => {
      const login = now['egress.mode'] === 'tor' ? circuitOf(destination) : server.login;
      return dialThrough({ ...server, login }, destination, connectTimeoutMs);
    });
  }

  /** Tor builds a circuit of its own for each name and password (IsolateSOCKSAuth): one per purpose and destination. */
  function circuitOf({ purpose, hostname, port }: Destination): SocksLogin {
    const password = new Bun.CryptoHasher('sha256')
      .update(`${nonce} ${purpose} ${hostname}:${port}`)
      .digest('hex');
    return { user: 'flm', password };
  }

  function view(): TunnelView {
    const { mode, endpoint } = current();
    return {
      mode,
      endpoint,
      state: stateNow(),
      reason: standing === 'down' ? reason : null,
      sinceMs,
      losses,
    };
  }

  function stateNow(): TunnelState {
    if (line.mode === 'direct') return 'direct';
    if (standing === 'down') return mayBypass() ? 'bypassed' : 'down';
    return standing === 'up' ? 'up' : 'starting';
  }

  /** A tunnel that leads nowhere is a mistake, and not one that was lost. */
  function mayBypass(): boolean {
    return line.server !== null && settings()['egress.fail_open'];
  }

  /** The line that the settings ask for at this moment. */
  function current(): Line {
    const now = { settings: settings(), login: options.login() };
    if (now.settings === seen.settings && now.login === seen.login) return line;
    seen = now;
    const key = keyOf(now.settings);
    if (key === line.key) return line;
    // What is under way comes to its end; new connections go the new way.
    line.client?.close();
    line = openLine(key, now.settings);
    standing = 'unknown';
    reason = null;
    sinceMs = null;
    return line;
  }

  function isUp(): void {
    if (standing === 'up') return;
    const wasDown = standing === 'down';
    standing = 'up';
    reason = null;
    sinceMs = clock.nowMs();
    if (wasDown) tell('egress.tunnel_back', 'low', {});
    else changed();
  }

  function isDown(why: string): void {
    const wasDown = standing === 'down';
    standing = 'down';
    reason = why;
    if (wasDown) return;
    sinceMs = clock.nowMs();
    losses++;
    tell('egress.tunnel_lost', 'high', { reason: why });
    if (mayBypass()) tell('egress.fail_open_used', 'medium', { reason: why });
    schedule(watch.downMs);
  }

  function tell(
    type: Extract<AuditEvent['type'], `egress.${string}`>,
    severity: AuditEvent['severity'],
    more: object,
  ): void {
    changed();
    // A command that finds no tunnel says so itself.
    if (!isWatching) return;
    const details = { mode: line.mode, endpoint: line.endpoint, ...more };
    if (severity === 'low') log.info('the tunnel is back', details);
    else
      log.warn(
        type === 'egress.tunnel_lost' ? 'the tunnel is lost' : 'requests go around the tunnel',
        details,
      );
    options
      .record({ type, severity, target: TARGET, details })
      .catch((error: unknown) =>
        log.error('what became of the tunnel could not be put on record', { error }),
      );
  }

  function changed(): void {
    if (isWatching) bus.publish({ name: 'egress.changed', mode: line.mode, state: stateNow(), reason });
  }

  /** Looks once. Calls at the same time share one look. */
  function look(): Promise<void> {
    looking ??= lookNow().finally(() => {
      looking = null;
    });
    return looking;
  }

  async function lookNow(): Promise<void> {
    const at = current();
    if (at.mode === 'direct') return;
    const why = await whyNot(at.server, ATTEMPT_MS);
    // It may have become another one meanwhile.
    if (at !== line) return;
    if (why === null) isUp();
    else isDown(why);
  }

  function schedule(inMs: number): void {
    if (!isWatching) return;
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(
      () => void look().then(() => schedule(standing === 'down' ? watch.downMs : watch.upMs)),
      inMs,
    );
    timer.unref();
  }

  async function whyUnusable(wanted: EgressSettings): Promise<string | null> {
    if (wanted['egress.mode'] === 'direct') return null;
    const server = serverOf(wanted);
    const untilMs = clock.monotonicMs() + START_MS;
    let why: string | null = null;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      why = await whyNot(server, Math.min(ATTEMPT_MS, leftMs));
      if (why === null || server === null) break;
      if (attempt < ATTEMPTS) await Bun.sleep(PAUSE_MS);
    }
    return why;
  }

  return {
    wayTo(hostname) {
      if (current().mode === 'direct') return 'direct';
      const place = placeOfHost(hostname);
      if (place === 'here') return 'direct';
      if (place === 'private' && settings()['egress.private_addresses'] === 'direct') return 'direct';
      return stateNow() === 'bypassed' ? 'direct' : 'tunnel';
    },

    isOff: () => current().mode === 'direct',

    isBypassed: () => stateNow() === 'bypassed',

    looksUpHere() {
      current();
      const state = stateNow();
      return state === 'direct' || state === 'bypassed';
    },

    async send(request) {
      const { client } = current();
      if (client === null) throw new EgressError('tunnel', NO_ENDPOINT);
      // Whoever watches it knows when it is back; else this is how to find out.
      if (standing === 'down' && isWatching) throw new EgressError('tunnel', String(reason));
      try {
        const response = await client.send(request);
        // One that was under way when the tunnel was lost says nothing of how it is now.
        if (standing === 'unknown' || !isWatching) isUp();
        return response;
      } catch (error) {
        if (error instanceof EgressError && error.kind === 'tunnel') isDown(error.message);
        throw error;
      }
    },

    view,

    async greet() {
      const { server } = current();
      if (server === null) throw new EgressError('tunnel', NO_ENDPOINT);
      const startedMs = clock.monotonicMs();
      await greet(server, ATTEMPT_MS);
      return clock.monotonicMs() - startedMs;
    },

    whyUnusable,

    async start(isPatient) {
      isWatching = true;
      const { mode, endpoint } = current();
      const why = await whyUnusable(settings());
      if (mode !== 'direct') {
        if (why === null) isUp();
        else isDown(why);
      }
      schedule(standing === 'down' ? watch.downMs : watch.upMs);
      if (why === null || isPatient || mayBypass()) return;
      throw unusable(endpoint ?? mode, why);
    },

    async refresh() {
      const before = line;
      if (current() === before) return;
      changed();
      await look();
      schedule(standing === 'down' ? watch.downMs : watch.upMs);
    },

    close() {
      isWatching = false;
      if (timer !== null) clearTimeout(timer);
      line.client?.close();
    },
  };
}

const NO_ENDPOINT =
  'nobody has said where the SOCKS server is (flm config set egress.socks5_endpoint host:port)';

/** Why the server cannot be used; null when it can. */
async function whyNot(server: SocksServer | null, timeoutMs: number): Promise<string | null> {
  if (server === null) return NO_ENDPOINT;
  try {
    await greet(server, timeoutMs);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What a start is refused with. */
export function unusable(endpoint: string, reason: string): FlmError {
  return new FlmError('PROXY_INVALID_CONFIG', {
    meta: { reason: `everything is to leave through ${endpoint}, which cannot be used: ${reason}` },
    hint: 'Start it, then try again. To go straight out while it is down: --egress-fail-open. Without a tunnel: flm config set egress.mode direct',
  });
}
