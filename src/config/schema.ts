/**
 * Every setting of FLM, once: its kind, its default, when a change takes effect and what it is for.
 * docs/config.md is generated from here.
 */
import {
  boolean,
  choice,
  endpoint,
  fingerprints,
  hostNames,
  integer,
  ipAddress,
  ipNetworks,
  type Kind,
  serverNames,
} from './kinds';

interface Setting<Value> {
  readonly kind: Kind<Value>;
  readonly default: Value;
  /** `live`: the next request sees it; `restart`: the next start does. */
  readonly apply: 'live' | 'restart';
  readonly about: string;
}

function setting<Value>(
  kind: Kind<Value>,
  defaultValue: NoInfer<Value>,
  apply: 'live' | 'restart',
  about: string,
): Setting<Value> {
  return { kind, default: defaultValue, apply, about };
}

const DAY_MS = 86_400_000;

export const SETTINGS = {
  'proxy.port': setting(integer(1, 65_535), 8080, 'restart', 'Port of the API for clients.'),
  'proxy.bind': setting(
    ipAddress(),
    '127.0.0.1',
    'restart',
    'Address the API listens on. 0.0.0.0 or :: means every network of this machine.',
  ),
  'proxy.allowed_hosts': setting(
    hostNames(),
    [],
    'live',
    'Names that requests may carry in Host when FLM listens on loopback, besides localhost and addresses. Anything else is refused there, so that no web page can reach FLM by DNS rebinding.',
  ),
  'proxy.trusted_proxies': setting(
    ipNetworks(),
    [],
    'live',
    'Reverse proxies whose X-Forwarded-For is believed, and, at proxies that speak it, what they say by the PROXY protocol. From anybody else the header is ignored.',
  ),
  'proxy.revoked_client_certificates': setting(
    fingerprints(),
    [],
    'live',
    'Client certificates that are no longer accepted, whoever vouches for them. Connections that came with one are cut within two seconds.',
  ),
  'proxy.max_body_bytes': setting(
    integer(1_024, 1_073_741_824),
    33_554_432,
    'live',
    'Largest request body, in bytes.',
  ),
  'proxy.max_connections': setting(
    integer(1, 1_000_000),
    10_000,
    'live',
    'Connections that may be open at once, and so requests: more requests are refused with 503, and of more connections (Linux) those that wait longest without a request are closed.',
  ),
  'proxy.request_timeout_ms': setting(
    integer(1_000, DAY_MS),
    600_000,
    'live',
    'Longest time for a request that is not streamed.',
  ),
  'proxy.stream_timeout_ms': setting(integer(1_000, DAY_MS), 1_800_000, 'live', 'Longest time for a stream.'),
  'proxy.drain_ms': setting(
    integer(0, DAY_MS),
    30_000,
    'live',
    'How long requests under way may take to finish when a proxy or FLM is stopped. After that they are cut off.',
  ),
  'proxy.header_grace_ms': setting(
    integer(0, 600_000),
    10_000,
    'live',
    'How long a stream may stay unanswered so that an early failure keeps its HTTP status. After that the answer opens with a ping.',
  ),
  'proxy.ping_interval_ms': setting(
    integer(1_000, 600_000),
    10_000,
    'live',
    'Silence after which an open stream carries a ping (an SSE comment), so that nothing in between closes it.',
  ),
  'proxy.stall_probe_ms': setting(
    integer(1_000, DAY_MS),
    60_000,
    'live',
    'Silence after which the engine behind a stream is probed; when it is gone, the stream ends with an error.',
  ),
  'engine.detect': setting(
    boolean(),
    true,
    'live',
    'Look for engines on the usual ports of this machine. Engines added by hand are used either way.',
  ),
  'engine.detect_processes': setting(
    boolean(),
    true,
    'live',
    'Look also at other ports of this machine where a program listens whose command line names an engine (Linux). Off, engines already found that way stay for ten minutes.',
  ),
  'engine.timeout_ms': setting(
    integer(100, 60_000),
    5_000,
    'live',
    'How long one engine may take to answer a probe.',
  ),
  'engine.health_latency_threshold_ms': setting(
    integer(1, 60_000),
    1_500,
    'live',
    'An engine whose probe takes this long or longer is degraded: others are asked first.',
  ),
  'engine.max_network_failures': setting(
    integer(1, 100),
    3,
    'live',
    'Probes in a row that may go unanswered before an engine counts as gone.',
  ),
  'engine.breaker_failures': setting(
    integer(0, 1_000),
    5,
    'live',
    'Requests in a row without an answer, with a broken one, or with 502 to 504, after which an engine is left alone for a while. 0 = it never is.',
  ),
  'engine.breaker_open_ms': setting(
    integer(100, DAY_MS),
    30_000,
    'live',
    'How long it is left alone. Then one request at a time tries it, and two that succeed bring it back.',
  ),
  'engine.refresh_ms': setting(
    integer(1_000, DAY_MS),
    6_000,
    'live',
    'How often FLM asks the engines what they have.',
  ),
  'engine.history_days': setting(
    integer(1, 3_650),
    30,
    'live',
    'Days for which it is remembered how engines were.',
  ),
  'engine.default_slots': setting(
    integer(1, 100_000),
    4_096,
    'live',
    'Requests sent to one engine at once where neither the engine nor its owner says how many it takes.',
  ),
  'engine.queue_limit': setting(
    integer(0, 100_000),
    256,
    'live',
    'Requests that may wait for one engine; more are refused with 429.',
  ),
  'egress.mode': setting(
    choice(['direct', 'tor', 'socks5']),
    'direct',
    'live',
    'How requests leave this machine: straight, through Tor, or through a SOCKS5 server. Through a tunnel, names are looked up at its end. Engines on this machine are always asked straight.',
  ),
  'egress.socks5_endpoint': setting(
    endpoint(),
    '',
    'live',
    'Where the SOCKS5 server listens, as host:port. Empty: 127.0.0.1:9050 for Tor; socks5 needs it.',
  ),
  'egress.fail_open': setting(
    boolean(),
    false,
    'live',
    'While the tunnel is down, let requests go straight out, which shows where this machine is. Off, nothing leaves it then.',
  ),
  'egress.private_addresses': setting(
    choice(['tunnel', 'direct']),
    'tunnel',
    'live',
    'The way to engines whose address is one of a private network, such as 192.168.1.20. Tor reaches none of them: choose direct for engines of your own network. A name counts as one that is elsewhere.',
  ),
  'egress.connect_timeout_ms': setting(
    integer(1_000, 300_000),
    20_000,
    'live',
    'How long a connection through the tunnel may take to come about.',
  ),
  'egress.tor_control': setting(
    endpoint(),
    '127.0.0.1:9051',
    'live',
    'Where the control port of a tor on this machine is, for onion services.',
  ),
  'admin.port': setting(
    integer(0, 65_535),
    7843,
    'restart',
    'Port of the admin API for browsers and scripts, on this machine only. 0 = none: the flm command uses a socket.',
  ),
  'admin.session_idle_ms': setting(
    integer(60_000, DAY_MS),
    1_800_000,
    'live',
    'A session of the admin API ends when it was not used for this long.',
  ),
  'admin.session_lifetime_ms': setting(
    integer(60_000, 30 * DAY_MS),
    43_200_000,
    'live',
    'A session of the admin API ends after this long, however much it is used.',
  ),
  'certs.names': setting(
    serverNames(),
    [],
    'live',
    'Further names and addresses under which clients reach this machine. Certificates of the private authority hold those that its root may vouch for; a new root may vouch for all of them.',
  ),
  'metrics.open_to_loopback': setting(
    boolean(),
    true,
    'live',
    'Programs on this machine may read /metrics without a key, unless a proxy brings their request. Switch it off when a reverse proxy on this machine passes /metrics on. Others need a key with the scope metrics.',
  ),
  'log.requests': setting(
    choice(['off', 'stdout', 'file']),
    'off',
    'live',
    'Where a line of JSON for each request goes: nowhere, to stdout, or to logs/requests.log in the data directory. A line holds who asked for which model, the duration and the outcome; never what was said.',
  ),
  'log.client_ips': setting(
    choice(['masked', 'full']),
    'masked',
    'live',
    'How those lines name clients: without the last part of the address (IPv4) or its last half (IPv6), or in full.',
  ),
  'alerts.client_ips': setting(
    choice(['masked', 'full']),
    'full',
    'live',
    'How alerts name clients, in the log and at webhooks: in full, or without the last part of the address.',
  ),
  'log.file': setting(
    boolean(),
    false,
    'live',
    "Write FLM's own log to logs/flm.log in the data directory, besides stderr.",
  ),
  'log.max_bytes': setting(
    integer(65_536, 1_099_511_627_776),
    52_428_800,
    'live',
    'A log file that reaches this size is set aside and a new one begun.',
  ),
  'log.max_age_hours': setting(
    integer(1, 87_600),
    168,
    'live',
    'A log file of this age is set aside and a new one begun.',
  ),
  'log.keep_files': setting(
    integer(0, 10_000),
    10,
    'live',
    'How many log files of each kind that were set aside are kept; older ones are removed.',
  ),
  'activity.retention_days': setting(
    integer(1, 3_650),
    30,
    'live',
    'Days for which the request log is kept. Older days are removed, which is put on record.',
  ),
  'activity.max_bytes': setting(
    integer(16_777_216, 1_099_511_627_776),
    2_147_483_648,
    'live',
    'Room for the request log, in bytes. Beyond it the oldest days are removed; archived days do not count.',
  ),
  'activity.archive': setting(
    boolean(),
    false,
    'live',
    'Move days that are too old, or too many, to activity/archive instead of removing them. Nothing removes them there.',
  ),
  'log.level': setting(
    choice(['debug', 'info', 'warn', 'error']),
    'info',
    'live',
    'Least level of the log lines on stderr. On a terminal, `flm up` leaves lines of level info out.',
  ),
} as const;

export type SettingKey = keyof typeof SETTINGS;

type ValueOf<Entry> = Entry extends Setting<infer Value> ? Value : never;

/** All settings at one moment. Frozen: a change makes a new one. */
export type ConfigSnapshot = { readonly [Key in SettingKey]: ValueOf<(typeof SETTINGS)[Key]> };

export const SETTING_KEYS = Object.keys(SETTINGS) as readonly SettingKey[];

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(SETTINGS, key);
}

/** The environment variable that sets a key: `proxy.port` is FLM_PROXY_PORT. */
export function envNameOf(key: SettingKey): string {
  return `FLM_${key.toUpperCase().replaceAll('.', '_')}`;
}
